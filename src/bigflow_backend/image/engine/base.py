"""Check the Python of a base image in an engine, before the engine builds on it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.engine.client import engine_errors
from bigflow_backend.image.engine.container import run_in_image
from bigflow_backend.image.platforms import engine_platform
from bigflow_backend.image.reference import without_credentials
from bigflow_backend.image.requires_python import check_python, required_python

if TYPE_CHECKING:
    from docker import DockerClient

    from bigflow_backend.image.image import BuildRequest

_COMMAND = ("python3", "-c", "import platform; print(platform.python_version())")
_VERSION = re.compile(r"(\d{1,9}\.\d{1,9}\.\d{1,9}(?:(?:a|b|rc)\d{1,9})?)\+?\s*", re.ASCII)
_DOING = "checking the base image"
_SECONDS = 120


def check_base(request: BuildRequest, base: str) -> None:
    """Check that the base's ``python3`` may run the project. The engine pulls a base it lacks.

    A base that cannot be pulled or started is not an error here: the build explains it.

    :raises UserError: if the project requires another Python.
    """
    required = required_python(request.wheel_file)
    if required is None:
        return
    client = request.session.engine
    try:
        _pull(client, base, request)
        output = run_in_image(client, base, _COMMAND, doing=_DOING, timeout=_SECONDS)
    except UserError:
        return
    if found := _VERSION.fullmatch(output.stdout.decode("ascii", "replace")):
        check_python(required, found[1], without_credentials(base))


def _pull(client: DockerClient, base: str, request: BuildRequest) -> None:
    """Pull the image, unless the engine has it."""
    from docker.errors import ImageNotFound

    with engine_errors(_DOING):
        try:
            client.images.get(base)
        except ImageNotFound:
            request.say(f"pulling the base image {without_credentials(base)}")
            client.images.pull(base, platform=engine_platform(request.settings))
