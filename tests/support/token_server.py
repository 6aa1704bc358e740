"""A server that gives the tokens for a registry, as those of public registries do.

https://distribution.github.io/distribution/spec/auth/jwt/
"""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["TokenServer", "token_server"]

_ISSUER = "issuer of the tests"
_SERVICE = "registry of the tests"


@dataclass
class TokenServer:
    """The server, and what it was asked."""

    url: str
    auth: dict[str, Any]
    """For the registry's configuration."""
    passwords: dict[str, str] = field(default_factory=dict)
    """The user who can push. Everybody can pull below ``public/``."""
    identity_tokens: set[str] = field(default_factory=set)
    """Each stands for somebody who may push."""
    lifetime: int = 300
    """Of the tokens, in seconds."""
    closed: set[str] = field(default_factory=set)
    """A request for the token of one of these repositories fails."""
    fail_with: int | None = None
    """Answers with this status."""
    issued: list[str] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)
    """The requested scopes, in the order of the requests."""


@contextlib.contextmanager
def token_server(home: Path) -> Iterator[TokenServer]:
    """A server on loopback, with its certificate in ``home``."""
    certificate = trustme.CA(key_type=trustme.KeyType.RSA).issue_cert(
        "tokens.test", key_type=trustme.KeyType.RSA
    )
    bundle = home / "tokens.pem"
    bundle.write_bytes(certificate.cert_chain_pems[0].bytes())
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        url = f"http://localhost:{server.server_port}/token"
        message = TokenServer(
            url,
            {
                "token": {
                    "realm": url,
                    "service": _SERVICE,
                    "issuer": _ISSUER,
                    "rootcertbundle": str(bundle),
                }
            },
        )
        server.RequestHandlerClass = type(
            "Handler", (_Handler,), {"server_state": message, "certificate": certificate}
        )
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield message
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    server_state: TokenServer
    certificate: trustme.LeafCert

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        kind, _, encoded = self.headers.get("Authorization", "").partition(" ")
        user = None
        if kind == "Basic":
            user, _, password = base64.b64decode(encoded).decode().partition(":")
            if self.server_state.passwords.get(user) != password:
                self._reply(401, {"errors": [{"code": "UNAUTHORIZED", "message": encoded}]})
                return
        self._grant("token", user, query["service"], query.get("scope", []))

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        (token,) = form["refresh_token"]
        if form["grant_type"] != ["refresh_token"] or form["client_id"] != ["bigflow"]:
            self._reply(400, {})
        elif token not in self.server_state.identity_tokens:
            self._reply(401, {"errors": [{"code": "UNAUTHORIZED", "message": token}]})
        else:
            self._grant("access_token", "by token", form["service"], form["scope"][0].split())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""

    def _grant(self, name: str, user: str | None, service: list[str], scopes: list[str]) -> None:
        state = self.server_state
        assert service == [_SERVICE]
        state.scopes += scopes
        if state.fail_with is not None:
            self._reply(state.fail_with, {})
            return
        access = []
        for scope in scopes:
            kind, path, actions = scope.split(":")
            if path in state.closed:
                self._reply(403, {})
                return
            allowed = [
                action
                for action in actions.split(",")
                if user is not None or (action == "pull" and path.startswith("public/"))
            ]
            access.append({"type": kind, "name": path, "actions": allowed})
        now = int(time.time())
        token = self._signed(
            {
                "iss": _ISSUER,
                "aud": _SERVICE,
                "sub": user or "",
                "iat": now,
                # The registry grants a minute for clocks that differ.
                "nbf": now - 60 + min(state.lifetime, 0),
                "exp": now + state.lifetime,
                "access": access,
            }
        )
        state.issued.append(token)
        self._reply(200, {name: token, "expires_in": state.lifetime})

    def _signed(self, claims: dict[str, Any]) -> str:
        chain = x509.load_pem_x509_certificate(self.certificate.cert_chain_pems[0].bytes())
        header = {
            "typ": "JWT",
            "alg": "RS256",
            "x5c": [base64.b64encode(chain.public_bytes(Encoding.DER)).decode()],
        }
        text = f"{_encoded(json.dumps(header).encode())}.{_encoded(json.dumps(claims).encode())}"
        key = load_pem_private_key(self.certificate.private_key_pem.bytes(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{text}.{_encoded(signature)}"

    def _reply(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
