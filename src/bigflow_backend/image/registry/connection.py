"""Requests to one registry: authorised, checked, and with its faults told apart."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin, urlsplit

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.reference import DOCKER_HUB, is_loopback
from bigflow_backend.image.registry.auth import Authorization
from bigflow_backend.image.registry.errors import (
    TransientError,
    connection_fault,
    no_address,
    said,
    sends_to,
    status_text,
)
from bigflow_backend.image.registry.retry import Access, Patience, retry_after_seconds
from bigflow_backend.image.registry.tls import ca_bundle, registry_adapter

if TYPE_CHECKING:
    import requests

_T = TypeVar("_T")

_HUB_HOST = "registry-1.docker.io"
# The specification lets a registry refuse manifests beyond 4 MiB; nothing else is read whole.
_LONGEST_ANSWER = 4 << 20
_CHUNK = 1 << 18
_PROBE_SECONDS = 5

OK, CREATED, ACCEPTED, NO_CONTENT, PARTIAL = 200, 201, 202, 204, 206
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, NOT_ALLOWED = 400, 401, 403, 404, 405
TOO_LARGE = 413
RANGE_NOT_SATISFIABLE, TOO_MANY_REQUESTS = 416, 429
# What a server answers that is overloaded, restarted, or behind a proxy that waits for it.
_TRANSIENT = frozenset({TOO_MANY_REQUESTS, 500, 502, 503, 504})
_CHECK_NAME = "check the image's name; the registry's log may tell more"
_HINTS = {
    BAD_REQUEST: _CHECK_NAME,
    NOT_FOUND: _CHECK_NAME,
    NOT_ALLOWED: "check the registry's name; a mirror, or what is no registry, takes no images",
    TOO_LARGE: "the registry, or a proxy before it, limits the size of what is sent: raise that "
    "limit, or split what makes the layer large",
}


@dataclass(frozen=True)
class Answer:
    """A response that was read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    """Of the server that answered: the registry may have sent us to another."""


class Registries(contextlib.AbstractContextManager["Registries"]):
    """The connections of a build; closed at the end of the block."""

    def __init__(self, access: Access | None = None) -> None:
        self.access = access or Access()
        self._connections: dict[str, Connection] = {}

    def connection(self, registry: str) -> Connection:
        """The connection to a registry: made when the first request is sent, then kept.

        :raises UserError: when the library that it takes is not installed.
        """
        if registry not in self._connections:
            self._connections[registry] = Connection(registry, self.access)
        return self._connections[registry]

    def __exit__(self, *_exception: object) -> None:
        for connection in self._connections.values():
            connection.close()


class Connection:
    """A registry, as the distribution specification describes it.

    https://github.com/opencontainers/distribution-spec/blob/main/spec.md
    """

    def __init__(self, registry: str, access: Access) -> None:
        self.registry = registry
        self._access = access
        self._session = _session(registry)
        self._authorization = Authorization(registry, access, self._session)

    def close(self) -> None:
        self._session.close()

    @functools.cached_property
    def _base(self) -> str:
        """Where the registry is. What is on this machine may speak TLS, or not: it is tried."""
        host = _HUB_HOST if self.registry == DOCKER_HUB else self.registry
        if not self._access.allows_plain_http(self.registry):
            return f"https://{host}"
        if is_loopback(self.registry) and self._refuses_plain_http(f"http://{host}/v2/"):
            return f"https://{host}"
        return f"http://{host}"

    def _refuses_plain_http(self, url: str) -> bool:
        import requests

        # Silence costs little here: what comes next has all the time that it may have.
        seconds = (self._access.connect_timeout, min(self._access.idle_timeout, _PROBE_SECONDS))
        try:
            with self._session.get(url, timeout=seconds, allow_redirects=False) as response:
                # What TLS servers say to those who do not begin with a handshake.
                return response.status_code == BAD_REQUEST
        except requests.RequestException:
            return False  # the request that is to be made will tell

    def patience(self, doing: str) -> Patience:
        """The tries of something; ``doing`` is a gerund for its faults."""
        return Patience(self._access, self.registry, doing)

    def patiently(self, operation: Callable[[], _T], *, doing: str) -> _T:
        """Repeats what failed, as long as another try may help.

        :raises UserError: when none is left.
        """
        patience = self.patience(doing)
        while True:
            with patience:
                return operation()

    def ask(self, method: str, place: str, **request: Any) -> Answer:
        """One request whose response is short; see :meth:`exchange` for the parameters.

        :raises TransientError: when another try may help.
        """
        with self.exchange(method, place, **request) as response:
            body = b"".join(self.content(response, limit=_LONGEST_ANSWER))
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
        """One request, sent again with credentials where the registry asks for them.

        ``place`` is a path below the registry, or a URL that it gave. ``body`` is called for each
        sending. The response is of any status but those that tell of a passing failure.

        :raises UserError: when the registry cannot be reached, or may not be used by us.
        :raises TransientError: when another try may help.
        """
        url = self.url(place)
        is_ours = _origin(url) == _origin(self._base)
        for is_last in (False, True):
            self._access.check_deadline(self.registry)
            sent = dict(headers or {})
            # A store behind the registry has its own authorisation in the URL.
            if is_ours and (authorization := self._authorization.header(scopes)):
                sent["Authorization"] = authorization
            with self._sent(method, url, headers=sent, params=params, body=body) as response:
                challenge = response.headers.get("WWW-Authenticate", "")
                is_asked = response.status_code == UNAUTHORIZED and is_ours and not is_last
                if is_asked and self._authorization.answer(challenge, scopes):
                    continue
                if response.status_code in _TRANSIENT:
                    raise self._passing_failure(response)
                yield response
                return

    def content(self, response: requests.Response, *, limit: int) -> Iterator[bytes]:
        """The body of a response as it was sent, in pieces.

        :raises UserError: when it is longer than ``limit`` bytes.
        :raises TransientError: when the connection ends before it is complete.
        """
        import urllib3

        received = 0
        try:
            for chunk in response.raw.stream(_CHUNK, decode_content=False):
                self._access.check_deadline(self.registry)
                received += len(chunk)
                if received > limit:
                    raise self.corrupt(f"more than the {limit} bytes that it should have")
                yield chunk
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._connection_fault(error, response.url) from error

    def url(self, place: str) -> str:
        """The absolute URL of a path, or of a ``Location``, which may be relative.

        :raises UserError: when it leads from TLS to plain HTTP, or nowhere.
        """
        try:
            url = urljoin(self._base, place)
            _origin(url)
        except ValueError as error:
            raise no_address(self.registry) from error
        base, found = urlsplit(self._base), urlsplit(url)
        if base.scheme == "https" and found.scheme == "http":
            if found.hostname == base.hostname:
                # A registry behind a proxy that does TLS for it may not know of it.
                return found._replace(scheme="https", netloc=base.netloc).geturl()
            raise _downgraded(self.registry, url)
        return url

    def corrupt(self, what: str) -> UserError:
        return UserError(
            f"the registry {self.registry} sent corrupt content: {what}",
            hint="try again; if it stays so, the registry or a proxy before it is damaged",
        )

    def refusal(self, answer: Answer, *, doing: str) -> UserError:
        """The fault of a response that is not what the specification foresees."""
        why = f"{status_text(answer.status)}{said(answer.body, self._authorization.redact)}"
        elsewhere = self._elsewhere(answer.url)
        told = f"answered {why} while {doing}"
        if elsewhere is None and answer.status in {UNAUTHORIZED, FORBIDDEN}:
            return self._no_access(answer, told)
        return UserError(
            f"the registry {self.registry} {sends_to(elsewhere)}{told}",
            hint=_HINTS.get(answer.status, "see the log of the registry, or of a proxy before it"),
        )

    def _no_access(self, answer: Answer, told: str) -> UserError:
        credentials = self._authorization.credentials
        if credentials is not None:
            return UserError(
                f"the registry {self.registry} refuses the credentials from {credentials.source}: "
                f"it {told}",
                hint=f"log in again, or ask for the right: docker login {self.registry}",
            )
        if answer.status == FORBIDDEN:
            return UserError(
                f"the registry {self.registry} refuses access: it {told}",
                hint=f"log in, or ask for the right: docker login {self.registry}",
            )
        return UserError(
            f"the registry {self.registry} wants credentials: it {told}",
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
            try:
                response = self._session.request(
                    method,
                    url,
                    headers=headers,
                    params=params,
                    data=data,
                    timeout=(self._access.connect_timeout, self._access.idle_timeout),
                    allow_redirects=method in {"GET", "HEAD"},
                    stream=True,
                )
            # urllib3's own errors, and the system's, come through when a body cannot be sent;
            # ValueError when a redirection leads nowhere.
            except (
                requests.RequestException,
                urllib3.exceptions.HTTPError,
                OSError,
                ValueError,
            ) as error:
                # Of the last request: a redirection leads to another than the first.
                request = getattr(error, "request", None)
                raise self._connection_fault(error, getattr(request, "url", url)) from error
            yield stack.enter_context(response)

    def _connection_fault(self, error: Exception, url: str) -> TransientError:
        return connection_fault(self.registry, error, sent_to=self._elsewhere(url))

    def _elsewhere(self, url: str) -> str | None:
        """The host and port of a URL, where they are not those of the registry."""
        try:
            if _origin(url) == _origin(self._base):
                return None
        except ValueError:
            return None  # the URL that has failed may be none
        return urlsplit(url).netloc.rpartition("@")[2]

    def _passing_failure(self, response: requests.Response) -> TransientError:
        body = b"".join(self.content(response, limit=_LONGEST_ANSWER))
        why = said(body, self._authorization.redact)
        status = response.status_code
        hint = "try again later, or see its log"
        if status == TOO_MANY_REQUESTS:
            hint = f"try again later; who logs in may ask more often: docker login {self.registry}"
        return TransientError(
            f"{sends_to(self._elsewhere(response.url))}answered {status_text(status)}{why}",
            hint=hint,
            retry_after=retry_after_seconds(response.headers.get("Retry-After")),
        )


def _session(registry: str) -> requests.Session:
    try:
        import requests
    except ImportError as error:
        raise UserError(
            "speaking to a registry takes the library requests, which is not installed",
            hint="pip install 'bigflow-backend[build]'",
        ) from error

    class Session(requests.Session):
        def rebuild_auth(
            self, prepared_request: requests.PreparedRequest, response: requests.Response
        ) -> None:
            """Called before a redirection is followed: nobody else gets our credentials.

            Unlike the method in the library it does not look for others in ``~/.netrc``.
            """
            before, after = str(response.request.url), str(prepared_request.url)
            if urlsplit(before).scheme == "https" and urlsplit(after).scheme == "http":
                raise _downgraded(registry, after)
            if _origin(before) != _origin(after):
                prepared_request.headers.pop("Authorization", None)

    session = Session()
    session.headers["User-Agent"] = "bigflow-backend"
    # A blob is compressed already, and its digest is that of what is sent.
    session.headers["Accept-Encoding"] = "identity"
    session.auth = _unchanged  # else ~/.netrc would be asked
    session.verify = ca_bundle() or True
    if adapter := registry_adapter(registry):
        session.mount("https://", adapter)
    if is_loopback(registry):
        session.trust_env = False  # no proxy stands between us and this machine
    return session


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _downgraded(registry: str, url: str) -> UserError:
    # Without the query, which may be a signature.
    return UserError(
        f"the registry {registry} sends to {urlsplit(url).netloc}, which has no TLS",
        hint="correct its configuration, or allow plain HTTP for it",
    )


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """
    :raises ValueError: when it is no URL.
    """
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port
