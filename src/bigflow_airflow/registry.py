"""Requests to one repository of a registry, by the distribution protocol.

What a registry sends is hostile: each body has a limit, all waits end at a deadline, and
credentials go to nobody but the registry and its token server.
https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import functools
import hashlib
import http.client
import io
import ipaddress
import json
import re
import socket
import ssl
import time
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

from bigflow_airflow.credentials import Credentials
from bigflow_airflow.errors import RegistryError

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LARGEST_MANIFEST = 4 * 1024 * 1024
_LARGEST_TOKEN = 64 * 1024
_CONNECT_SECONDS = 10
_ATTEMPTS = 3
_PAUSE_SECONDS = 1
_REDIRECTS = 10
_MOVED = {301, 302, 303, 307, 308}
_DIGEST = re.compile("sha256:[0-9a-f]{64}")
_PARAMETER = re.compile('([a-zA-Z]+)="([^"]*)"')
_NAME = re.compile(
    r"(?P<host>([a-zA-Z0-9.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?)/(?P<path>[a-z0-9._/-]+)"
)
_TOKEN_SERVICES = {"docker.io": "auth.docker.io", "registry.gitlab.com": "gitlab.com"}
_Result = TypeVar("_Result")
_SHARED_DOMAIN = re.compile(r"[^.]*|(com|co|net|org|gov|edu|ac|gob)\.[a-z]{2}")


class _TransientError(RegistryError):
    """A repetition may help."""


def is_digest(text: object) -> bool:
    """Return whether the text is a digest that we can verify."""
    return isinstance(text, str) and bool(_DIGEST.fullmatch(text))


def split_name(image: str) -> tuple[str, str]:
    """Return the registry and the path of a repository such as ``registry.example.com/rides``.

    :raises ValueError: if it has no registry, or has a tag.
    """
    match = _NAME.fullmatch(image)
    if match is None or ".." in image or "//" in image:
        raise ValueError(
            f"the image must be like 'registry.example.com/team/project', no tag: got {image!r}"
        )
    return match["host"], match["path"]


class Repository:
    """A repository. It is made for a few requests, which all end ``timeout`` seconds from then."""

    def __init__(
        self,
        image: str,
        *,
        credentials: Callable[[], Credentials | None],
        known_hosts: Callable[[], set[str]] = set,
        ca_file: str | None = None,
        plain_http: bool | None = None,
        timeout: float = 60,
    ) -> None:
        self._registry, self._path = split_name(image)
        server = "registry-1.docker.io" if self._registry == "docker.io" else self._registry
        self._is_plain = _is_loopback(self._registry) if plain_http is None else plain_http
        self._base = f"{'http' if self._is_plain else 'https'}://{server}/v2/{self._path}/"
        self._credentials = credentials
        self._known_hosts = known_hosts
        self._ca_file = ca_file
        self._deadline = time.monotonic() + timeout
        self._authorization: str | None = None

    def digest(self, tag: str) -> str:
        """Return the digest of the manifest that has a tag.

        :raises RegistryError: if the registry does not answer, or does not have the tag.
        """
        with self._ask("HEAD", f"manifests/{tag}") as answer:
            digest = answer.headers.get("Docker-Content-Digest")
        if is_digest(digest):
            return str(digest)
        with self._ask("GET", f"manifests/{tag}") as answer:
            return _digest(self._body(answer, LARGEST_MANIFEST))

    def manifest(self, digest: str) -> bytes:
        """Return the manifest with this digest.

        :raises RegistryError: if the registry does not answer, or sends something else.
        """
        return self._content(f"manifests/{digest}", digest, LARGEST_MANIFEST)

    def blob(self, digest: str, size: int) -> bytes:
        """Return the blob with this digest and size.

        :raises RegistryError: if the registry does not answer, or sends something else.
        """
        return self._content(f"blobs/{digest}", digest, size)

    def _content(self, path: str, digest: str, limit: int) -> bytes:
        def read() -> bytes:
            with self._ask_once("GET", path) as answer:
                content = self._body(answer, limit)
            if _digest(content) != digest:  # a connection that was cut looks like this, too
                raise _TransientError(f"{self._registry} sent content that is not {digest}")
            return content

        return self._retried(read)

    def _ask(self, method: str, path: str) -> Any:
        return self._retried(lambda: self._ask_once(method, path))

    def _retried(self, work: Callable[[], _Result]) -> _Result:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return work()
            except _TransientError:
                if attempt == _ATTEMPTS or self._left() <= _PAUSE_SECONDS:
                    raise
            time.sleep(_PAUSE_SECONDS)
        raise AssertionError

    def _ask_once(self, method: str, path: str) -> Any:
        """Return the answer with the status 200; its body is not read yet."""
        answer = self._send(method, self._base + path)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            answer.close()
            self._authorization = self._answer(answer.headers.get("WWW-Authenticate") or "")
            answer = self._send(method, self._base + path)
        if answer.status == HTTPStatus.OK:
            return answer
        answer.close()
        kind = _TransientError if _is_transient(answer.status) else RegistryError
        raise kind(
            f"{self._registry} answered {answer.status} to {method} {self._path}/{path}"
            + ("" if answer.status != HTTPStatus.NOT_FOUND else ": it is not there")
        )

    def _answer(self, challenge: str) -> str:
        """Return the header ``Authorization`` that a registry asks for."""
        credentials = self._credentials()
        bearer = re.search(r"\bBearer\s+(.*)", challenge, re.IGNORECASE)
        if bearer:
            return f"Bearer {self._token(dict(_PARAMETER.findall(bearer[1])), credentials)}"
        if credentials is None:
            raise RegistryError(f"{self._registry} requires credentials, and does not get any")
        if not challenge.lower().startswith("basic"):
            raise RegistryError(f"{self._registry} requires an unknown kind of credentials")
        return credentials.basic

    def _token(self, parameters: dict[str, str], credentials: Credentials | None) -> str:
        realm = parameters.get("realm", "")
        self._check_url(realm)
        server = urlsplit(realm).netloc.rpartition("@")[2]
        if credentials and not self._may_receive(server):
            raise RegistryError(
                f"{self._registry} wants its password to be sent to {server[:100]!r}, "
                "which Docker's config.json does not name"
            )
        query = {"scope": f"repository:{self._path}:pull"}
        if service := parameters.get("service"):
            query["service"] = service
        url = realm + ("&" if "?" in realm else "?") + urlencode(query)
        header = {"Authorization": credentials.basic} if credentials else {}
        with self._open("GET", url, header) as answer:  # redirects are not followed
            status = answer.status
            body = self._body(answer, _LARGEST_TOKEN) if status == HTTPStatus.OK else b"{}"
        if status != HTTPStatus.OK:
            kind = _TransientError if _is_transient(status) else RegistryError
            raise kind(f"{server}, the token server of {self._registry}, answered {status}")
        try:
            document = json.loads(body)
            token = document.get("token") or document.get("access_token")
        except (ValueError, AttributeError, RecursionError):
            token = None
        if not isinstance(token, str) or not re.fullmatch("[!-~]+", token):
            raise RegistryError(f"{server} sent no token for {self._registry}")
        return token

    def _may_receive(self, server: str) -> bool:
        """Return whether a token server may get the password of the registry.

        The rule is that of the build: docs/how-to/registries.md, "Token servers".
        """
        registry = self._registry
        if server in {registry, _TOKEN_SERVICES.get(registry)} or server in self._known_hosts():
            return True
        if _is_loopback(registry) or _is_loopback(server):
            return False  # each port of this machine may belong to another user
        host, other = (urlsplit(f"//{place}").hostname or "" for place in (registry, server))
        domain = host.partition(".")[2]
        if _SHARED_DOMAIN.fullmatch(domain) or domain.replace(".", "").isdecimal():
            return other == host or other.endswith(f".{host}")
        return other in {host, domain} or other.endswith(f".{domain}")

    def _send(self, method: str, url: str) -> Any:
        """Return the answer after all redirects. Another server gets no credentials."""
        headers = {"Accept": MANIFEST}
        if self._authorization:
            headers["Authorization"] = self._authorization
        for _ in range(_REDIRECTS + 1):
            answer = self._open(method, url, headers)
            target = answer.headers.get("Location")
            if answer.status not in _MOVED or not target:
                return answer
            answer.close()  # its body is not read
            try:
                target = urljoin(url, target)
            except ValueError:
                target = ""
            self._check_url(target)
            if urlsplit(target)[:2] != urlsplit(url)[:2]:
                headers.pop("Authorization", None)
            url = target
        raise RegistryError(f"{self._registry} sent more than {_REDIRECTS} redirects")

    def _check_url(self, url: str) -> None:
        """Raise an error for a URL that the registry names, if it leaves TLS."""
        try:
            parts = urlsplit(url)
            host = parts.hostname
        except ValueError:
            host = None
        else:
            if host and (parts.scheme == "https" or (parts.scheme == "http" and self._is_plain)):
                return
        raise RegistryError(f"{self._registry} names a server without TLS, or an invalid URL")

    def _open(self, method: str, url: str, headers: dict[str, str]) -> Any:
        """Return the answer to one request."""
        host = urlsplit(url).hostname or ""
        director = urllib.request.OpenerDirector()  # it follows no redirect, and opens no file
        if not _is_loopback(urlsplit(url).netloc):
            director.add_handler(urllib.request.ProxyHandler())
        try:
            if url.startswith("https:"):
                director.add_handler(_TLS(self._deadline, self._tls))
            else:
                director.add_handler(_Plain(self._deadline))
            request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310
            answer = director.open(request, timeout=min(self._left(), _CONNECT_SECONDS))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _unreachable(host, error) from None
        if answer is None:
            raise RegistryError(f"{self._registry} names an invalid URL")
        return answer

    @functools.cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._ca_file:
            context.load_verify_locations(self._ca_file)
        return context

    def _body(self, answer: Any, limit: int) -> bytes:
        try:
            content: bytes = answer.read(limit + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _unreachable(self._registry, error) from None
        if len(content) > limit:
            raise RegistryError(f"{self._registry} sent more than {limit} bytes")
        return content

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise RegistryError(f"{self._registry} does not answer in time")
        return left


def _is_transient(status: int) -> bool:
    return status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _unreachable(host: str, error: Exception) -> RegistryError:
    reason = getattr(error, "reason", error)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return RegistryError(f"the certificate of {host} is not valid: {reason.verify_message}")
    if isinstance(reason, TimeoutError):
        return _TransientError(f"{host} does not answer in time")
    if isinstance(reason, OSError):
        return _TransientError(
            f"{host} cannot be reached: {reason.strerror or type(reason).__name__}"
        )
    return _TransientError(f"{host} sent an answer that is not HTTP: {type(error).__name__}")


def _is_loopback(server: str) -> bool:
    """Return whether a server is on this machine, where plain HTTP is as safe as TLS."""
    host = ""
    try:
        host = urlsplit(f"//{server}").hostname or ""
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class _Reader(io.RawIOBase):
    """The data of a socket. Each wait ends at the deadline, however slowly the data come."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._socket = sock
        self._deadline = deadline
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer that is read until the deadline."""

    def __init__(self, sock: socket.socket, *args: Any, deadline: float, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_Reader(sock, deadline))


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, deadline: float) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, request: Any) -> Any:
        return self.do_open(self._connection, request)

    def _connection(self, host: str, **options: Any) -> http.client.HTTPConnection:
        return _timed(http.client.HTTPConnection(host, **options), self._deadline)


class _TLS(urllib.request.HTTPSHandler):
    def __init__(self, deadline: float, tls: ssl.SSLContext) -> None:
        super().__init__(context=tls)
        self._tls = tls
        self._deadline = deadline

    def https_open(self, request: Any) -> Any:
        return self.do_open(self._connection, request)

    def _connection(self, host: str, **options: Any) -> http.client.HTTPConnection:
        connection = http.client.HTTPSConnection(host, context=self._tls, **options)
        return _timed(connection, self._deadline)


def _timed(connection: http.client.HTTPConnection, deadline: float) -> http.client.HTTPConnection:
    vars(connection)["response_class"] = functools.partial(_Response, deadline=deadline)
    return connection
