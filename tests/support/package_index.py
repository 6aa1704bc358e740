"""An index of packages on loopback that wants a name and a password.

https://packaging.python.org/en/latest/specifications/simple-repository-api/
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import http.server
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["PackageIndex", "package_index", "served_index"]


@dataclass
class PackageIndex:
    """The index; its packages are the files in ``directory``."""

    directory: Path
    port: int = 0
    username: str = "ada"
    password: str = "pl4nted-s3cret"
    refused: list[str] = field(default_factory=list)
    """The paths that were asked for without the password."""
    served: list[str] = field(default_factory=list)

    @property
    def bare(self) -> str:
        """The URL without credentials."""
        return f"http://localhost:{self.port}/simple"

    @property
    def url(self) -> str:
        return f"http://{self.username}:{self.password}@localhost:{self.port}/simple"


@pytest.fixture
def package_index(tmp_path: Path) -> Iterator[PackageIndex]:
    """An empty one."""
    with served_index(tmp_path / "packages") as index:
        yield index


@contextlib.contextmanager
def served_index(directory: Path) -> Iterator[PackageIndex]:
    """Yield an index with the distributions that are in ``directory`` at the time of a request."""
    index = PackageIndex(directory)
    index.directory.mkdir()
    handler = type("Handler", (_Handler,), {"index": index})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        index.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield index
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    index: PackageIndex

    def do_GET(self) -> None:
        with contextlib.suppress(ConnectionError):  # whoever asked has gone
            self._answer()

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""

    def _answer(self) -> None:
        secret = f"{self.index.username}:{self.index.password}".encode()
        if self.headers.get("Authorization") != f"Basic {base64.b64encode(secret).decode()}":
            self.index.refused.append(self.path)
            self._reply(401, b"", {"WWW-Authenticate": 'Basic realm="packages"'})
            return
        self.index.served.append(self.path)
        kind, _, name = self.path.strip("/").partition("/")
        if kind == "simple":
            self._reply(200, self._page(name), {"Content-Type": "text/html"})
        elif (path := self.index.directory / name).is_file():
            self._reply(200, path.read_bytes(), {"Content-Type": "application/octet-stream"})
        else:
            self._reply(404, b"", {})

    def _page(self, name: str) -> bytes:
        lines = []
        for path in sorted(self.index.directory.iterdir()):
            if path.name.partition("-")[0].replace("_", "-") == name:
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                text = html.escape(path.name)
                lines.append(f'<a href="/files/{text}#sha256={digest}">{text}</a>')
        return "\n".join(["<!DOCTYPE html><html><body>", *lines, "</body></html>"]).encode()

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
