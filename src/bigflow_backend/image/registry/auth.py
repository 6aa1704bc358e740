"""The Authorization header for a registry: basic authentication, or a bearer token.

https://distribution.github.io/distribution/spec/auth/token/ and, for identity tokens,
https://distribution.github.io/distribution/spec/auth/oauth/
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.text import parse_json
from bigflow_backend.image.reference import is_loopback
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
_LONGEST_ANSWER = 1 << 20
_TRY_AGAIN = 500


class Authorization:
    """The ``Authorization`` header for the requests to one registry."""

    def __init__(self, registry: str, access: Access, session: requests.Session) -> None:
        self.registry = registry
        self._access = access
        self._session = session
        self._basic: str | None = None
        self._tokens: dict[tuple[str, ...], str] = {}

    @functools.cached_property
    def credentials(self) -> Credentials | None:
        """The credentials; they are read when the registry asks for them."""
        return docker_credentials(self.registry)

    def header(self, scopes: tuple[str, ...]) -> str | None:
        """Return the header for these scopes, if the registry has asked for one."""
        token = self._tokens.get(scopes)
        return f"Bearer {token}" if token else self._basic

    def answer(self, challenge: str, scopes: tuple[str, ...]) -> bool:
        """Prepare the header that a ``WWW-Authenticate`` asks for; return False without one.

        :raises UserError: if the token server refuses the credentials, or fails.
        :raises TransientError: if a retry may help.
        """
        kind, _, parameters = challenge.partition(" ")
        # A registry may offer both; requests joins the headers with a comma.
        if bearer := re.search(r"\bBearer\s+(.*)", challenge, re.IGNORECASE):
            kind, parameters = "bearer", bearer[1]
        if kind.lower() == "bearer":
            self._tokens.pop(scopes, None)
            self._tokens[scopes] = self._token(dict(_PARAMETER.findall(parameters)), scopes)
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

    def _token(self, parameters: dict[str, str], scopes: tuple[str, ...]) -> str:
        realm = parameters.get("realm", "")
        self._check_realm(realm)
        credentials = self.credentials
        if credentials and credentials.registry_token:
            return credentials.registry_token
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
        if not isinstance(token, str) or not token:
            raise UserError(
                f"{urlsplit(realm).hostname} sent no token for the registry {self.registry}",
                hint=f"log in again: docker login {self.registry}",
            )
        return token

    def _check_realm(self, realm: str) -> None:
        """Refuse a token server without TLS, unless the registry may use plain HTTP."""
        try:
            place = urlsplit(realm)
        except ValueError as error:
            raise invalid_url(self.registry) from error
        plain_is_allowed = self._access.allows_plain_http(self.registry) or is_loopback(
            place.netloc
        )
        if place.scheme == "https" or (place.scheme == "http" and plain_is_allowed):
            return
        raise UserError(
            f"the registry {self.registry} names the token server {realm!r}, which has no TLS",
            hint="correct its configuration, or name it in insecure-registries",
        )

    def _ask(self, method: str, realm: str, **request: Any) -> dict[str, Any]:
        import requests
        import urllib3

        place = urlsplit(realm).netloc
        try:
            with self._session.request(
                method,
                realm,
                timeout=(self._access.connect_timeout, self._access.idle_timeout),
                # A redirect could send the credentials to anybody.
                allow_redirects=False,
                stream=True,
                **request,
            ) as response:
                body = response.raw.read(_LONGEST_ANSWER, decode_content=True)
                status = response.status_code
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            sent_to = None if place == self.registry else place
            raise connection_error(self.registry, error, sent_to=sent_to) from error
        if status == requests.codes.ok:
            try:
                answer = parse_json(body)
            except ValueError:
                answer = None
            return answer if isinstance(answer, dict) else {}
        why = f"answered {status_text(status)}{error_detail(body, self.redact)}"
        if status == requests.codes.too_many_requests or status >= _TRY_AGAIN:
            raise TransientError(f"gets no token: {place} {why}", hint="try again later")
        source = f"the credentials from {self.credentials.source}" if self.credentials else "us"
        raise UserError(
            f"{place}, the token server of the registry {self.registry}, refuses {source}: "
            f"it {why}",
            hint=f"log in again: docker login {self.registry}",
        )
