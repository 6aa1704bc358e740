"""Requests to one registry, with authorization, limits, and errors in the user's words."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urljoin, urlsplit

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.urls import origin
from bigflow_backend.ground.limits import DOCUMENT
from bigflow_backend.image.reference import DOCKER_HUB, is_loopback
from bigflow_backend.image.registry.auth import Authorization
from bigflow_backend.image.registry.errors import (
    TransientError,
    connection_error,
    error_detail,
    invalid_url,
    redirects_to,
    status_text,
)
from bigflow_backend.image.registry.retry import Access, Progress, Retries, retry_after_seconds
from bigflow_backend.image.registry.tls import ca_bundle, registry_context

if TYPE_CHECKING:
    import requests

    from bigflow_backend.ground.foreign.http import Session
    from bigflow_backend.image.oci import Descriptor

_T = TypeVar("_T")

_HUB_HOST = "registry-1.docker.io"
_CHUNK = 1 << 18
_PROBE_SECONDS = 5
_TRIES_OF_MIRRORS = 2
_SHARE_OF_A_MIRROR = 4
"""A mirror gets one of so many parts of the time that is left when it is first asked."""

OK, CREATED, ACCEPTED, NO_CONTENT, PARTIAL = 200, 201, 202, 204, 206
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, NOT_ALLOWED = 400, 401, 403, 404, 405
TOO_LARGE = 413
# The answers to a manifest or a layer of a kind that a registry does not take.
_NOT_SUPPORTED = frozenset({BAD_REQUEST, NOT_ALLOWED, 406, 415, 422})
RANGE_NOT_SATISFIABLE, TOO_MANY_REQUESTS = 416, 429
# The answers of a server that is overloaded or restarts, and of a proxy in front of it.
_TRANSIENT = frozenset({TOO_MANY_REQUESTS, 500, 502, 503, 504})
_CHECK_NAME = "check the image's name, and the registry's log"
_HINTS = {
    BAD_REQUEST: _CHECK_NAME,
    NOT_FOUND: _CHECK_NAME,
    NOT_ALLOWED: "check the registry's name; mirrors and other web servers accept no images",
    TOO_LARGE: "the registry, or a proxy in front of it, limits the size of requests: raise that "
    "limit, or make the layer smaller",
}


@dataclass(frozen=True)
class Answer:
    """A response with its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    """All of a manifest; the start of an error."""
    url: str
    """The URL that answered: after a redirect, another than the one asked."""


class Registries(contextlib.AbstractContextManager["Registries"]):
    """The connections of a build. The end of the ``with`` block closes them."""

    def __init__(self, access: Access | None = None) -> None:
        self.access = access or Access()
        self._connections: dict[str, Connection] = {}
        self._lock = threading.Lock()
        self._mirrors: dict[str, Registries] = {}
        self.failed_mirrors: set[str] = set()
        """The repositories of mirrors that have failed, as ``registry/path``."""

    def connection(self, registry: str) -> Connection:
        """Return the connection to a registry, which opens with the first request.

        :raises UserError: if the library ``requests`` is not installed.
        """
        with self._lock:
            if registry not in self._connections:
                self._connections[registry] = Connection(registry, self.access)
            return self._connections[registry]

    def mirror(self, host: str) -> Registries:
        """Return the connections to a mirror, with few retries, and a share of the time."""
        with self._lock:
            if host not in self._mirrors:
                end = self.access.deadline
                if end is not None:
                    now = time.monotonic()
                    end = now + (end - now) / _SHARE_OF_A_MIRROR
                tries = min(self.access.attempts, _TRIES_OF_MIRRORS)
                self._mirrors[host] = Registries(
                    dataclasses.replace(self.access, attempts=tries, mirrors={}, deadline=end)
                )
            return self._mirrors[host]

    def interrupt(self) -> None:
        """End the requests of other threads with an error."""
        with self._lock:
            for connection in self._connections.values():
                connection.interrupt()
            for mirror in self._mirrors.values():
                mirror.interrupt()

    def __exit__(self, *exception: object) -> None:
        for connection in self._connections.values():
            connection.close()
        for mirror in self._mirrors.values():
            mirror.__exit__(*exception)


class Connection:
    """A registry of the distribution specification.

    https://github.com/opencontainers/distribution-spec/blob/main/spec.md
    """

    def __init__(self, registry: str, access: Access) -> None:
        self.registry = registry
        self._access = access
        self._session = _session(registry, access)
        self._authorization = Authorization(registry, access, self._session)

    def close(self) -> None:
        self._session.close()

    def interrupt(self) -> None:
        """End the requests of other threads with an error."""
        self._session.interrupt()

    def progress(self, kind: Literal["pull", "push"], blob: Descriptor) -> Progress:
        """Return the reports of the transfer of a blob."""
        return Progress(self._access, kind, blob)

    @functools.cached_property
    def _base(self) -> str:
        """The base URL. A registry on this machine may use TLS or not, so it is tried."""
        host = _HUB_HOST if self.registry == DOCKER_HUB else self.registry
        if not self._access.allows_plain_http(self.registry):
            return f"https://{host}"
        if is_loopback(self.registry) and self._refuses_plain_http(f"http://{host}/v2/"):
            return f"https://{host}"
        return f"http://{host}"

    def _refuses_plain_http(self, url: str) -> bool:
        import requests

        # A short timeout is enough: the next request has the full one.
        seconds = (self._access.connect_timeout, min(self._access.idle_timeout, _PROBE_SECONDS))
        try:
            with self._session.get(url, timeout=seconds) as response:
                # The answer of a TLS server to plain HTTP.
                return response.status_code == BAD_REQUEST
        except requests.RequestException:
            return False  # the next request reports the error

    def retries(self, doing: str) -> Retries:
        """Return the retries of one operation; ``doing`` is a gerund for messages."""
        return Retries(self._access, self.registry, doing)

    def retried(self, operation: Callable[[], _T], *, doing: str) -> _T:
        """Call ``operation``, and retry it after transient errors.

        :raises UserError: if the last try fails.
        """
        retries = self.retries(doing)
        while True:
            with retries:
                return operation()

    def ask(self, method: str, place: str, **request: Any) -> Answer:
        """Return the answer to one request; see :meth:`exchange` for the parameters.

        :raises TransientError: if a retry may help.
        """
        with self.exchange(method, place, **request) as response:
            return self.answer(response)

    def answer(self, response: requests.Response) -> Answer:
        """Return the response with its body: a manifest whole, an error in part.

        :raises UserError: for a manifest of more than 4 MiB.
        :raises TransientError: if the connection ends too early.
        """
        if response.status_code == OK:
            body = b"".join(self.content(response, limit=DOCUMENT))
        else:
            body = self._start(response)
        return Answer(response.status_code, response.headers, body, response.url)

    @contextlib.contextmanager
    def exchange(
        self,
        method: str,
        place: str,
        *,
        scopes: tuple[str, ...],
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        body: Callable[[], bytes | IO[bytes]] | None = None,
    ) -> Iterator[requests.Response]:
        """Send one request, and send it again with credentials if the registry asks for them.

        ``place`` is a path below the registry, or a URL that it gave. ``body`` is called for each
        request. The response has any status except those of transient errors.

        :raises UserError: if the registry cannot be reached, or refuses the credentials.
        :raises TransientError: if a retry may help.
        """
        url = self.url(place)
        is_ours = origin(url) == origin(self._base)
        for is_last in (False, True):
            self._access.check_deadline(self.registry)
            sent = dict(headers or {})
            # A store behind the registry has its authorization in the URL.
            authorization = self._authorization.header(scopes) if is_ours else None
            if authorization is not None:
                sent["Authorization"] = authorization
            with self._sent(method, url, headers=sent, params=params, body=body) as response:
                challenge = response.headers.get("WWW-Authenticate", "")
                is_asked = response.status_code == UNAUTHORIZED and is_ours and not is_last
                if is_asked and self._authorization.answer(
                    challenge, scopes, sent=authorization, is_tls=self._base.startswith("https:")
                ):
                    continue
                if response.status_code in _TRANSIENT:
                    raise self._transient_error(response)
                yield response
                return

    def content(self, response: requests.Response, *, limit: int) -> Iterator[bytes]:
        """Yield the body of a response in pieces, without decoding.

        :raises UserError: if it is longer than ``limit`` bytes.
        :raises TransientError: if the connection ends too early.
        """
        import urllib3

        received = 0
        try:
            for chunk in response.raw.stream(_CHUNK, decode_content=False):
                self._access.check_deadline(self.registry)
                received += len(chunk)
                if received > limit:
                    raise self.corrupt(f"more than the expected {limit} bytes")
                yield chunk
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._connection_error(error, response.url) from error

    def _start(self, response: requests.Response) -> bytes:
        import urllib3

        from bigflow_backend.ground.foreign.http import read_start

        try:
            return read_start(response)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._connection_error(error, response.url) from error

    def url(self, place: str) -> str:
        """Return the absolute URL of a path, or of a ``Location``, which may be relative.

        :raises UserError: if it is not a valid URL, or changes from TLS to plain HTTP.
        """
        try:
            url = urljoin(self._base, place)
            origin(url)
        except ValueError as error:
            raise invalid_url(self.registry) from error
        base, found = urlsplit(self._base), urlsplit(url)
        if base.scheme == "https" and found.scheme == "http":
            if found.hostname == base.hostname:
                # A registry behind a TLS proxy may not know about TLS.
                return found._replace(scheme="https", netloc=base.netloc).geturl()
            raise _downgraded(self.registry, url)
        return url

    def corrupt(self, what: str) -> UserError:
        return UserError(
            f"the registry {self.registry} sent corrupt content: {what}",
            hint="try again; if it happens again, check the registry and the proxy in front of it",
        )

    def refusal(self, answer: Answer, *, doing: str, has_zstd: bool = False) -> UserError:
        """Return the error for an answer that the specification does not allow.

        ``has_zstd`` says that layers with Zstandard were pushed, which old registries refuse.
        """
        why = f"{status_text(answer.status)}{error_detail(answer.body, self._authorization.redact)}"
        elsewhere = self._elsewhere(answer.url)
        event = f"answered {why} while {doing}"
        if elsewhere is None and answer.status in {UNAUTHORIZED, FORBIDDEN}:
            return self._no_access(answer, event)
        hint = _HINTS.get(answer.status, "see the log of the registry or of its proxy")
        if has_zstd and answer.status in _NOT_SUPPORTED:
            hint = (
                "if it takes no layers with Zstandard, write into [tool.bigflow.image]:"
                f' compression = "gzip"; otherwise {hint}'
            )
        return UserError(
            f"the registry {self.registry} {redirects_to(elsewhere)}{event}", hint=hint
        )

    def _no_access(self, answer: Answer, event: str) -> UserError:
        credentials = self._authorization.credentials
        if credentials is not None:
            return UserError(
                f"the registry {self.registry} refuses the credentials from {credentials.source}: "
                f"it {event}",
                hint=f"log in again, or ask for the permission: docker login {self.registry}",
            )
        if answer.status == FORBIDDEN:
            return UserError(
                f"the registry {self.registry} refuses access: it {event}",
                hint=f"log in, or ask for the permission: docker login {self.registry}",
            )
        return UserError(
            f"the registry {self.registry} requires credentials: it {event}",
            hint=f"log in: docker login {self.registry}",
        )

    @contextlib.contextmanager
    def _sent(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None,
        body: Callable[[], bytes | IO[bytes]] | None,
    ) -> Iterator[requests.Response]:
        import requests
        import urllib3

        with contextlib.ExitStack() as stack:
            data = body() if body else None
            if data is not None and not isinstance(data, bytes):
                stack.enter_context(data)
            options: dict[str, Any] = {
                "headers": dict(headers),
                "params": params,
                "timeout": (self._access.connect_timeout, self._access.idle_timeout),
            }
            try:
                if method in {"GET", "HEAD"}:
                    response = self._session.follow(
                        method, url, allow=self._allow_redirect, **options
                    )
                else:
                    response = self._session.request(method, url, data=data, **options)
            # requests does not wrap errors while it sends a body, nor the ValueError of a redirect
            # to an invalid URL.
            except (
                requests.RequestException,
                urllib3.exceptions.HTTPError,
                OSError,
                ValueError,
            ) as error:
                # After a redirect, the URL of the last request.
                request = getattr(error, "request", None)
                raise self._connection_error(error, getattr(request, "url", url)) from error
            yield stack.enter_context(response)

    def _allow_redirect(self, before: str, after: str) -> None:
        if urlsplit(before).scheme == "https" and urlsplit(after).scheme == "http":
            raise _downgraded(self.registry, after)

    def _connection_error(self, error: Exception, url: str) -> TransientError:
        return connection_error(self.registry, error, sent_to=self._elsewhere(url))

    def _elsewhere(self, url: str) -> str | None:
        """Return the host and port of a URL, if they are not the registry's."""
        try:
            if origin(url) == origin(self._base):
                return None
        except ValueError:
            return None  # the URL is not valid
        return urlsplit(url).netloc.rpartition("@")[2]

    def _transient_error(self, response: requests.Response) -> TransientError:
        why = error_detail(self._start(response), self._authorization.redact)
        status = response.status_code
        hint = "try again later, or see its log"
        if status == TOO_MANY_REQUESTS:
            hint = f"try again later, or log in for a higher limit: docker login {self.registry}"
        return TransientError(
            f"{redirects_to(self._elsewhere(response.url))}answered {status_text(status)}{why}",
            hint=hint,
            retry_after=retry_after_seconds(response.headers.get("Retry-After")),
        )


def _session(registry: str, access: Access) -> Session:
    try:
        from bigflow_backend.ground.foreign.http import Session
    except ImportError as error:
        raise UserError(
            "the access to a registry needs the library requests, which is not installed",
            hint="pip install 'bigflow-backend[build]'",
        ) from error

    session = Session(access.deadline, registry_context(registry))
    session.headers["User-Agent"] = "bigflow-backend"
    # A blob is compressed already, and its digest is that of the bytes as sent.
    session.headers["Accept-Encoding"] = "identity"
    session.auth = _unchanged  # otherwise requests would read ~/.netrc
    session.verify = ca_bundle() or True
    if is_loopback(registry):
        session.trust_env = False  # this machine needs no proxy
    return session


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _downgraded(registry: str, url: str) -> UserError:
    # Without the query, which may be a signature.
    return UserError(
        f"the registry {registry} redirects to {urlsplit(url).netloc}, which has no TLS",
        hint="correct its configuration, or name it in insecure-registries",
    )
