"""A server that sends what a test says, byte for byte."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

Answer = Callable[[str], "Iterable[bytes] | None"]
"""The parts of the response to ``METHOD /path``; None for a 404."""

_HEAD_END = b"\r\n\r\n"


@dataclass
class Server:
    """A server on this machine, and what it was asked."""

    answer: Answer = lambda _request: None
    port: int = 0
    heads: list[str] = field(default_factory=list)
    """The heads of the requests."""
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def drip(self, start: bytes = b"", byte: bytes = b"x") -> Iterator[bytes]:
        """Yield ``start``, and then a byte now and then, until the test ends."""
        yield start
        while not self.stopped.wait(0.05):
            yield byte


@contextlib.contextmanager
def started_server() -> Iterator[Server]:
    """Yield a server; set its ``answer``."""
    server = Server()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            head = b""
            while _HEAD_END not in head:
                part = self.request.recv(1 << 16)
                if not part:
                    return
                head += part
            server.heads.append(head.decode("latin-1"))
            parts = server.answer(" ".join(server.heads[-1].split(" ")[:2]))
            # The client closes the connection when it has seen enough.
            with contextlib.suppress(OSError):
                for part in response(404) if parts is None else parts:
                    self.request.sendall(part)

    class Threads(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Threads(("127.0.0.1", 0), Handler) as tcp:
        server.port = tcp.server_address[1]
        thread = threading.Thread(target=tcp.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.stopped.set()
            tcp.shutdown()
            thread.join()


def response(status: int, body: bytes = b"", **headers: str) -> list[bytes]:
    """Return a response whose length is right, unless ``headers`` say something else."""
    return [head(status, Content_Length=str(len(body)), **headers), body]


def head(status: int, **headers: str) -> bytes:
    """Return the head of a response; ``_`` stands for ``-`` in the names of headers."""
    lines = [f"HTTP/1.1 {status} Text", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def error(message: object) -> bytes:
    """Return the body of an error as registries write it."""
    return json.dumps({"errors": [{"code": "DENIED", "message": message}]}).encode()


def endless(start: bytes, part: bytes) -> Iterator[bytes]:
    """Yield ``start``, and then ``part`` again and again, up to 4 GB."""
    return itertools.chain([start], itertools.repeat(part, (4 << 30) // len(part)))


def matches(request: str, pattern: str) -> bool:
    return re.search(pattern, request) is not None
