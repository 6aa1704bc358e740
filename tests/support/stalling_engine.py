"""The Docker Engine behind a socket that stalls at the request that a test names."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import socketserver
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient

__all__ = ["StallingEngine", "stalling_engine"]


class StallingEngine(socketserver.ThreadingUnixStreamServer):
    """Passes connections on, until a request comes whose first line matches ``stall_at``."""

    daemon_threads = True

    def __init__(self, path: Path, target: str) -> None:
        self.url = f"unix://{path}"
        self.target = target
        self.stall_at: str | None = None
        """A regular expression, such as ``POST /[^ ]*/images/load``"""
        self.drops = False
        """Close that connection, as an engine that stops."""
        self.stalled = threading.Event()
        """Set when such a request has come; it gets no answer."""
        super().__init__(str(path), _Passing)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}).start()

    def stalls(self, data: bytes) -> bool:
        if self.stall_at is not None and re.match(self.stall_at.encode(), data):
            self.stalled.set()
            return True
        return False

    def server_close(self) -> None:
        self.shutdown()
        super().server_close()


class _Passing(socketserver.BaseRequestHandler):
    server: StallingEngine

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX) as engine, contextlib.suppress(OSError):
            engine.connect(self.server.target)
            back = threading.Thread(target=_pass, args=(engine, self.request))
            back.start()
            while data := self.request.recv(1 << 16):
                if self.server.stalls(data):
                    while not self.server.drops and self.request.recv(1 << 16):
                        """Until whoever asks has gone."""
                    break
                engine.sendall(data)
            engine.shutdown(socket.SHUT_RDWR)
            back.join()


def _pass(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):  # either side may have gone
        while data := source.recv(1 << 16):
            target.sendall(data)


@pytest.fixture
def stalling_engine(engine: DockerClient, tmp_path: Path) -> Iterator[StallingEngine]:
    """An address for ``DOCKER_HOST``, in front of the engine."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not host.startswith("unix://"):
        pytest.skip("the engine is on another machine")
    with StallingEngine(tmp_path / "engine.sock", host.removeprefix("unix://")) as server:
        yield server
