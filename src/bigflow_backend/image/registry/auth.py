"""The Authorization header for a registry: basic authentication, or a bearer token.

https://distribution.github.io/distribution/spec/auth/token/ and, for identity tokens,
https://distribution.github.io/distribution/spec/auth/oauth/
"""

from __future__ import annotations

import functools
import re
import threading
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import urlsplit

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.documents import DocumentError, read_json
from bigflow_backend.ground.foreign.text import quoted
from bigflow_backend.image.reference import DOCKER_HUB, is_loopback
from bigflow_backend.image.registry.credentials import Credentials, docker_credentials
from bigflow_backend.image.registry.errors import (
    TransientError,
    connection_error,
    error_detail,
    invalid_url,
    status_text,
)

if TYPE_CHECKING:
    import requests

    from bigflow_backend.image.registry.retry import Access

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_TRY_AGAIN = 500
# Token services whose name has nothing in common with the registry's:
# https://distribution.github.io/distribution/spec/auth/token/ , https://docs.gitlab.com/administration/packages/container_registry/
_TOKEN_SERVICES = {DOCKER_HUB: "auth.docker.io", "registry.gitlab.com": "gitlab.com"}
# Below these, neighbours belong to different owners: example.co.uk, example.com.au.
_SHARED_DOMAIN = re.compile(r"[^.]+|(?:co|com|net|org|gov|edu|ac|or|ne|go)\.[a-z]{2}")


class _Token(TypedDict, total=False):
    """The answer of a token server."""

    token: str | None
    access_token: str | None


class Authorization:
    """The ``Authorization`` header for the requests to one registry."""

    def __init__(self, registry: str, access: Access, session: requests.Session) -> None:
        self.registry = registry
        self._access = access
        self._session = session
        self._basic: str | None = None
        self._tokens: dict[tuple[str, ...], str] = {}
        # Transfers that run at once need one token, and one question to a credential helper.
        self._lock = threading.Lock()

    @functools.cached_property
    def credentials(self) -> Credentials | None:
        """The credentials; they are read when the registry asks for them."""
        return docker_credentials(self.registry)

    def header(self, scopes: tuple[str, ...]) -> str | None:
        """Return the header for these scopes, if the registry has asked for one."""
        token = self._tokens.get(scopes)
        return f"Bearer {token}" if token else self._basic

    def answer(
        self, challenge: str, scopes: tuple[str, ...], *, sent: str | None, is_tls: bool
    ) -> bool:
        """Prepare the header that a ``WWW-Authenticate`` asks for; return False without one.

        ``sent`` is the header that the registry has refused. ``is_tls`` says whether the registry
        has been asked over TLS.

        :raises UserError: if the token server refuses the credentials, or fails.
        :raises TransientError: if a retry may help.
        """
        with self._lock:
            if self.header(scopes) not in {None, sent}:
                return True  # another thread has prepared it
            return self._answer(challenge, scopes, is_tls=is_tls)

    def _answer(self, challenge: str, scopes: tuple[str, ...], *, is_tls: bool) -> bool:
        kind, _, parameters = challenge.partition(" ")
        # A registry may offer both; requests joins the headers with a comma.
        if bearer := re.search(r"\bBearer\s+(.*)", challenge, re.IGNORECASE):
            kind, parameters = "bearer", bearer[1]
        if kind.lower() == "bearer":
            self._tokens.pop(scopes, None)
            self._tokens[scopes] = self._token(
                dict(_PARAMETER.findall(parameters)), scopes, is_tls=is_tls
            )
            return True
        if kind.lower() == "basic" and self.credentials and self.credentials.password:
            self._basic = f"Basic {self.credentials.basic}"
            return True
        return False

    def redact(self, text: str) -> str:
        """Return the text without our secrets, which a server may send back."""
        known = list(self._tokens.values())
        if "credentials" in vars(self) and self.credentials:
            known += self.credentials.secrets
        for secret in known:
            text = text.replace(secret, "***")
        return text

    def _token(self, parameters: dict[str, str], scopes: tuple[str, ...], *, is_tls: bool) -> str:
        realm = parameters.get("realm", "")
        server = self._token_server(realm, is_tls=is_tls)
        credentials = self.credentials
        if credentials and credentials.registry_token:
            return credentials.registry_token
        if credentials and not may_receive(server, self.registry, credentials):
            raise UserError(
                f"the registry {self.registry} asks for its password to be sent to the token "
                f"server {server}, which Docker's config.json does not name",
                hint=f"if that server is the registry's, add it there: "
                f'"auths": {{"{server}": {{}}}}',
            )
        query = {"service": parameters.get("service", ""), "scope": list(scopes)}
        if credentials and credentials.identity_token:
            form = {
                "grant_type": "refresh_token",
                "client_id": "bigflow",
                "service": query["service"],
                "scope": " ".join(scopes),
                "refresh_token": credentials.identity_token,
            }
            answer = self._ask("POST", realm, data=form)
        elif credentials:
            header = {"Authorization": f"Basic {credentials.basic}"}
            answer = self._ask("GET", realm, params=query, headers=header)
        else:
            answer = self._ask("GET", realm, params=query)
        token = answer.get("token") or answer.get("access_token")
        if not token or not token.isascii() or not token.isprintable():
            raise UserError(
                f"{server} sent no token for the registry {self.registry}",
                hint=f"log in again: docker login {self.registry}",
            )
        return token

    def _token_server(self, realm: str, *, is_tls: bool) -> str:
        """Return host and port of the token server.

        :raises UserError: for one without TLS, unless the registry has none either.
        """
        try:
            place = urlsplit(realm)
            port = f":{place.port}" if place.port else ""
        except ValueError as error:
            raise invalid_url(self.registry) from error
        server = f"{place.hostname or ''}{port}"
        plain_is_allowed = not is_tls and (
            self._access.allows_plain_http(self.registry) or is_loopback(server)
        )
        if place.scheme == "https" or (place.scheme == "http" and plain_is_allowed):
            return quoted(server)
        raise UserError(
            f"the registry {self.registry} names the token server "
            f"{quoted(f'{place.scheme}://{server}')!r}, which has no TLS",
            hint="correct the registry's configuration"
            + ("" if is_tls else ", or name it in insecure-registries"),
        )

    def _ask(self, method: str, realm: str, **request: Any) -> _Token:
        import requests
        import urllib3

        from bigflow_backend.ground.foreign.http import read_start

        place = quoted(urlsplit(realm).netloc.rpartition("@")[2])
        try:
            # A redirect is not followed: it could send the credentials to anybody.
            with self._session.request(
                method,
                realm,
                timeout=(self._access.connect_timeout, self._access.idle_timeout),
                **request,
            ) as response:
                body = read_start(response)
                status = response.status_code
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            sent_to = None if place == self.registry else place
            raise connection_error(self.registry, error, sent_to=sent_to) from error
        if status == requests.codes.ok:
            try:
                return read_json(body, _Token)
            except DocumentError:
                return {}
        why = f"answered {status_text(status)}{error_detail(body, self.redact)}"
        if status == requests.codes.too_many_requests or status >= _TRY_AGAIN:
            raise TransientError(f"gets no token: {place} {why}", hint="try again later")
        source = f"the credentials from {self.credentials.source}" if self.credentials else "us"
        raise UserError(
            f"{place}, the token server of the registry {self.registry}, refuses {source}: "
            f"it {why}",
            hint=f"log in again: docker login {self.registry}",
        )


def may_receive(server: str, registry: str, credentials: Credentials) -> bool:
    """Return whether a token server may get the credentials of a registry.

    It may if it is the registry's own host, is its documented token service, belongs to the same
    domain, or is named in Docker's configuration. docs/decisions/ has the reasons.
    """
    if server in {registry, _TOKEN_SERVICES.get(registry)} or server in credentials.known_hosts:
        return True
    if is_loopback(registry) or is_loopback(server):
        return False  # each port of this machine may belong to another user
    host, other = (urlsplit(f"//{place}").hostname or "" for place in (registry, server))
    if host == other:
        return True
    domain = host.partition(".")[2]
    if _SHARED_DOMAIN.fullmatch(domain) or not domain or domain.replace(".", "").isdecimal():
        return other.endswith(f".{host}")
    return other == domain or other.endswith(f".{domain}")
