"""``uv.lock`` or ``pylock.toml`` -> pinned requirements with hashes.

https://docs.astral.sh/uv/concepts/projects/sync/ and
https://packaging.python.org/en/latest/specifications/pylock-toml/
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import read_bounded
from bigflow_backend.ground.foreign.text import one_line
from bigflow_backend.ground.foreign.toml import parse_toml
from bigflow_backend.ground.limits import LOCK_FILE
from bigflow_backend.image.dependencies.explicit import ExplicitIndex, explicit_indexes
from bigflow_backend.image.dependencies.local import built_wheel, name_and_version
from bigflow_backend.image.dependencies.uv_process import run_uv_for_project
from bigflow_backend.project.dependencies import not_locked, project_dependencies
from bigflow_backend.project.members import UV_LOCK, directory_of_uv_lock, local_projects
from bigflow_backend.project.requirements import Requirements, logical_lines, parsed_requirements

if TYPE_CHECKING:
    from packaging.pylock import Package

    from bigflow_backend.project.project import Project
    from bigflow_backend.project.settings import ImageSettings

PYLOCK = "pylock.toml"
_PATH = re.compile(
    r"(?:-e\s+)?(?P<path>\.{1,2}(?:/\S*)?|/\S+|file:\S+)"
    r"\s*(?P<marker>;.*?)?(?P<hashes>(?:\s+--hash=\S+)*)"
)
# Of a marker as ``packaging`` writes it: https://peps.python.org/pep-0751/#packages-marker
_CONDITION = re.compile(r'"(?P<name>[^"]*)" (?P<no>not )?in (?P<kind>extras|dependency_groups)\b')
_STALE = "needs to be updated"


class StaleLockError(UserError):
    """A lock that locks other dependencies than the project's."""


@dataclass(frozen=True)
class Lock:
    """The requirements of an image, as a lock or a list has them."""

    place: str
    """The file, for messages."""
    requirements: Requirements
    wheels: tuple[Path, ...]
    """The wheels of other projects of the repository, which were built for this."""
    indexes: tuple[ExplicitIndex, ...] = ()
    """The explicit indexes of some requirements."""
    is_lock: bool = True


@dataclass(frozen=True)
class LockedPath:
    """A project of the repository, or a file of it, that a lock has instead of a version."""

    name: str
    """Its normalised name, or nothing if only its wheel has it."""
    path: Path
    marker: str
    """``; MARKER``, or nothing."""
    hashes: str
    """``--hash`` options; a directory has none."""


@dataclass(frozen=True)
class ReadLock:
    """A lock as it is read: nothing is built yet."""

    place: str
    text: str
    """The pins, in pip's syntax."""
    paths: tuple[LockedPath, ...] = ()
    indexes: tuple[ExplicitIndex, ...] = ()


def read_project_lock(project: Project, settings: ImageSettings, staging: Path) -> ReadLock | None:
    """Return what the lock of the project pins, or None without a lock.

    :raises UserError: if it is stale, not valid, or if uv cannot read it.
    """
    if "dependencies" not in project.pyproject.get("project", {}):
        return None
    directory, path = directory_of_uv_lock(project.root), project.root / PYLOCK
    if directory is not None:
        found = _uv_lock(project, settings, directory, staging)
    elif path.is_file():
        found = _pylock(path, project, settings)
    else:
        return None
    _refuse_strangers(project, found)
    return found


def _refuse_strangers(project: Project, lock: ReadLock) -> None:
    """Refuse a name of an index that the project takes from a path of this repository."""
    local = local_projects(project.root, project.pyproject)
    for line in parsed_requirements(lock.text, lock.place).lines:
        if line.name in local:
            path = os.path.relpath(local[line.name], project.root)
            raise UserError(
                f"{lock.place} has {line.name} from an index, but the project has it in {path}",
                hint=source_hint(line.name, path),
            )


def source_hint(name: str, path: str) -> str:
    """Return the fix for a path of another project that uv does not understand."""
    return (
        f'write "{name}" into dependencies of [project], {name} = {{ path = "{path}" }} into'
        " [tool.uv.sources], then: bigflow lock"
    )


def find_lock(
    project: Project, settings: ImageSettings, staging: Path, say: Callable[[str], None]
) -> Lock | None:
    """Return the lock of the project, or None. Projects that it has as paths are built.

    :raises UserError: if a project cannot be built, or as :func:`read_project_lock`.
    """
    read = read_project_lock(project, settings, staging)
    if read is None:
        return None
    wheels, lines = [], []
    for number, place in enumerate(read.paths):
        _check_hash(place, project.root)
        wheel = built_wheel(project, place.path, staging / "members" / str(number), say)
        wheels.append(wheel)
        name, version = name_and_version(wheel)
        lines.append(f"{name}=={version}{place.marker}\n")
    found = parsed_requirements(f"{read.text}\n{''.join(lines)}", read.place)
    return Lock(read.place, found, tuple(wheels), read.indexes)


def _uv_lock(project: Project, settings: ImageSettings, directory: Path, staging: Path) -> ReadLock:
    staging.mkdir(exist_ok=True)
    exported = staging / "exported.txt"
    _uv(
        project,
        *("export", "--locked", "--format", "requirements.txt", "--package", project.name),
        *("--no-default-groups", "--no-emit-project", "--no-editable"),
        *("--no-header", "--no-annotate", "--output-file", str(exported)),
        *(f"--extra={extra}" for extra in settings.extras),
        *(f"--group={group}" for group in settings.groups),
    )
    text = read_bounded(exported, LOCK_FILE).decode("utf-8")
    found = [(line, _PATH.fullmatch(line)) for _, line in logical_lines(text)]
    return ReadLock(
        UV_LOCK,
        "\n".join(line for line, match in found if match is None),
        tuple(_locked_path(match, directory) for _, match in found if match is not None),
        explicit_indexes(project, read_lock(directory / UV_LOCK), directory),
    )


def _locked_path(match: re.Match[str], directory: Path) -> LockedPath:
    path = unquote(match["path"].removeprefix("file://"))
    marker = f" {match['marker'].strip()}" if match["marker"] else ""
    return LockedPath("", (directory / path).resolve(), marker, match["hashes"])


def _check_hash(place: LockedPath, root: Path) -> None:
    if place.hashes and place.path.is_file():
        digest = _sha256(place.path)
        if f"--hash=sha256:{digest}" not in place.hashes.split():
            raise UserError(
                f"{os.path.relpath(place.path, root)} has a wrong hash: got SHA-256 {digest},"
                f" expected {place.hashes.strip().removeprefix('--hash=sha256:')}",
                hint=f"find out who changed the file before you change the hash in {UV_LOCK}",
            )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _uv(project: Project, *arguments: str) -> None:
    """Run uv in the project."""
    status, lines = run_uv_for_project(project, *arguments)
    text = one_line(" ".join(lines))
    if _STALE in text:
        raise StaleLockError(
            "uv.lock is older than pyproject.toml: it locks other dependencies",
            hint="update it: bigflow lock",
        )
    if status:
        raise UserError(f"uv {arguments[0]} failed: {text}", hint=f"try it: uv {arguments[0]}")


def read_lock(path: Path) -> dict[str, Any]:
    """Return the TOML document of a lock.

    :raises UserError: if it cannot be read, is too large, or is not valid TOML.
    """
    try:
        return parse_toml(read_bounded(path, LOCK_FILE).decode("utf-8"))
    except ValueError as error:
        raise _invalid(path, error) from error


def _invalid(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path.name} is not a valid lock: {one_line(str(error))}",
        hint="remove it, and make it again with the tool that made it",
    )


def _pylock(path: Path, project: Project, settings: ImageSettings) -> ReadLock:
    from packaging.pylock import Pylock, PylockValidationError
    from packaging.utils import canonicalize_name

    own = canonicalize_name(project.name)
    document = read_lock(path)
    try:
        lock = Pylock.from_dict(document)
    except (PylockValidationError, ValueError) as error:
        raise _invalid(path, error) from error
    chosen = {
        "extras": _chosen(settings.extras, lock.extras, "extra"),
        "dependency_groups": {
            *_chosen(settings.groups, lock.dependency_groups, "dependency group"),
            *(lock.default_groups or ()),
        },
    }
    lines, paths = [], []
    for package in lock.packages:
        marker = _marker(package, chosen)
        if package.directory is not None and package.name != own:
            directory = (project.root / package.directory.path).resolve()
            if directory != project.root:
                paths.append(LockedPath(package.name, directory, marker, ""))
        elif package.name != own:
            lines.append(_line(package, marker))
    text = "\n".join([*lines, ""])
    found = parsed_requirements(text, PYLOCK)
    dependencies = project_dependencies(project)
    if dependencies is not None:
        local = {locked.name for locked in paths}
        listed = tuple(line for line in dependencies.required.lines if line.name not in local)
        missing = sorted(not_locked(replace(dependencies.required, lines=listed), found))
        if missing:
            raise StaleLockError(
                f"{PYLOCK} locks other dependencies than pyproject.toml: {'; '.join(missing)}",
                hint="make it again with the tool that made it",
            )
    return ReadLock(PYLOCK, text, tuple(paths), explicit_indexes(project, document, project.root))


def _chosen(wanted: Iterable[str], known: Iterable[str] | None, kind: str) -> set[str]:
    """Return the wanted extras or groups, which the lock must have."""
    from packaging.utils import canonicalize_name

    names = {str(canonicalize_name(name)) for name in known or ()}
    found = {str(canonicalize_name(name)) for name in wanted}
    for name in sorted(found - names):
        raise UserError(
            f"{PYLOCK} has no {kind} {name!r}: it has {', '.join(sorted(names)) or 'none'}",
            hint=f"make it again with the {kind}, or remove it from [tool.bigflow.image]",
        )
    return found


def _marker(package: Package, chosen: Mapping[str, Collection[str]]) -> str:
    """Return ``; MARKER`` or nothing. Conditions on extras and groups become true or false.

    A requirements file cannot have them: they are for locks only.
    """
    if package.marker is None:
        return ""

    def value(match: re.Match[str]) -> str:
        is_true = (match["name"] in chosen[match["kind"]]) is (match["no"] is None)
        return f'python_version {">=" if is_true else "<"} "3"'

    return f" ; {_CONDITION.sub(value, str(package.marker))}"


def _line(package: Package, marker: str) -> str:
    """Return the line of requirements.txt for a package of a lock."""
    if package.version is None or package.is_direct:
        raise UserError(
            f"{PYLOCK}: {package.name} has no version of an index",
            hint="lock a release of it, or use uv.lock",
        )
    hashes = "".join(f" --hash={kind}:{value}" for kind, value in sorted(set(_hashes(package))))
    return f"{package.name}=={package.version}{marker}{hashes}"


def _hashes(package: Package) -> Iterator[tuple[str, str]]:
    files: list[Any] = [*(package.wheels or ())]
    if package.sdist is not None:
        files.append(package.sdist)
    for file in files:
        if "sha256" not in file.hashes:
            raise UserError(
                f"{PYLOCK}: a file of {package.name} has no SHA-256 hash",
                hint="make the lock again with hashes of SHA-256",
            )
        yield "sha256", str(file.hashes["sha256"])
