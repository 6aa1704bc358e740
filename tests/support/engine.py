"""A Docker Engine for tests and the demo: a running one, or a private one.

As a script it runs a command with such an engine: ``PYTHONPATH=tests python -m
support.engine COMMAND...``
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import requests
from docker.errors import DockerException

from support.debian import DebianError, install

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Engine", "docker_engine", "private_engine", "sockets_may_leak"]

_START_SECONDS = 120
_STOP_SECONDS = 30
_DOCKERD = "dockerd"
_SYSTEM_PATH = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/sbin"


@dataclass(frozen=True)
class Engine:
    """The result of :func:`docker_engine`."""

    url: str | None
    """The value of ``DOCKER_HOST``; None without an engine."""
    note: str
    """One line: the engine, or the reason why it is missing."""
    pid: int | None = None
    """The process of a private engine."""

    @property
    def is_private(self) -> bool:
        """Its containers have no network of their own."""
        return self.pid is not None


class _UnavailableError(Exception):
    """An engine is not running and cannot be started, for a reason in one line."""


@contextlib.contextmanager
def docker_engine(
    *options: str, log: Callable[[str], None] = lambda _line: None
) -> Iterator[Engine]:
    """Yield the reachable engine; else, as root on Debian, a private one, and stop it.

    The options are those of a private ``dockerd``.

    Within the block ``DOCKER_HOST`` names the private one. It has no networks but
    ``none`` and ``host``, so it neither needs nor changes the machine's firewall.
    """
    reachable = _reachable()
    if reachable is not None:
        yield reachable
        return
    with private_engine(*options, log=log) as engine, contextlib.ExitStack() as stack:
        if engine.url is not None:
            stack.enter_context(_environment("DOCKER_HOST", engine.url))
        yield engine


@contextlib.contextmanager
def private_engine(
    *options: str, log: Callable[[str], None] = lambda _line: None
) -> Iterator[Engine]:
    """Start an engine for the block, as root on Debian, and stop it after the block."""
    with contextlib.ExitStack() as stack:
        try:
            url, pid = stack.enter_context(_started(_dockerd(log), options, log))
            engine = Engine(url, f"a private Docker Engine {_server_version(url)}", pid=pid)
        except _UnavailableError as reason:
            engine = Engine(None, f"no Docker Engine: {reason}")
        yield engine


def _reachable() -> Engine | None:
    # `from_env` follows DOCKER_HOST, else the current context of Docker's command line.
    with sockets_may_leak():
        try:
            client = docker.from_env(timeout=10)
        except (DockerException, requests.RequestException):
            return None
    with contextlib.closing(client):
        return Engine(client.api.base_url, f"Docker Engine {client.version()['Version']}")


def _server_version(url: str) -> str:
    with contextlib.closing(docker.DockerClient(url)) as client:
        return str(client.version()["Version"])


def _dockerd(log: Callable[[str], None]) -> str:
    """Return the path of ``dockerd``; install Debian's ``docker.io`` if it is missing."""
    if os.geteuid() != 0:
        raise _UnavailableError("it is not running, and only root can start it")
    if shutil.which(_DOCKERD, path=_SYSTEM_PATH) is None:
        if shutil.which("apt-get") is None:
            raise _UnavailableError("it is not running, and apt-get is missing to install it")
        log("installing Debian's docker.io")
        try:
            install("docker.io")
        except DebianError as error:
            raise _UnavailableError(str(error)) from error
    dockerd = shutil.which(_DOCKERD, path=_SYSTEM_PATH)
    if dockerd is None:
        raise _UnavailableError("the package docker.io has no dockerd")
    return dockerd


@contextlib.contextmanager
def _started(
    dockerd: str, options: Sequence[str], log: Callable[[str], None]
) -> Iterator[tuple[str, int]]:
    log("starting a private Docker Engine")
    # A short path: that of a socket holds 107 characters at most.
    home = Path(tempfile.mkdtemp(prefix="engine-"))
    url = f"unix://{home}/docker.sock"
    command = [
        dockerd, "--data-root", f"{home}/data", "--exec-root", f"{home}/exec",
        "--host", url, "--pidfile", f"{home}/pid", "--iptables=false", "--bridge=none",
        *options,
    ]  # fmt: skip
    if setpriv := shutil.which("setpriv"):
        # Should this process be killed, the kernel stops the engine.
        command = [setpriv, "--pdeathsig", "TERM", *command]
    try:
        with (home / "log").open("wb") as output:
            # In a session of its own: a Ctrl-C is for us, who then stop the engine.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait_until_it_answers(process, url, home / "log")
            yield url, process.pid
        finally:
            _stop(process)
    finally:
        _remove(home)


def _wait_until_it_answers(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    tries_per_second = 10
    for _ in range(_START_SECONDS * tries_per_second):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1 / tries_per_second)
            raise _UnavailableError(f"dockerd ended: {_last_line(log.read_text(errors='replace'))}")
        with sockets_may_leak(), contextlib.suppress(DockerException, requests.RequestException):
            docker.DockerClient(url, timeout=10).close()
            return
    raise _UnavailableError(f"dockerd did not answer within {_START_SECONDS} seconds")


@contextlib.contextmanager
def sockets_may_leak() -> Iterator[None]:
    """Collect the sockets that docker-py never closes after a refused connection."""
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _remove(home: Path) -> None:
    # What a container mounted may outlive the engine (`exec/netns/default` does).
    for line in Path("/proc/self/mounts").read_text("utf-8").splitlines():
        mount_point = line.split()[1]
        if mount_point.startswith(f"{home}/"):
            subprocess.run(["umount", "--lazy", mount_point], check=False)
    shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no output"


def main(command: list[str]) -> int:
    """Run ``command``, with an engine if possible; return its exit status."""
    with docker_engine(log=lambda line: print(line, file=sys.stderr)) as engine:
        print(engine.note, file=sys.stderr)
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
