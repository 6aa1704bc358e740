"""Temporary git repositories, isolated from the git configuration of the user."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

__all__ = ["Repository", "isolate_git", "log_git_processes", "make_repository", "put_git"]

_CONFIGURATION = """\
[user]
    name = Somebody
    email = somebody@example.org
[init]
    defaultBranch = main
[protocol "file"]
    allow = always
[advice]
    detachedHead = false
    nestedTag = false
"""


@dataclass(frozen=True)
class Repository:
    """A git repository with a work tree."""

    path: Path

    def git(self, *arguments: str, stdin: str = "") -> str:
        """Run git, which must succeed. Return its output."""
        return subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            input=stdin,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    def write(self, name: str, text: str) -> Path:
        """Write a file in the work tree, without `git add`. Return its path."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def commit(self, times: int = 1, *, file: str = "tracked.py") -> str:
        """Create commits. Each adds one line to a file. Return the hash of the last one."""
        for _ in range(times):
            path = self.path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as stream:
                stream.write("line\n")
            self.git("add", file)
            self.git("commit", "--quiet", "--message=one line more")
        return self.head

    def tag(self, *names: str, annotated: bool = False) -> None:
        for name in names:
            self.git("tag", *(["--annotate", "--message=a tag"] if annotated else []), name)

    def tags(self) -> list[str]:
        return self.git("tag", "--list").split()

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")


def make_repository(path: Path) -> Repository:
    """Create a repository without a commit."""
    path.mkdir(parents=True)
    repository = Repository(path)
    repository.git("init", "--quiet")
    return repository


def isolate_git(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Hide the git configuration of machine and user, and all variables that set a version.

    The configuration of the tests is written to ``directory``.
    """
    for name in os.environ:
        if name.startswith(("GIT_", "BIGFLOW_", "SETUPTOOLS_SCM_")):
            monkeypatch.delenv(name)
    configuration = directory / "gitconfig"
    configuration.write_text(_CONFIGURATION)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(configuration))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def log_git_processes(monkeypatch: pytest.MonkeyPatch, directory: Path) -> Path:
    """Put a `git` into PATH that logs its arguments. Return the log, with one line per process."""
    log = directory / "git-processes"
    log.touch()
    put_git(
        monkeypatch,
        directory,
        f'echo "$*" >> {shlex.quote(str(log))}\nexec {shutil.which("git")} "$@"',
    )
    return log


def put_git(monkeypatch: pytest.MonkeyPatch, directory: Path, script: str) -> None:
    """Put a shell script into PATH, before git."""
    bin_directory = directory / "bin"
    bin_directory.mkdir()
    git = bin_directory / "git"
    git.write_text(f"#!/bin/sh\n{script}\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_directory}{os.pathsep}{os.environ['PATH']}")
