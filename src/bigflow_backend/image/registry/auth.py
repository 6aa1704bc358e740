"""Who we are, said to a registry: basic authentication, or a bearer token for it.

https://distribution.github.io/distribution/spec/auth/token/ and, for identity tokens,
https://distribution.github.io/distribution/spec/auth/oauth/
"""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.reference import is_loopback
from bigflow_backend.image.registry.credentials import Credentials, docker_credentials
from bigflow_backend.image.registry.errors import (
    TransientError,
    connection_fault,
    no_address,
    said,
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
        """Read when the registry asks for them, not before."""
        return docker_credentials(self.registry)

    def header(self, scopes: tuple[str, ...]) -> str | None:
        """What to send for these scopes, as far as the registry has asked for something."""
        token = self._tokens.get(scopes)
        return f"Bearer {token}" if token else self._basic

    def answer(self, challenge: str, scopes: tuple[str, ...]) -> bool:
        """Prepares the header that a ``WWW-Authenticate`` asks for; False when we have none.

        :raises UserError: when the server that gives the tokens refuses or fails.
        :raises TransientError: when another try may help.
        """
        kind, _, parameters = challenge.partition(" ")
        # A registry may offer both; the headers come joined with a comma.
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
        """The text without our secrets, should a server send them back."""
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
                f"{urlsplit(realm).hostname} gave no token for the registry {self.registry}",
                hint=f"log in again: docker login {self.registry}",
            )
        return token

    def _check_realm(self, realm: str) -> None:
        """Credentials go nowhere without TLS, unless the registry itself may be spoken to so."""
        try:
            place = urlsplit(realm)
        except ValueError as error:
            raise no_address(self.registry) from error
        plain_is_allowed = self._access.allows_plain_http(self.registry) or is_loopback(
            place.netloc
        )
        if place.scheme == "https" or (place.scheme == "http" and plain_is_allowed):
            return
        raise UserError(
            f"the registry {self.registry} sends to {realm!r} for a token, which has no TLS",
            hint="correct its configuration, or allow plain HTTP for it",
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
                # A redirection could lead the credentials to anybody.
                allow_redirects=False,
                stream=True,
                **request,
            ) as response:
                body = response.raw.read(_LONGEST_ANSWER, decode_content=True)
                status = response.status_code
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            sent_to = None if place == self.registry else place
            raise connection_fault(self.registry, error, sent_to=sent_to) from error
        if status == requests.codes.ok:
            try:
                answer = json.loads(body)
            except ValueError:
                answer = None
            return answer if isinstance(answer, dict) else {}
        why = f"answered {status_text(status)}{said(body, self.redact)}"
        if status == requests.codes.too_many_requests or status >= _TRY_AGAIN:
            raise TransientError(f"has no tokens: {place} {why}", hint="try again later")
        source = f"the credentials from {self.credentials.source}" if self.credentials else "us"
        raise UserError(
            f"{place}, which gives the tokens for the registry {self.registry}, refuses {source}: "
            f"it {why}",
            hint=f"log in again: docker login {self.registry}",
        )
