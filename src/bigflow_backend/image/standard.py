"""The limits of the layered builder: which projects it can build, and the error for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import has_file
from bigflow_backend.image.dockerfile import STANDARD, Dockerfile, read_dockerfile

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project

_BASE = "BASE_IMAGE"
_HINT = (
    'build with an engine: builder = "engine" in [tool.bigflow.image]; or copy the standard '
    f"Dockerfile of this release: {STANDARD}"
)


class CannotServeError(UserError):
    """Only an engine can build this image; ``builder = "auto"`` uses the engine then."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(
            message,
            hint=hint or 'build with an engine: builder = "engine" in [tool.bigflow.image]',
        )


class NoWheelError(CannotServeError):
    """A distribution must be compiled for the image; an engine may do that."""


class NoBaseError(CannotServeError):
    """The base image is not in its registry; an engine may have it."""


def standard_dockerfile(project: Project) -> Dockerfile:
    """Return the project's Dockerfile, or the standard one if it has none.

    :raises CannotServeError: if it differs from the standard one; the value of
        ``ARG BASE_IMAGE``, comments and white space may differ.
    """
    standard = read_dockerfile(STANDARD)
    if not has_file(project.dockerfile):
        return standard
    own = read_dockerfile(project.dockerfile)
    ours = iter(_instructions(standard))
    for line, words in _instructions(own):
        if words != next(ours, (0, ""))[1]:
            raise CannotServeError(
                f"{project.dockerfile.name}, line {line}, differs from the standard Dockerfile",
                hint=_HINT,
            )
    if next(ours, None) is not None:
        raise CannotServeError(
            f"{project.dockerfile.name} ends before the standard Dockerfile does", hint=_HINT
        )
    return own


def is_standard(project: Project) -> bool:
    """Return True if the project uses the standard Dockerfile."""
    try:
        standard_dockerfile(project)
    except CannotServeError:
        return False
    return True


def _instructions(dockerfile: Dockerfile) -> list[tuple[int, str]]:
    found = []
    for instruction in dockerfile.instructions:
        value = " ".join(instruction.value.split())
        if instruction.keyword == "ARG" and value.partition("=")[0] == _BASE:
            value = _BASE
        found.append((instruction.line, f"{instruction.keyword} {value}"))
    return found
