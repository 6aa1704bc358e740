"""The check of a new image: a container that starts as a pod's does, and says what is inside."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.text import one_line
from bigflow_backend.image.engine.client import engine_errors
from bigflow_backend.image.engine.container import output_of
from bigflow_backend.image.engine.failure import OTHER_PLATFORM

if TYPE_CHECKING:
    from docker import APIClient

    from bigflow_backend.image.image import BuildRequest

# Runs in the image, whatever Python that has: the project's version as installed there, and how
# the entry of every pod does. https://docs.python.org/3/library/importlib.metadata.html
_PROGRAM = """\
import importlib.metadata, json, subprocess, sys
try:
    version = importlib.metadata.version(sys.argv[1])
except importlib.metadata.PackageNotFoundError:
    version = None
bigflow = subprocess.run([sys.executable, "-m", "bigflow", "--version"],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
print(json.dumps({"version": version, "status": bigflow.returncode,
                  "said": bigflow.stdout.decode("utf-8", "replace")}))
"""
_SECONDS = 120


def check_image(api: APIClient, image_id: str, request: BuildRequest) -> None:
    """Checks the image's platform, and that it holds the project's wheel and starts ``python -m
    bigflow``.

    :raises UserError: when it does not.
    """
    platform = _platform(api, image_id)
    if request.settings.platform not in {None, platform}:
        raise UserError(
            f"the engine's image is for {platform}, not for {request.settings.platform}",
            hint="pull the base image for it: docker pull --platform"
            f" {request.settings.platform} BASE",
        )
    found = _ask(api, image_id, request.wheel.name)
    tag, name = request.project.version.text, request.wheel.name
    if found["version"] is None:
        raise UserError(
            f"the image does not have {name} {tag} installed",
            hint="the Dockerfile should install dist/*.whl into the Python that is on PATH",
        )
    if not _same_version(found["version"], tag):
        raise UserError(
            f"the image has {name} {found['version']} installed, not {tag}",
            hint="the Dockerfile should install dist/*.whl last, and the wheel that is handed in",
        )
    if found["status"] == 0:
        return
    said = one_line(found["said"].strip().rpartition("\n")[2])
    if "No module named bigflow" in said:
        raise UserError(
            "the image has no bigflow: `python -m bigflow` does not run in it",
            hint="resources/requirements.txt should name bigflow-backend",
        )
    raise UserError(
        f"`python -m bigflow --version` failed in the image: {said}",
        hint="resources/requirements.txt should name a bigflow-backend that fits its Python",
    )


def _platform(api: APIClient, image_id: str) -> str:
    """What the image is for. An engine takes a base image of another platform than it is asked for
    without a word, when it has that one."""
    with engine_errors("checking the image"):
        image = api.inspect_image(image_id)  # type: ignore[no-untyped-call]
    return f"{image['Os']}/{image['Architecture']}"


def _same_version(one: str, other: str) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def _ask(api: APIClient, image_id: str, distribution: str) -> Any:
    output = output_of(
        api,
        image_id,
        ["python", "-c", _PROGRAM, distribution],
        doing="checking the image",
        timeout=_SECONDS,
    )
    with contextlib.suppress(ValueError):
        if output.status == 0:
            return json.loads(output.stdout)
    raise UserError(
        f"python does not run in the image: exit status {output.status}: {output.last_words}",
        hint=OTHER_PLATFORM
        if _platform(api, image_id) != _machine(api)
        else "the Dockerfile should give an image whose `python` is the project's",
    )


def _machine(api: APIClient) -> str:
    """The platform of the machine that the engine runs on."""
    with engine_errors("checking the image"):
        version = api.version()
    return f"{version['Os']}/{version['Arch']}"
