"""Connect to a Docker Engine or Podman, and report its errors."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import read_bounded
from bigflow_backend.ground.foreign.documents import DocumentError, read_json
from bigflow_backend.ground.foreign.text import one_line, system_reason
from bigflow_backend.ground.limits import DOCKER_FILE

if TYPE_CHECKING:
    from docker import DockerClient

_DEFAULT_ADDRESS = "unix:///var/run/docker.sock"


@contextlib.contextmanager
def reachable_engine(*, timeout: int) -> Iterator[DockerClient]:
    """Yield a client of the engine that ``DOCKER_HOST`` or the current Docker context names.

    ``timeout`` is in seconds, for the silence in one answer.

    :raises UserError: if no engine answers, or the SDK is not installed.
    """
    try:
        import docker
        import requests
    except ImportError as error:
        raise UserError(
            "building an image needs the docker SDK, which is not installed",
            hint="pip install 'bigflow-backend[build]'",
        ) from error
    address, context = engine_address(), _context()
    place = f"the address of context {context!r}" if context else address
    try:
        _check_socket(address, timeout)
        # The version of the API is negotiated, never pinned: engines drop old ones.
        client = docker.from_env(timeout=timeout)
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise UserError(
            f"no Docker Engine answers at {place}: {system_reason(error)}",
            hint="start Docker, or set DOCKER_HOST to a running engine that you may use",
        ) from error
    with contextlib.closing(client):
        yield client


def _check_socket(address: str, timeout: float) -> None:
    """Connect once: the SDK would leave the socket of a failed attempt open.

    :raises OSError: if nothing listens.
    """
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as attempt:
            attempt.settimeout(timeout)
            attempt.connect(address.removeprefix("unix://"))


def engine_name(client: DockerClient) -> str:
    """Return the kind and the version, such as ``Docker Engine 20.10.24``."""
    with engine_errors("reading the engine's version"):
        version = client.version()
    kind = (version.get("Components") or [{}])[0].get("Name", "Engine")
    return f"{'Docker Engine' if kind == 'Engine' else kind} {version['Version']}"


@contextlib.contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Turn an error of the engine or the connection into a UserError; ``doing`` is a gerund."""
    import docker
    import requests
    import urllib3

    try:
        yield
    except docker.errors.APIError as error:
        raise UserError(
            f"the Docker Engine failed while {doing}: {one_line(str(error.explanation or error))}",
            hint="check the engine's log, or try again",
        ) from error
    except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise UserError(
            f"the Docker Engine did not answer while {doing}",
            hint="raise idle-timeout in [tool.bigflow.image], or check what the engine waits for",
        ) from error
    except (
        docker.errors.DockerException,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        ConnectionError,
    ) as error:
        raise UserError(
            f"the Docker Engine stopped while {doing}: {one_line(str(error))}",
            hint="start it again and repeat the build",
        ) from error


class _Endpoint(TypedDict):
    Host: str


class _Context(TypedDict):
    """The meta.json of a Docker context."""

    Endpoints: dict[str, _Endpoint]


def engine_address() -> str:
    """Return the address of the engine, such as ``unix:///var/run/docker.sock``.

    :raises UserError: if the current Docker context does not exist. The SDK then uses the default.
    """
    if host := os.environ.get("DOCKER_HOST"):
        return host
    from docker.context.config import get_meta_file

    name = _context()
    if name is None:
        return _DEFAULT_ADDRESS
    hint = "choose one of `docker context ls`: docker context use default"
    path = Path(get_meta_file(name))
    if not path.exists():
        raise UserError(
            f"Docker has no context {name!r}, which DOCKER_CONTEXT or its config.json names",
            hint=hint,
        )
    try:
        context = read_json(read_bounded(path, DOCKER_FILE), _Context)
        return context["Endpoints"]["docker"]["Host"]
    except (UserError, DocumentError, KeyError) as error:
        raise UserError(f"Docker's context {name!r} is damaged: {path}", hint=hint) from error


def _context() -> str | None:
    """Return the name of the Docker context; None if another setting decides."""
    from docker.context.config import get_current_context_name

    if os.environ.get("DOCKER_HOST"):
        return None
    name = os.environ.get("DOCKER_CONTEXT") or get_current_context_name()
    return None if name in {"", "default", None} else name
