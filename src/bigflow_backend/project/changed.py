"""A commit -> the projects of a repository that differ from it, and so must be built."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import read_bounded
from bigflow_backend.ground.foreign.toml import parse_toml
from bigflow_backend.ground.limits import LOCK_FILE
from bigflow_backend.ground.settings.values import read_table
from bigflow_backend.project.members import (
    UV_LOCK,
    directory_of_uv_lock,
    required_projects,
    workspace_members,
)
from bigflow_backend.project.project import is_project
from bigflow_backend.project.pyproject import read_pyproject
from bigflow_backend.project.requirements import REQUIREMENTS, read_requirements
from bigflow_backend.project.settings import Settings
from bigflow_backend.version.changed import Changed, changed_since, tracked_files
from bigflow_backend.version.touched import covers

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project

_FILES = {"pyproject.toml", "project_setup.py", "setup.py"}
"""The files that make a directory a project."""


@dataclass(frozen=True)
class ChangedProject:
    """A project with changes."""

    path: str
    """Its directory, relative to the given one."""
    changed: tuple[str, ...]
    """The changed files that count for it, relative to the top of the repository."""


@dataclass(frozen=True)
class ChangedProjects:
    """The result of a comparison with a commit."""

    since: str
    """The hash of the commit."""
    projects: tuple[ChangedProject, ...]
    """Sorted by path."""
    unchanged: tuple[str, ...]
    """The directories of the other projects."""


def changed_projects(directory: Path, revision: str) -> ChangedProjects:
    """Return the projects at and below ``directory`` that must be built again since ``revision``.

    A file counts for the nearest project around it, and for each project that needs that one. The
    files of ``version.paths`` count, too, and those of the settings outside the project. uv.lock
    counts if the packages that the project needs differ.

    :raises UserError: if there is no project, a project cannot be read, or as
        :func:`changed_since`.
    """
    directory = directory.resolve()
    found = changed_since(directory, revision)
    projects = list(_projects(directory))
    if not projects:
        raise UserError(
            f"no project has its files in git at or below {directory}",
            hint="change to the directory above the projects, and commit them",
        )
    owners = {place for project in projects for place in (project.root, *project.neighbours)}
    changed, unchanged = [], []
    for project in projects:
        path = os.path.relpath(project.root, directory)
        names = tuple(name for name in found.names if _counts(project, name, found, owners))
        if names:
            changed.append(ChangedProject(path, names))
        else:
            unchanged.append(path)
    return ChangedProjects(found.since, tuple(changed), tuple(unchanged))


def note_of_other_lock(project: Project) -> str | None:
    """Return a sentence if the lock differs from that of the version's commit, else None.

    That can be if ``version.paths`` does not cover the lock: the version then names two contents.
    """
    version, directory = project.version, directory_of_uv_lock(project.root)
    if not project.version_paths or version.commit is None or version.work_tree is None:
        return None
    if directory is None or "dependencies" not in project.pyproject.get("project", {}):
        return None
    lock, top = directory / UV_LOCK, version.work_tree.top
    paths = [os.path.normpath(project.root / path) for path in project.version_paths]
    name = os.path.relpath(lock, top.resolve())
    before = Changed(top, version.commit, ())
    if covers(paths, str(lock)) or not _needs_other_packages(project.name, name, before):
        return None
    shown = os.path.relpath(lock, project.root)
    return (
        f"{shown} has other versions than at the commit of version {version}, whose images differ"
        f' so: add "{shown}" to paths in [tool.bigflow.version]'
    )


@dataclass(frozen=True)
class _Inputs:
    """The places of everything that the content of a project depends on."""

    root: Path
    name: str
    needed: frozenset[Path]
    """The directories or the wheels of the projects that it needs."""
    neighbours: frozenset[Path]
    """All other projects that its workspace has, or that it needs."""
    further: tuple[Path, ...]
    """Files and directories that its settings name."""
    lock: Path | None


def _projects(directory: Path) -> Iterator[_Inputs]:
    places = {file.parent for file in tracked_files(directory) if file.name in _FILES}
    for place in sorted(places):
        with _named(os.path.relpath(place, directory)):
            if is_project(place):
                yield _read(place)


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """Put the path of the project before the message of an error."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error.message}", hint=error.hint) from error


def _read(root: Path) -> _Inputs:
    pyproject = read_pyproject(root)
    table = pyproject.get("tool", {}).get("bigflow", {})
    settings = read_table(Settings, table, key="tool.bigflow", source="pyproject.toml")
    options = read_requirements(root / REQUIREMENTS).options
    template = (settings.dags.template,) if settings.dags.template else ()
    further = [
        *(root / p for p in (*settings.version.paths, *settings.image.find_links, *template)),
        *((root / REQUIREMENTS).parent / option.value for option in options if option.names_a_file),
    ]
    needed = required_projects(root, pyproject)
    is_locked = "dependencies" in pyproject.get("project", {})
    directory = directory_of_uv_lock(root) if is_locked else None
    return _Inputs(
        root=root,
        name=str(pyproject.get("project", {}).get("name", "")),
        needed=needed,
        neighbours=needed | workspace_members(root, pyproject),
        further=tuple(Path(os.path.normpath(path)) for path in further),
        lock=directory and directory / UV_LOCK,
    )


def _counts(project: _Inputs, name: str, found: Changed, owners: set[Path]) -> bool:
    """Return True if the changed file ``name`` is part of the project's content."""
    file = found.top / name
    if any(covers([str(path)], str(file)) for path in project.further):
        return True
    if file == project.lock:
        return _needs_other_packages(project.name, name, found)
    owner = next((parent for parent in file.parents if parent in owners), None)
    return owner == project.root or not project.needed.isdisjoint({owner, file})


def _needs_other_packages(project: str, name: str, found: Changed) -> bool:
    """Return True unless the packages of the project are the same in both locks."""
    try:
        texts = [found.before(name), read_bounded(found.top / name, LOCK_FILE)]
        old, new = (parse_toml((text or b"").decode("utf-8")) for text in texts)
    except (UserError, ValueError):
        return True  # the build reports a lock that is not valid
    return _packages(old, project) != _packages(new, project)


def _packages(lock: Mapping[str, Any], name: str) -> list[Any]:
    """Return the entries of a lock that a project needs, directly or not."""
    from packaging.utils import canonicalize_name

    entries: dict[str, list[Any]] = {}
    for entry in _tables(lock.get("package")):
        entries.setdefault(str(entry.get("name")), []).append(entry)
    needed: dict[str, list[Any]] = {}
    rest = [str(canonicalize_name(name))]
    while rest:
        one = rest.pop()
        if one not in needed:
            needed[one] = entries.get(one, [])
            rest += [str(d.get("name")) for entry in needed[one] for d in _dependencies(entry)]
    return sorted(needed.items())


def _dependencies(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from _tables(entry.get("dependencies"))
    for key in ("optional-dependencies", "dev-dependencies"):
        tables = entry.get(key)
        for listed in tables.values() if isinstance(tables, dict) else ():
            yield from _tables(listed)


def _tables(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
