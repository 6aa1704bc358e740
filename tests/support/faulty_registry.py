"""A proxy before a registry that fails as it is message."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import re
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.registry import Registry

__all__ = ["Failure", "FaultyRegistry", "Request", "faulty", "faulty_registry"]


@dataclass
class Failure:
    """A failure of the next ``times`` requests that match."""

    method: str
    path: str
    """A regular expression to be found in the path."""
    status: int | None = None
    """Answers this instead of asking the registry."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_silent: bool = False
    """Never answers."""
    drop_after: int | None = None
    """Closes the connection after so many bytes of the response's body; -1: without an answer."""
    drop_upload_after: int | None = None
    """Passes so many bytes of the request's body on, then closes both connections."""
    is_corrupt: bool = False
    """Changes the first byte of the response's body."""
    without: str = ""
    """Takes this header out of the request, as proxies that do not know it do."""
    times: int = 1
    after: int = 0
    """The number of matching requests that pass before."""


@dataclass(frozen=True)
class Request:
    """One request to the proxy."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass
class FaultyRegistry:
    """The proxy: a registry at ``address``."""

    address: str
    failures: list[Failure] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    fell_silent: threading.Event = field(default_factory=threading.Event)
    """Set once a client waits for an answer that does not come."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, method: str, path: str = "") -> int:
        """Return the number of requests of that method whose path contains ``part``."""
        return sum(r.method == method and bool(re.search(path, r.path)) for r in self.requests)

    def take(self, method: str, path: str) -> Failure | None:
        with self._lock:
            for failure in self.failures:
                if failure.times and failure.method == method and re.search(failure.path, path):
                    if failure.after:
                        failure.after -= 1
                    else:
                        failure.times -= 1
                        return failure
        return None


@pytest.fixture
def faulty_registry(registry: Registry) -> Iterator[FaultyRegistry]:
    """A proxy before the registry that everybody may use."""
    with faulty(registry.address) as proxy:
        yield proxy


@contextlib.contextmanager
def faulty(upstream: str) -> Iterator[FaultyRegistry]:
    """A proxy before the registry at ``upstream``."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        proxy = FaultyRegistry(f"localhost:{server.server_port}")
        server.RequestHandlerClass = type(
            "Handler", (_Handler,), {"proxy": proxy, "upstream": upstream}
        )
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultyRegistry
    upstream: str

    def _serve(self) -> None:
        # Noted first: once the client has its answer, the test may look.
        self.proxy.requests.append(Request(self.command, self.path, dict(self.headers.items())))
        failure = self.proxy.take(self.command, self.path) or Failure("", "")
        try:
            self._answer(failure)
        except ConnectionError:
            self.close_connection = True  # the client went away, or the failure wants it so

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _serve  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: a test looks at ``requests``."""

    def _answer(self, failure: Failure) -> None:
        if failure.drop_after == -1:
            raise ConnectionResetError
        if failure.is_silent:
            self.proxy.fell_silent.set()
            while self.connection.recv(1 << 16):
                """Send the answer, with its failure."""
            raise ConnectionResetError
        length = int(self.headers.get("Content-Length") or 0)
        if failure.status is not None:
            self.rfile.read(length)
            if self._is_chunked():
                list(self._chunks())
            self._head(
                failure.status, {**failure.headers, "Content-Length": str(len(failure.body))}
            )
            if self.command != "HEAD":
                self.wfile.write(failure.body)
            return
        with contextlib.closing(http.client.HTTPConnection(self.upstream)) as registry:
            self._pass_on(registry, length, failure)

    def _pass_on(self, registry: http.client.HTTPConnection, length: int, failure: Failure) -> None:
        registry.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name != failure.without:
                registry.putheader(name, value)
        registry.endheaders()
        left = length if failure.drop_upload_after is None else failure.drop_upload_after
        if self._is_chunked():
            for part in self._chunks():
                registry.send(b"%x\r\n%b\r\n" % (len(part), part))
        while left:
            chunk = self.rfile.read(min(left, 1 << 16))
            registry.send(chunk)
            left -= len(chunk)
        if failure.drop_upload_after is not None:
            raise ConnectionResetError
        response = registry.getresponse()
        headers = dict(response.getheaders())
        self._head(response.status, headers)
        sent = 0
        limit = failure.drop_after
        while chunk := response.read(1 << 16):
            if failure.is_corrupt and not sent:
                chunk = bytes([chunk[0] ^ 1]) + chunk[1:]
            if limit is not None and sent + len(chunk) > limit:
                self.wfile.write(chunk[: limit - sent])
                self.connection.shutdown(socket.SHUT_RDWR)
                raise ConnectionResetError
            self.wfile.write(chunk)
            sent += len(chunk)

    def _is_chunked(self) -> bool:
        return self.headers.get("Transfer-Encoding", "").lower() == "chunked"

    def _chunks(self) -> Iterator[bytes]:
        """The parts of a body without a length, as Docker sends blobs; the last one is empty.

        https://www.rfc-editor.org/rfc/rfc9112#name-chunked-transfer-coding
        """
        while True:
            size = int(self.rfile.readline(), 16)
            part = self.rfile.read(size)
            self.rfile.readline()
            yield part
            if not size:
                return

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
