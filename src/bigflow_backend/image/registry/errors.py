"""What goes wrong between us and a registry, in the user's words."""

from __future__ import annotations

import http
import json
import socket
from collections.abc import Callable

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.text import one_line

_LONGEST = 200


class TransientError(Exception):
    """A failure that may be gone at the next try.

    ``reason`` says what the registry did: ``answered 500 (Internal Server Error)``.
    """

    def __init__(self, reason: str, *, hint: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.retry_after = retry_after
        """How many seconds the registry asks to wait."""


def status_text(status: int) -> str:
    """``404 (Not Found)``"""
    try:
        return f"{status} ({http.HTTPStatus(status).phrase})"
    except ValueError:
        return str(status)


def said(body: bytes, redact: Callable[[str], str]) -> str:
    """What a registry says of an error, as the end of a sentence; nothing when it says nothing.

    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
    """
    try:
        error = json.loads(body)["errors"][0]
        text = str(error.get("message") or error["code"])
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
    return f": {shortened(redact(one_line(text)))}" if text else ""


def shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def connection_fault(
    registry: str, error: Exception, *, sent_to: str | None = None
) -> TransientError:
    """The fault of a connection that could not be made, or did not hold.

    ``sent_to`` is the host that failed, where it is another one than the registry, which named it.
    The messages of requests and urllib3 hold whole URLs, which may be signed: they are not told.

    :raises UserError: when another try would be in vain.
    """
    import requests

    where = f"the registry {registry}"
    if sent_to is not None:
        where = f"{sent_to}, to which the registry {registry} sends us"
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, requests.exceptions.SSLError):
            raise UserError(
                f"no trusted connection to {where}: {_tls_reason(causes)}",
                hint="put the authority that signed its certificate into "
                f"/etc/docker/certs.d/{registry}/ca.crt or name it in REQUESTS_CA_BUNDLE; if it "
                "speaks plain HTTP, allow that for it by insecure-registries",
            ) from error
        if isinstance(cause, (requests.exceptions.ProxyError, requests.exceptions.InvalidProxyURL)):
            raise UserError(
                f"the proxy in front of {where} fails: {_reason(causes)}",
                hint="see HTTPS_PROXY and NO_PROXY",
            ) from error
        if isinstance(cause, (ConnectionRefusedError, socket.gaierror)):
            if sent_to is not None:
                raise UserError(
                    f"nobody answers at {where}: {_reason(causes)}",
                    hint=f"check the way to {sent_to}, or correct the registry's configuration",
                ) from error
            raise UserError(
                f"no registry answers at {registry}: {_reason(causes)}",
                hint="check its name and port, and the way to it",
            ) from error
    if isinstance(error, requests.TooManyRedirects):
        raise UserError(
            f"the registry {registry} sends us round in a circle",
            hint="correct its configuration, or that of the proxy before it",
        ) from error
    if isinstance(error, ValueError):
        raise no_address(registry) from error
    hint = "try again later, or see its log"
    what = "dropped the connection"
    if isinstance(error, requests.Timeout):
        hint, what = "try again later, or see what keeps it busy", "fell silent"
    return TransientError(f"{sends_to(sent_to)}{what}", hint=hint)


def sends_to(place: str | None) -> str:
    """The start of what happened elsewhere, for a sentence that starts with the registry."""
    return "" if place is None else f"sends us to {place}, which "


def no_address(registry: str) -> UserError:
    """The fault of a registry that gave a URL that is none."""
    return UserError(
        f"the registry {registry} sends us to an address that is none",
        hint="correct its configuration, or that of the proxy before it",
    )


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        cause = todo.pop(0)
        if not isinstance(cause, BaseException) or cause in found:
            continue
        found.append(cause)
        # urllib3 keeps what it wraps in `reason` or in the arguments as often as in the context.
        todo += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
    return found


def _reason(causes: list[BaseException]) -> str:
    """What the operating system said, under the wrappings of the libraries."""
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror:
            return one_line(str(cause.strerror))
    return type(causes[-1]).__name__


def _tls_reason(causes: list[BaseException]) -> str:
    import ssl

    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return one_line(cause.verify_message)
        if isinstance(cause, ssl.SSLError) and cause.reason:
            return one_line(str(cause.reason)).lower().replace("_", " ")
    return _reason(causes)
