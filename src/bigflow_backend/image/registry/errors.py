"""Errors of connections to registries, in the user's words."""

from __future__ import annotations

import http
import socket
from collections.abc import Callable
from typing import Any, TypedDict

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.documents import DocumentError, read_json
from bigflow_backend.ground.foreign.text import one_line, quoted


class TransientError(Exception):
    """An error that a retry may solve.

    ``reason`` is a predicate of the registry: ``answered 500 (Internal Server Error)``.
    """

    def __init__(self, reason: str, *, hint: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.retry_after = retry_after
        """The pause in seconds that the registry asks for."""


def status_text(status: int) -> str:
    """Return a status in words: ``404 (Not Found)``."""
    try:
        return f"{status} ({http.HTTPStatus(status).phrase})"
    except ValueError:
        return str(status)


class _Error(TypedDict, total=False):
    message: str | None
    code: Any  # some registries send a number


class _Errors(TypedDict):
    errors: list[_Error]


def error_detail(body: bytes, redact: Callable[[str], str]) -> str:
    """Return a registry's description of an error as the end of a sentence, or nothing.

    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
    """
    try:
        error = read_json(body, _Errors)["errors"][0]
    except (DocumentError, IndexError):
        return ""
    text = error.get("message") or error.get("code")
    return f": {quoted(redact(str(text)))}" if text else ""


def connection_error(
    registry: str, error: Exception, *, sent_to: str | None = None
) -> TransientError:
    """Return the error of a connection that failed.

    ``sent_to`` is the host that failed, if the registry has redirected to it. The messages of
    requests and urllib3 are not used: they contain whole URLs, which may be signed.

    :raises UserError: if a retry cannot help.
    """
    import requests

    where = f"the registry {registry}"
    if sent_to is not None:
        where = f"{sent_to}, to which the registry {registry} redirects"
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, requests.exceptions.SSLError):
            raise UserError(
                f"no trusted connection to {where}: {_tls_reason(causes)}",
                hint="copy the authority that signed its certificate to "
                f"/etc/docker/certs.d/{registry}/ca.crt, or name it in REQUESTS_CA_BUNDLE; if it "
                "has no TLS, name it in insecure-registries",
            ) from error
        if isinstance(cause, (requests.exceptions.ProxyError, requests.exceptions.InvalidProxyURL)):
            raise UserError(
                f"the proxy in front of {where} fails: {_reason(causes)}",
                hint="check HTTPS_PROXY and NO_PROXY",
            ) from error
        if isinstance(cause, (ConnectionRefusedError, socket.gaierror)):
            if sent_to is not None:
                raise UserError(
                    f"no server answers at {where}: {_reason(causes)}",
                    hint=f"check the network to {sent_to}, or correct the registry's configuration",
                ) from error
            raise UserError(
                f"no registry answers at {registry}: {_reason(causes)}",
                hint="check its name and port, and the network to it",
            ) from error
    if isinstance(error, requests.TooManyRedirects):
        raise UserError(
            f"the registry {registry} redirects in a cycle",
            hint="correct its configuration, or that of the proxy in front of it",
        ) from error
    if isinstance(error, ValueError):
        raise invalid_url(registry) from error
    hint = "try again later, or see its log"
    what = "dropped the connection"
    if isinstance(error, requests.Timeout):
        hint, what = "try again later, or see why it is busy", "sent no data in time"
    return TransientError(f"{redirects_to(sent_to)}{what}", hint=hint)


def redirects_to(place: str | None) -> str:
    """Return the start of a predicate of the registry, if another host has failed."""
    return "" if place is None else f"redirects to {place}, which "


def invalid_url(registry: str) -> UserError:
    """Return the error of a registry that redirects to an invalid URL."""
    return UserError(
        f"the registry {registry} redirects to an invalid URL",
        hint="correct its configuration, or that of the proxy in front of it",
    )


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        cause = todo.pop(0)
        if not isinstance(cause, BaseException) or cause in found:
            continue
        found.append(cause)
        # urllib3 keeps the wrapped error in `reason`, in the arguments or in the context.
        todo += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
    return found


def _reason(causes: list[BaseException]) -> str:
    """Return what the operating system said, below the exceptions of the libraries."""
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
