"""The check of a new image: a container that starts as a pod's does, and says what is inside."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from bigflow_backend.errors import UserError
from bigflow_backend.image.client import engine_faults, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import APIClient

    from bigflow_backend.image.builder import BuildRequest

__all__ = ["check_image"]

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
    """Checks that the image holds the project's wheel and starts ``python -m bigflow``.

    :raises UserError: when it does not.
    """
    found = _ask(api, image_id, request.wheel.name)
    tag, name = request.version.text, request.wheel.name
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


def _same_version(one: str, other: str) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def _ask(api: APIClient, image_id: str, distribution: str) -> Any:
    with _container(api, image_id, ["python", "-c", _PROGRAM, distribution]) as container:
        with engine_faults("checking the image"):
            status = api.wait(container, timeout=_SECONDS)["StatusCode"]
            output = api.logs(container, stdout=True, stderr=False).decode("utf-8", "replace")
            errors = api.logs(container, stdout=False, stderr=True).decode("utf-8", "replace")
        with contextlib.suppress(ValueError):
            if status == 0:
                return json.loads(output)
    said = one_line((errors or output).strip().rpartition("\n")[2])
    raise UserError(
        f"python does not run in the image: exit status {status}: {said}",
        hint="the Dockerfile should give an image whose `python` is the project's",
    )


@contextlib.contextmanager
def _container(api: APIClient, image_id: str, command: list[str]) -> Iterator[str]:
    """A container that runs ``command``, as the image's user, in place of its entry point."""
    from docker.errors import APIError, DockerException

    with engine_faults("checking the image"):
        container = api.create_container(
            image_id,
            entrypoint=command[0],
            command=command[1:],
            host_config=api.create_host_config(network_mode="none"),
        )["Id"]
    try:
        try:
            with engine_faults("checking the image"):
                api.start(container)
        except UserError as error:
            if isinstance(error.__cause__, APIError) and "executable file not found" in str(error):
                raise UserError(
                    "the image has no `python` on its PATH",
                    hint="the Dockerfile should start from an image with Python, and keep PATH",
                ) from error
            raise
        yield container
    finally:
        # An engine that is gone cannot remove it; what made the block end is told instead.
        with contextlib.suppress(DockerException, OSError):
            api.remove_container(container, v=True, force=True)
