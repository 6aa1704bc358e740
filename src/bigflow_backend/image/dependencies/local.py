"""Other projects of the repository -> wheels, each built by its own backend."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.text import one_line
from bigflow_backend.image.dependencies.uv_process import run_uv_for_project
from bigflow_backend.project.members import required_projects
from bigflow_backend.project.requirements import RequirementLine, Requirements

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project


def with_built_projects(
    project: Project, listed: Requirements, staging: Path, say: Callable[[str], None]
) -> tuple[Requirements, tuple[Path, ...]]:
    """Return a list with the versions of the projects that it needs, and their wheels.

    Their own projects are in the result, too: an index can have others of the same names.

    :raises UserError: if one cannot be built.
    """
    places = sorted(required_projects(project.root, project.pyproject, in_image=True))
    wheels = tuple(
        built_wheel(project, place, staging / "members" / str(number), say)
        for number, place in enumerate(places)
    )
    versions = dict(map(name_and_version, wheels))
    lines = [_pinned(line, versions) for line in listed.lines]
    names = {line.name for line in lines}
    lines += [
        RequirementLine(name, f"{name}=={version}", f"{name}=={version}", "", is_local=False)
        for name, version in versions.items()
        if name not in names
    ]
    return dataclasses.replace(listed, lines=tuple(lines)), wheels


def built_wheel(project: Project, source: Path, target: Path, say: Callable[[str], None]) -> Path:
    """Return the wheel of another project, built into the new directory ``target``.

    :raises UserError: if the build fails.
    """
    if source.suffix == ".whl":
        return source
    shown = os.path.relpath(source, project.root)
    say(f"building the wheel of {shown}")
    command = ("build", "--wheel", "--quiet", "--out-dir", str(target), str(source))
    status, lines = run_uv_for_project(project, *command)
    wheels = sorted(target.glob("*.whl"))
    if status or len(wheels) != 1:
        problem = one_line(" ".join(lines)) if status else f"it made {len(wheels)} wheels"
        raise UserError(
            f"the build of {shown} failed: {problem}", hint=f"try it: uv build --wheel {shown}"
        )
    return wheels[0]


def name_and_version(wheel: Path) -> tuple[str, str]:
    """Return the normalised name and the version of a wheel."""
    from packaging.utils import parse_wheel_filename

    name, version, _, _ = parse_wheel_filename(wheel.name)
    return str(name), str(version)


def _pinned(line: RequirementLine, versions: Mapping[str, str]) -> RequirementLine:
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    if line.name not in versions:
        return line
    requirement = Requirement(line.specifier)
    requirement.url, requirement.specifier = None, SpecifierSet(f"=={versions[line.name]}")
    text = str(requirement)
    return dataclasses.replace(line, specifier=text, text=text, is_local=False)
