"""Other projects of the repository that a project needs: ``[tool.uv.sources]``, ``file:`` URLs.

https://docs.astral.sh/uv/concepts/projects/workspaces/
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from bigflow_backend.project.pyproject import read_pyproject

if TYPE_CHECKING:
    from packaging.requirements import Requirement

UV_LOCK = "uv.lock"


def local_projects(root: Path, pyproject: Mapping[str, Any]) -> dict[str, Path]:
    """Return the normalised name of each other project, and its directory or its wheel.

    ``pyproject`` is the parsed pyproject.toml of ``root``. Sources of its workspace count, too.

    :raises UserError: if the pyproject.toml of a workspace cannot be read.
    """
    workspace, table = _workspace(root, pyproject)
    found: dict[str, Path] = {}
    members: dict[str, Path] | None = None
    for place, sources in ((workspace, _sources(table)), (root, _sources(pyproject))):
        for name, source in sources.items():
            if not isinstance(source, dict):
                continue
            if isinstance(source.get("path"), str):
                found[_normalised(name)] = Path(os.path.normpath(place / source["path"]))
            elif source.get("workspace") is True:
                members = dict(_members(workspace, table)) if members is None else members
                member = members.get(_normalised(name))
                if member is not None:
                    found[_normalised(name)] = member
    found.update(_file_urls(root, pyproject))
    return {
        name: path
        for name, path in found.items()
        if path != root and (path.is_dir() or (path.suffix == ".whl" and path.is_file()))
    }


def required_projects(
    root: Path, pyproject: Mapping[str, Any], *, in_image: bool = False
) -> frozenset[Path]:
    """Return the places in the repository that the project needs, also by another of them.

    A place is the directory of a project, or a wheel. With ``in_image``, only the list of the
    dependencies counts, and not those of groups, extras and builds.

    :raises UserError: if the pyproject.toml of one of them cannot be read.
    """
    repository = _repository(root)
    found: set[Path] = set()
    rest = [(root, pyproject)]
    while rest:
        place, table = rest.pop()
        names = listed_names(place, table)
        if place != root or not in_image:
            names |= _further_names(table)
        for name, path in local_projects(place, table).items():
            is_new = path not in {root, *found} and path.is_relative_to(repository)
            if name in names and is_new:
                found.add(path)
                rest.append((path, read_pyproject(path)))
    return frozenset(found)


def workspace_members(root: Path, pyproject: Mapping[str, Any]) -> frozenset[Path]:
    """Return the directories of all members of the project's workspace."""
    return frozenset(path for _, path in _members(*_workspace(root, pyproject)))


def directory_of_uv_lock(root: Path) -> Path | None:
    """Return the directory with the project's uv.lock: its own, or that of its workspace."""
    if (root / UV_LOCK).is_file():
        return root
    for directory in root.parents:
        if (directory / UV_LOCK).is_file() and (directory / "pyproject.toml").is_file():
            return directory if "workspace" in _uv(read_pyproject(directory)) else None
        if (directory / ".git").exists():
            return None
    return None


def uv_tables(root: Path, pyproject: Mapping[str, Any]) -> list[tuple[Path, Mapping[str, Any]]]:
    """Return the ``[tool.uv]`` of the project, its workspace and the projects that it needs.

    Each has the directory to which its paths are relative.
    """
    workspace, table = _workspace(root, pyproject)
    needed = sorted(required_projects(root, pyproject))
    return [
        (root, _uv(pyproject)),
        (workspace, _uv(table)),
        *((path, _uv(read_pyproject(path))) for path in needed),
    ]


def names_with_a_source(root: Path, pyproject: Mapping[str, Any]) -> set[str]:
    """Return the normalised names that uv takes from a place of their own, not from any index."""
    _, table = _workspace(root, pyproject)
    return {_normalised(name) for name in (*_sources(table), *_sources(pyproject))}


def pinned(requirement: str, projects: Mapping[str, Path]) -> str:
    """Return the requirement; that of a local project names its version, if a file states it."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        parsed = Requirement(requirement)
        directory = projects.get(_normalised(parsed.name))
        if directory is None:
            return requirement
        version = read_pyproject(directory).get("project", {}).get("version")
        parsed.url = None
        if version is not None:
            parsed.specifier = SpecifierSet(f"=={version}")
    except (InvalidRequirement, InvalidSpecifier):
        return requirement
    return str(parsed)


def relative_file_urls(pyproject: Mapping[str, Any]) -> dict[str, str]:
    """Return the normalised name and the path of each ``NAME @ file:PATH`` with a relative path."""
    listed = pyproject.get("project", {}).get("dependencies")
    urls = {_normalised(item.name): urlsplit(item.url or "") for item in _requirements(listed)}
    return {
        name: unquote(url.path)
        for name, url in urls.items()
        if url.scheme == "file" and not url.path.startswith("/")
    }


def _file_urls(root: Path, pyproject: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """Yield the name and the path of each ``NAME @ file:PATH`` in the lists of dependencies.

    A relative path is relative to the project, where pip and other tools run.
    """
    from bigflow_backend.project.requirements import REQUIREMENTS, read_requirements

    listed = pyproject.get("project", {}).get("dependencies")
    lines = [line.specifier for line in read_requirements(root / REQUIREMENTS).lines]
    for parsed in (*_requirements(listed), *_requirements(lines)):
        url = urlsplit(parsed.url or "")
        if url.scheme == "file" and url.netloc in {"", "localhost"}:
            yield _normalised(parsed.name), Path(os.path.normpath(root / unquote(url.path)))


def listed_names(root: Path, pyproject: Mapping[str, Any]) -> set[str]:
    """Return the normalised names in the list of the dependencies, wherever it is."""
    from bigflow_backend.project.requirements import REQUIREMENTS, read_requirements

    listed = pyproject.get("project", {}).get("dependencies")
    if listed is None:
        return {line.name for line in read_requirements(root / REQUIREMENTS).lines}
    return {_normalised(parsed.name) for parsed in _requirements(listed)}


def _further_names(pyproject: Mapping[str, Any]) -> set[str]:
    """Return the normalised names that builds, extras and groups require."""
    project = pyproject.get("project", {})
    lists = [pyproject.get("build-system", {}).get("requires")]
    for tables in (project.get("optional-dependencies"), pyproject.get("dependency-groups")):
        lists += tables.values() if isinstance(tables, dict) else []
    return {_normalised(parsed.name) for listed in lists for parsed in _requirements(listed)}


def _requirements(listed: object) -> Iterator[Requirement]:
    """Yield the valid entries of a list: whoever uses the others reports them."""
    from packaging.requirements import InvalidRequirement, Requirement

    for text in _texts(listed):
        with contextlib.suppress(InvalidRequirement):
            yield Requirement(text)


def _normalised(name: str) -> str:
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(name))


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _repository(root: Path) -> Path:
    """Return the top of the repository of the project, or the project outside git."""
    return next((d for d in (root, *root.parents) if (d / ".git").exists()), root)


def _workspace(root: Path, pyproject: Mapping[str, Any]) -> tuple[Path, Mapping[str, Any]]:
    """Return the directory and the pyproject.toml of the workspace; the project's without one."""
    for directory in (root, *root.parents):
        table = pyproject if directory == root else read_pyproject(directory)
        if "workspace" in _uv(table):
            return directory, table
        if (directory / ".git").exists():
            break
    return root, pyproject


def _members(directory: Path, table: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    workspace = _uv(table).get("workspace")
    patterns = _texts(workspace.get("members")) if isinstance(workspace, dict) else []
    matches = (directory.glob(p) for p in patterns if p and not Path(p).is_absolute())
    for path in (directory, *sorted(path for found in matches for path in found)):
        if path.is_dir():
            name = read_pyproject(path).get("project", {}).get("name")
            if isinstance(name, str):
                yield _normalised(name), path


def _sources(table: Mapping[str, Any]) -> Mapping[str, Any]:
    sources = _uv(table).get("sources", {})
    return sources if isinstance(sources, dict) else {}


def _uv(table: Mapping[str, Any]) -> Mapping[str, Any]:
    uv = table.get("tool", {}).get("uv", {})
    return uv if isinstance(uv, dict) else {}
