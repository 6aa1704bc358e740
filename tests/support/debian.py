"""Debian packages: install them, and list their files and dependencies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DebianError", "architecture", "dependency_closure", "files_of", "install", "installed"]


class DebianError(Exception):
    """A package or a command is missing; the message is one line."""


def install(*packages: str) -> None:
    """Install packages, as root.

    :raises DebianError: with apt's last line, or if this is not Debian or not root.
    """
    names = " ".join(packages)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise DebianError(f"only root can install {names}, with apt-get")
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    with _alone():
        if _apt_get(command).returncode == 0:
            return
        # The package lists may be old, or missing in a new container.
        _apt_get(["apt-get", "update"])
        last = _apt_get(command)
    if last.returncode:
        raise DebianError(f"apt-get install {names}: {last.stdout.splitlines()[-1]}")


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Wait for other workers of the test run: only one apt-get can run at a time."""
    with (Path(tempfile.gettempdir()) / "bigflow-test-apt-get.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _apt_get(command: list[str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    done.stdout = done.stdout.strip()
    return done


def architecture() -> str:
    """Return the architecture of this machine in Debian and in images: ``amd64``, ``arm64``."""
    return subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()


def installed() -> dict[str, tuple[tuple[str, ...], ...]]:
    """Return the dependencies of the installed packages, each with its alternatives."""
    fields = "${Package}\t${Depends}, ${Pre-Depends}\t${db:Status-Status}\n"
    return {
        name: tuple(
            tuple(_bare(alternative) for alternative in dependency.split("|"))
            for dependency in depends.split(",")
            if dependency.strip()
        )
        for name, depends, status in (
            line.split("\t")
            for line in _dpkg_query("--show", f"--showformat={fields}").splitlines()
        )
        if status == "installed"
    }


def dependency_closure(*roots: str) -> list[str]:
    """Return the installed packages that ``roots`` need, including themselves."""
    known = installed()
    seen: set[str] = set()
    todo = list(roots)
    while todo:
        package = todo.pop()
        if package in seen or package not in known:
            continue
        seen.add(package)
        todo += (
            next((a for a in alternatives if a in known), alternatives[0])
            for alternatives in known[package]
        )
    return sorted(seen)


def files_of(*packages: str) -> set[str]:
    """Return the paths of all files, links and directories of the packages."""
    return {
        line for line in _dpkg_query("--listfiles", *packages).splitlines() if line.startswith("/")
    }


def _dpkg_query(*arguments: str) -> str:
    if shutil.which("dpkg-query") is None:
        raise DebianError("this is not Debian: the command dpkg-query is missing")
    done = subprocess.run(["dpkg-query", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def _bare(dependency: str) -> str:
    """``python3:any (>= 3.11)`` -> ``python3``"""
    return re.split(r"[ (:]", dependency.strip(), maxsplit=1)[0]
