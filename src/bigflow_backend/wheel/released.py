"""A wheel that was built before -> the version of its project, for an image on another base.

The image gets the wheel as it is. Its dependencies come from the work tree, so the wheel must state
the same ones.
"""

from __future__ import annotations

import dataclasses
import email.message
import email.parser
import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import has_file, read_bounded
from bigflow_backend.ground.foreign.documents import DocumentError, parse_json
from bigflow_backend.ground.foreign.text import quoted
from bigflow_backend.ground.limits import LOCK_FILE, PROJECT_FILE
from bigflow_backend.project.dependencies import project_dependencies
from bigflow_backend.project.members import local_projects
from bigflow_backend.project.requirements import read_requirements
from bigflow_backend.version import ProjectVersion
from bigflow_backend.wheel.bill import BILL, bill_of_wheel

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project

_CHECK_OUT = "check out the commit that the wheel was built from, and run the command there"
_SHOWN = 5


def released(project: Project, wheel: Path, commit: str | None) -> Project:
    """Return the project with the version of the wheel, instead of one from git.

    ``commit`` is the commit of the wheel, if it is known.

    :raises UserError: if the wheel is not valid, belongs to another project, or states other
        dependencies than the work tree.
    """
    version = check_name(project, wheel)
    files = _Files(wheel, f"{'-'.join(wheel.name.split('-')[:2])}.dist-info")
    metadata = email.parser.BytesHeaderParser().parsebytes(files.read("METADATA") or b"")
    stated = (_normalised(str(metadata["Name"])), str(metadata["Version"]))
    if stated != (_normalised(project.name), version):
        raise _invalid(wheel, f"its METADATA has {quoted(stated[0])} {quoted(stated[1])}")
    found = ProjectVersion(text=version, source=f"the wheel {wheel.name}", commit=commit)
    project = dataclasses.replace(project, release=found)
    differences = [
        *_requirements(project, metadata),
        *_lock(project, files),
        *_list(project, files),
    ]
    if differences:
        more = f"; and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        raise UserError(
            f"{wheel.name} has other requirements than the work tree:"
            f" {'; '.join(differences[:_SHOWN])}{more}",
            hint=_CHECK_OUT,
        )
    return project


def check_name(project: Project, wheel: Path) -> str:
    """Return the version in the name of a wheel of the project.

    :raises UserError: if it is not a wheel, or of another project.
    """
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    if not has_file(wheel):
        raise UserError(f"--wheel must be a file: got {wheel}", hint="give the path of the wheel")
    try:
        name, version, _, _ = parse_wheel_filename(wheel.name)
    except InvalidWheelFilename as error:
        raise _invalid(wheel, "its name is not that of a wheel") from error
    if name != _normalised(project.name):
        raise UserError(
            f"{wheel.name} is a wheel of {name}, and this project is {project.name}",
            hint="change to its project, or give a wheel of this one",
        )
    return str(version)


class _Files:
    """The files of a wheel."""

    def __init__(self, wheel: Path, dist_info: str) -> None:
        self._wheel = wheel
        self._dist_info = dist_info

    def read(self, name: str) -> bytes | None:
        """Return a file of ``.dist-info``; None without it."""
        return self.member(f"{self._dist_info}/{name}", LOCK_FILE)

    def member(self, name: str, limit: int) -> bytes | None:
        """Return a file of at most ``limit`` bytes; None without it.

        :raises UserError: if the wheel is not valid.
        """
        try:
            with zipfile.ZipFile(self._wheel) as archive:
                if name not in archive.namelist():
                    return None
                with archive.open(name) as file:
                    content = file.read(limit + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
            raise _invalid(self._wheel, str(error)) from error
        if len(content) > limit:
            raise _invalid(self._wheel, f"{quoted(name)} has more than {limit:,} bytes")
        return content


def _invalid(wheel: Path, reason: str) -> UserError:
    return UserError(
        f"{wheel.name} is not a valid wheel: {reason}",
        hint="give a wheel that bigflow has built: --wheel dist/NAME-1.2.0-py3-none-any.whl",
    )


def _requirements(project: Project, metadata: email.message.Message) -> Iterator[str]:
    """Yield the differences of ``Requires-Dist`` and the list of the work tree."""
    from packaging.requirements import InvalidRequirement, Requirement

    dependencies = project_dependencies(project)
    if dependencies is None:
        return
    local = local_projects(project.root, project.pyproject)

    def comparable(text: str) -> str:
        requirement = Requirement(text)
        # The wheel has the version of another project of the repository.
        name = _normalised(requirement.name)
        return (
            name if name in local else f"{name} {str(requirement).partition(requirement.name)[2]}"
        )

    try:
        own = {
            comparable(text)
            for text in map(str, metadata.get_all("Requires-Dist", ()))
            if "extra ==" not in text
        }
    except InvalidRequirement:
        own = set()
    tree = {comparable(text) for text in dependencies.required.specifiers}
    yield from (f"only the wheel has {text.strip()}" for text in sorted(own - tree))
    yield from (f"only the work tree has {text.strip()}" for text in sorted(tree - own))


def _lock(project: Project, files: _Files) -> Iterator[str]:
    """Yield the differences of the pins in the wheel and in the lock of the work tree."""
    own, tree = files.read(f"sboms/{BILL}"), bill_of_wheel(project)
    if own == tree:
        return
    if own is None:
        if files.member(_place(project, project.requirements), PROJECT_FILE) is None:
            yield "the work tree has a lock, and the wheel does not state its pins"
        return
    if tree is None:
        yield "the wheel states the pins of a lock, and the work tree has no lock"
        return
    before, after = _pins(own), _pins(tree)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            versions = [_shown(pins.get(name)) for pins in (before, after)]
            what = "other hashes" if versions[0] == versions[1] else " and ".join(versions)
            yield (
                f"{name}: {what}"
                if what == "other hashes"
                else f"{name}: the wheel has {versions[0]}, the work tree {versions[1]}"
            )
    if before == after:
        yield "their locks are different kinds of files"


def _pins(bill: bytes) -> dict[str, list[tuple[str, str]]]:
    try:
        document: Any = parse_json(bill, limit=LOCK_FILE)
    except DocumentError:
        return {}
    found: dict[str, list[tuple[str, str]]] = {}
    components = document.get("components") if isinstance(document, dict) else None
    for component in components if isinstance(components, list) else ():
        match component:
            case {"name": str(name), "version": str(version), **rest}:
                hashes = json.dumps(rest.get("externalReferences"))
                found.setdefault(name, []).append((version, hashes))
    return found


def _shown(pins: list[tuple[str, str]] | None) -> str:
    return ", ".join(version for version, _ in pins) if pins else "none"


def _list(project: Project, files: _Files) -> Iterator[str]:
    """Yield requirements files whose content in the wheel is another one."""
    for path in read_requirements(project.requirements).files:
        if path.is_relative_to(project.resources):
            own = files.member(_place(project, path), PROJECT_FILE)
            if own is not None and own != read_bounded(path, PROJECT_FILE):
                yield f"{path.relative_to(project.root).as_posix()} has another content"


def _place(project: Project, path: Path) -> str:
    """Return the name in the wheel of a file of ``resources/``."""
    package = project.package.replace(".", "/")
    return f"{package}/resources/{path.relative_to(project.resources).as_posix()}"


def _normalised(name: str) -> str:
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(name))
