"""The connection to a Docker Engine, and its faults in the user's words."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.text import one_line, system_reason

if TYPE_CHECKING:
    from docker import APIClient, DockerClient
    from requests import Response


@contextlib.contextmanager
def reachable_engine(*, timeout: int) -> Iterator[DockerClient]:
    """The engine that ``DOCKER_HOST`` or the current context of Docker's command line names.

    ``timeout`` is how many seconds it may be silent in one answer.

    :raises UserError: when there is none, or the SDK is not installed.
    """
    try:
        import docker
        import requests
    except ImportError as error:
        raise UserError(
            "building an image takes the docker SDK, which is not installed",
            hint="pip install 'bigflow-backend[build]'",
        ) from error
    _check_context()
    try:
        # The version of the API is negotiated, never pinned: engines drop old ones.
        client = docker.from_env(timeout=timeout)
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise UserError(
            f"no Docker Engine answers at {_place()}: {system_reason(error)}",
            hint="start Docker, or set DOCKER_HOST to an engine that runs and that you may use",
        ) from error
    with contextlib.closing(client):
        yield client


@contextlib.contextmanager
def closed_responses(api: APIClient) -> Iterator[None]:
    """Closes the connections of the requests made in the block, also when it raises.

    The SDK keeps the response of a build to itself; it is the end of the connection that tells the
    engine to give the build up.
    """
    responses: list[Response] = []

    def keep(response: Response, *_arguments: object, **_options: object) -> None:
        responses.append(response)

    hooks = api.hooks["response"]
    hooks.append(keep)
    try:
        yield
    finally:
        hooks.remove(keep)
        for response in responses:
            response.close()


@contextlib.contextmanager
def engine_faults(doing: str) -> Iterator[None]:
    """Turns what goes wrong between us and the engine into one line; ``doing`` is a gerund."""
    import docker
    import requests
    import urllib3

    try:
        yield
    except docker.errors.APIError as error:
        raise UserError(
            f"the Docker Engine failed while {doing}: {one_line(str(error.explanation or error))}",
            hint="see the engine's log, or try again",
        ) from error
    except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise UserError(
            f"the Docker Engine fell silent while {doing}",
            hint="raise idle-timeout in [tool.bigflow.image], or see what keeps it busy",
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


_DEFAULT = "default"


def _place() -> str:
    if host := os.environ.get("DOCKER_HOST"):
        return host
    context = _context()
    return "the default address" if context == _DEFAULT else f"the address of context {context!r}"


def _context() -> str:
    """The name of the context, which counts where there is no ``DOCKER_HOST``."""
    from docker.context.config import get_current_context_name

    return os.environ.get("DOCKER_CONTEXT") or get_current_context_name() or _DEFAULT


def _check_context() -> None:
    """The SDK takes the default address in the place of a context that is not there."""
    from docker.context.config import get_meta_file

    name = _context()
    if os.environ.get("DOCKER_HOST") or name == _DEFAULT:
        return
    hint = "choose one that `docker context ls` shows: docker context use default"
    path = Path(get_meta_file(name))
    try:
        json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(
            f"Docker has no context {name!r}, which DOCKER_CONTEXT or its config.json names",
            hint=hint,
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"Docker's context {name!r} is damaged: {path}", hint=hint) from error
