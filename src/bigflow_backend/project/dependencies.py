"""Project -> the one list of its dependencies, wherever it is.

The list is ``[project] dependencies`` in pyproject.toml, or ``resources/requirements.txt``. If both
exist, they are equal, or the file is the lock of the list: it pins a version for each entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.project.requirements import (
    OURS,
    Requirements,
    read_requirements,
    stated_requirements,
)
from bigflow_backend.project.requirements_in import check_compiled

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project

_LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
"""The platform of an image, for markers."""
STATED = "pyproject.toml [project] dependencies"


@dataclass(frozen=True)
class Dependencies:
    """The dependencies of a project."""

    place: str
    """The place of the list, for messages."""
    required: Requirements
    """The requirements of the wheel."""
    file: Requirements | None
    """The content of ``resources/requirements.txt``, if it exists: the image installs it."""


def project_dependencies(project: Project) -> Dependencies | None:
    """Return the dependencies, or None if no place lists any.

    :raises UserError: for an invalid requirement, or two lists that differ.
    """
    check_compiled(project)
    name = f"{project.resources.name}/{project.requirements.name}"
    file = read_requirements(project.requirements) if project.requirements.is_file() else None
    stated = _stated(project)
    if stated is None:
        return None if file is None else Dependencies(name, file, file)
    listed = stated_requirements(stated, STATED)
    if file is None:
        return Dependencies(STATED, listed, None)
    if set(listed.specifiers) == set(file.specifiers):
        return Dependencies(name, file, file)
    if _pins_everything(file):
        missing = sorted(not_locked(listed, file))
        if missing:
            raise UserError(
                f"{name} does not lock {STATED}: {'; '.join(missing)}",
                hint="compile it again: bigflow build-requirements; or remove one of the two lists",
            )
        return Dependencies(STATED, listed, file)
    raise UserError(
        f"{STATED} and {name} differ: " + "; ".join(_differences(listed, file, name)),
        hint=f"keep one list: remove {name}; or list dependencies as dynamic in [project]",
    )


def _stated(project: Project) -> list[Any] | None:
    stated = project.pyproject.get("project", {}).get("dependencies")
    # Setuptools refuses a value that is not a list of strings, and names its key.
    if isinstance(stated, list) and all(isinstance(item, str) for item in stated):
        return stated
    return None


def _pins_everything(file: Requirements) -> bool:
    return bool(file.lines) and all(
        line.pinned_version is not None or " @ " in line.text for line in file.lines
    )


def not_locked(listed: Requirements, file: Requirements) -> Iterator[str]:
    """Yield the entries of a list that the pins of a lock do not satisfy, each with the reason.

    bigflow-backend is not needed: an image gets it from the machine that builds.
    """
    from packaging.requirements import Requirement

    pins: dict[str, set[str]] = {}
    for line in file.lines:
        pins.setdefault(line.name, set()).add(line.pinned_version or "")
    for entry in listed.lines:
        versions = pins.get(entry.name)
        wanted = Requirement(entry.specifier)
        if versions is None:
            is_needed = wanted.marker is None or wanted.marker.evaluate(_LINUX)
            if entry.name != OURS and is_needed:
                yield f"{entry.specifier} is not in it"
            continue
        refused = [
            v for v in sorted(versions) if v and not wanted.specifier.contains(v, prereleases=True)
        ]
        # An entry with a marker is for some platforms, and the lock has other versions for others.
        if wanted.marker is None or len(refused) == len(versions):
            for version in refused:
                yield f"{entry.specifier} does not allow {entry.name}=={version}"


def _differences(listed: Requirements, file: Requirements, name: str) -> Iterator[str]:
    only_listed = sorted(set(listed.specifiers) - set(file.specifiers))
    only_file = sorted(set(file.specifiers) - set(listed.specifiers))
    for place, only in (("[project]", only_listed), (name, only_file)):
        if only:
            more = f" and {len(only) - _SHOWN} more" if len(only) > _SHOWN else ""
            yield f"only {place} has {', '.join(only[:_SHOWN])}{more}"


_SHOWN = 8
