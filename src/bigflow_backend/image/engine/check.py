"""Check a new image: its platform, the project's wheel in it, and ``python -m bigflow``."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypedDict

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.documents import DocumentError, read_json
from bigflow_backend.ground.foreign.text import one_line, quoted
from bigflow_backend.image.engine.client import engine_errors
from bigflow_backend.image.engine.container import run_in_image
from bigflow_backend.image.engine.failure import OTHER_PLATFORM
from bigflow_backend.image.platforms import engine_platform

if TYPE_CHECKING:
    from docker import DockerClient

    from bigflow_backend.image.image import BuildRequest

# Runs in the image, with any version of Python. It finds the installed version of the project, and
# starts the entry point of each pod.
# https://docs.python.org/3/library/importlib.metadata.html
_PROGRAM = """\
import importlib.metadata, json, subprocess, sys
try:
    version = importlib.metadata.version(sys.argv[1])
except importlib.metadata.PackageNotFoundError:
    version = None
bigflow = subprocess.run([sys.executable, "-m", "bigflow", "--version"],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
print(json.dumps({"version": version, "status": bigflow.returncode,
                  "output": bigflow.stdout.decode("utf-8", "replace")}))
"""
_SECONDS = 120


def check_image(client: DockerClient, image_id: str, request: BuildRequest) -> None:
    """Check that pods can run the project in the image.

    :raises UserError: if they cannot.
    """
    platform, wanted = _platform(client, image_id), engine_platform(request.settings)
    # Some engines silently use a base image of another platform, if they have one.
    if wanted not in {None, platform}:
        raise UserError(
            f"the engine's image is for {platform}, not for {wanted}",
            hint=f"pull its base image first: docker pull --platform {wanted} BASE",
        )
    version, name = request.project.version.text, request.wheel.name
    found = _installed(client, image_id, name, platform)
    if found["version"] is None:
        raise UserError(
            f"the image does not have {name} {version} installed",
            hint="the Dockerfile should install dist/*.whl into the Python that is on PATH",
        )
    if not _same_version(found["version"], version):
        raise UserError(
            f"the image has {name} {quoted(found['version'])} installed, not {version}",
            hint="the Dockerfile should install the wheel in dist/, after everything else",
        )
    if found["status"] == 0:
        return
    last_line = one_line(found["output"].strip().rpartition("\n")[2])
    if "No module named bigflow" in last_line:
        raise UserError(
            "the image has no bigflow: `python -m bigflow` does not run in it",
            hint="resources/requirements.txt should name bigflow-backend",
        )
    raise UserError(
        f"`python -m bigflow --version` failed in the image: {last_line}",
        hint="resources/requirements.txt should name a bigflow-backend for the image's Python",
    )


def _platform(client: DockerClient, image_id: str) -> str:
    with engine_errors("checking the image"):
        image = client.images.get(image_id).attrs
    return f"{image['Os']}/{image['Architecture']}"


def _same_version(one: str, other: str) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


class _Installed(TypedDict):
    """The output of the program in the image."""

    version: str | None
    status: int
    output: str


def _installed(client: DockerClient, image_id: str, distribution: str, platform: str) -> _Installed:
    command = ["python", "-c", _PROGRAM, distribution]
    output = run_in_image(client, image_id, command, doing="checking the image", timeout=_SECONDS)
    with contextlib.suppress(DocumentError):
        if output.status == 0:
            return read_json(output.stdout, _Installed)
    with engine_errors("checking the image"):
        engine = client.version()
    raise UserError(
        f"python does not run in the image: exit status {output.status}: {output.last_line}",
        hint="the Dockerfile should make an image whose `python` is the project's"
        if platform == f"{engine['Os']}/{engine['Arch']}"
        else OTHER_PLATFORM,
    )
