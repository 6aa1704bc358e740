"""HTTP requests to servers that may be hostile: all waits end, and no body is read unasked.

requests has a timeout for each read of the socket, so a server that sends one byte a second could
keep a build for days: https://requests.readthedocs.io/en/latest/user/quickstart/#timeouts . It
also reads the whole body of a redirect, and unpacks it.

This module imports requests: import it where a request is sent.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import math
import queue
import re
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urljoin

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from bigflow_backend.ground.foreign.urls import origin
from bigflow_backend.ground.limits import ERROR_BODY, REDIRECTS

_REDIRECTS = {301, 302, 303, 307, 308}


class Session(requests.Session):
    """A session whose requests all end at ``deadline``, a value of :func:`time.monotonic`.

    It returns a redirect as any other response: :meth:`follow` follows them. The body of a
    response is read by the caller, with a limit.
    """

    def __init__(self, deadline: float | None = None, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.stream = True
        self._clock = _Clock(math.inf if deadline is None else deadline)
        pools = _pools(self._clock)
        for prefix in ("https://", "http://"):
            self.mount(prefix, _Adapter(pools, tls))

    def interrupt(self) -> None:
        """End the requests of other threads: what they wait for fails at once."""
        self._clock.interrupt()

    def get_redirect_target(self, _response: requests.Response) -> None:
        """Return nothing: requests would read the whole body of a redirect, also if unasked."""

    def follow(
        self,
        method: str,
        url: str,
        *,
        allow: Callable[[str, str], None],
        headers: dict[str, str] | None = None,
        **request: Any,
    ) -> requests.Response:
        """Send a GET or HEAD request, and follow its redirects.

        Another host does not get the header ``Authorization``. ``allow`` is called with the URLs
        before and after each redirect, and raises an error to refuse it.

        :raises requests.RequestException: if no final response comes.
        :raises ValueError: for a redirect to an invalid URL.
        """
        headers = dict(headers or {})
        redirects = 0
        while True:
            response = self.request(method, url, headers=headers, **request)
            target = response.headers.get("Location")
            if response.status_code not in _REDIRECTS or not target:
                return response
            _drop(response)
            redirects += 1
            if redirects > REDIRECTS:
                raise requests.TooManyRedirects(request=response.request)
            # The header is bytes, which http.client decodes as Latin-1.
            after = urljoin(url, target.encode("latin-1").decode("utf-8", "replace"))
            if origin(url) != origin(after):
                headers.pop("Authorization", None)
            allow(url, after)
            url = after
            request.pop("params", None)


def read_start(response: requests.Response) -> bytes:
    """Return the start of a body that should be short, without decoding.

    :raises urllib3.exceptions.HTTPError: if the connection ends too early.
    """
    return bytes(response.raw.read(ERROR_BODY, decode_content=False))


def _drop(response: requests.Response) -> None:
    """Close a response. The connection stays open if the body is short."""
    length = response.headers.get("Content-Length", "")
    with response, contextlib.suppress(urllib3.exceptions.HTTPError, OSError):
        if re.fullmatch("[0-9]{1,4}", length):
            response.raw.read(int(length) + 1, decode_content=False)


class _Adapter(HTTPAdapter):
    def __init__(self, pools: dict[str, Any], tls: ssl.SSLContext | None) -> None:
        self._pools = pools
        self._tls: dict[str, Any] = {} if tls is None else {"ssl_context": tls}
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        # The connection also loads the authorities of the system into the context.
        super().init_poolmanager(*args, **(options | self._tls))
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **(options | self._tls))
        if not proxy.startswith("socks"):  # these have connections of their own
            manager.pool_classes_by_scheme = self._pools
        return manager


class _Clock:
    """The time until a deadline, and the sockets that wait."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._lock = threading.Lock()

    def limit(self, timeout: Any) -> float | None:
        """Return the shorter of a timeout and the time that is left, in seconds.

        ``timeout`` is a number, or a mark of no timeout. None is a wait without an end.
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline is over")
        shorter = min(timeout, left) if isinstance(timeout, (int, float)) else left
        return shorter if math.isfinite(shorter) else None

    def uses(self, sock: socket.socket) -> None:
        """Note a socket that a request is sent through."""
        with self._lock:
            self._sockets.add(sock)

    def interrupt(self) -> None:
        """Shut the sockets down, so that each wait for one of them ends."""
        with self._lock:
            for sock in self._sockets:
                with contextlib.suppress(OSError, ValueError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _Reader(io.RawIOBase):
    """A socket's data. Each wait gets the time that is left as its timeout."""

    def __init__(self, sock: socket.socket, clock: _Clock) -> None:
        self._socket = sock
        self._clock = clock
        self._timeout = sock.gettimeout()
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._socket.settimeout(self._clock.limit(self._timeout))
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


@dataclass
class _Source:
    """The part of a socket that http.client asks for: a file."""

    sock: socket.socket
    clock: _Clock

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self.sock, self.clock))


class _Timed(HTTPConnection):
    """A connection whose waits end at a deadline."""

    clock: ClassVar[_Clock]

    def _new_conn(self) -> socket.socket:
        self.timeout = self.clock.limit(self.timeout)
        return _within(self.clock, super()._new_conn)

    def send(self, data: Any) -> None:
        if self.sock is None and self.auto_open:
            self.connect()
        if self.sock is not None:
            self.clock.uses(self.sock)
            self.sock.settimeout(self.clock.limit(self.sock.gettimeout()))
        super().send(data)


def _within(clock: _Clock, connect: Callable[[], socket.socket]) -> socket.socket:
    """Return the new connection of a thread, which may wait for a name server without an end.

    getaddrinfo(3) has no timeout: resolv.conf(5) may allow minutes.
    """
    results: queue.SimpleQueue[socket.socket | Exception] = queue.SimpleQueue()
    is_over = threading.Event()

    def work() -> None:
        try:
            connection = connect()
        except Exception as error:  # noqa: BLE001  (it is raised in the other thread)
            results.put(error)
            return
        results.put(connection)
        if is_over.is_set():
            connection.close()

    threading.Thread(target=work, daemon=True).start()
    try:
        result = results.get(timeout=clock.limit(None))
    except queue.Empty:
        is_over.set()
        raise TimeoutError("the deadline is over") from None
    if isinstance(result, Exception):
        raise result
    return result


class _TimedTLS(_Timed, HTTPSConnection):
    pass


def _pools(clock: _Clock) -> dict[str, Any]:
    """Return urllib3's pools, whose connections end at the deadline of ``clock``."""

    class Response(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
            super().__init__(_Source(sock, clock), *args, **options)  # type: ignore[arg-type]

    def connection(kind: type[_Timed]) -> type:
        return type(kind.__name__, (kind,), {"clock": clock, "response_class": Response})

    def pool(kind: type, connections: type) -> type:
        return type(kind.__name__, (kind,), {"ConnectionCls": connections})

    return {
        "http": pool(HTTPConnectionPool, connection(_Timed)),
        "https": pool(HTTPSConnectionPool, connection(_TimedTLS)),
    }
