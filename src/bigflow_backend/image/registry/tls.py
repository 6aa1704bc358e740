"""Certificate authorities of registries, in addition to those of the system.

https://docs.docker.com/engine/security/certificates/ : the files of ``certs.d/HOST:PORT/``.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from bigflow_backend.ground.errors import UserError

# The variables of requests, of curl, and of OpenSSL and uv.
_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
# The directories of Docker and of Podman.
_SHARED = (Path("/etc/docker/certs.d"), Path("/etc/containers/certs.d"))


def ca_bundle() -> str | None:
    """Return the file or directory of authorities that the environment names.

    :raises UserError: if it does not exist.
    """
    for variable in _VARIABLES:
        if value := os.environ.get(variable):
            if not Path(value).exists():
                raise UserError(
                    f"{variable} names {value}, which does not exist",
                    hint=f"correct it, or unset {variable}",
                )
            return value
    return None


def registry_context(registry: str) -> ssl.SSLContext | None:
    """Return TLS with the certificates of ``certs.d`` for this registry, if there are any.

    :raises UserError: if one of them is not valid.
    """
    from urllib3.util.ssl_ import create_urllib3_context

    files = [path for directory in _directories() for path in _files(directory / registry)]
    if not files:
        return None
    context = create_urllib3_context()
    for path in files:
        _load(context, path)
    return context


def _load(context: ssl.SSLContext, path: Path) -> None:
    try:
        if path.suffix == ".crt":
            context.load_verify_locations(path)
        elif path.suffix == ".cert":
            context.load_cert_chain(path, path.with_suffix(".key"))
    except (ssl.SSLError, OSError) as error:
        raise UserError(
            f"cannot use the certificate {path}: {error.strerror or error}",
            hint="fix that file, or remove it; a *.cert needs a *.key beside it",
        ) from error


def _directories() -> tuple[Path, ...]:
    own = os.environ.get("DOCKER_CONFIG")
    return ((Path(own) if own else Path.home() / ".docker") / "certs.d", *_SHARED)


def _files(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
