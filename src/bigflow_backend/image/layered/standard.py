"""Which projects the layered builder serves: those whose Dockerfile is the standard one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigflow_backend.image.dockerfile import STANDARD, Dockerfile, read_dockerfile
from bigflow_backend.image.layered.support import CannotServeError

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project

_BASE = "BASE_IMAGE"
# A project may also have that of another release.
_HINT = (
    'build it on a Docker Engine: builder = "engine"; or take the standard Dockerfile of this'
    f" release: {STANDARD}"
)


def standard_dockerfile(project: Project) -> Dockerfile:
    """The project's Dockerfile, or the standard one when it has none.

    :raises CannotServeError: when it is another than the standard one; the value of
        ``ARG BASE_IMAGE``, comments and white space may differ.
    """
    standard = read_dockerfile(STANDARD)
    if not project.dockerfile.exists():
        return standard
    own = read_dockerfile(project.dockerfile)
    ours = iter(_instructions(standard))
    for line, words in _instructions(own):
        if words != next(ours, (0, ""))[1]:
            raise CannotServeError(
                f"{project.dockerfile.name}, line {line}, is not as in the standard Dockerfile",
                hint=_HINT,
            )
    if next(ours, None) is not None:
        raise CannotServeError(
            f"{project.dockerfile.name} ends before the standard Dockerfile does", hint=_HINT
        )
    return own


def _instructions(dockerfile: Dockerfile) -> list[tuple[int, str]]:
    found = []
    for instruction in dockerfile.instructions:
        value = " ".join(instruction.value.split())
        if instruction.keyword == "ARG" and value.partition("=")[0] == _BASE:
            value = _BASE
        found.append((instruction.line, f"{instruction.keyword} {value}"))
    return found
