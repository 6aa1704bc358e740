"""Other projects of the repository that a project depends on: ``[tool.uv.sources]``.

https://docs.astral.sh/uv/concepts/projects/workspaces/
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bigflow_backend.project.pyproject import read_pyproject


def local_projects(root: Path, pyproject: Mapping[str, Any]) -> dict[str, Path]:
    """Return the normalised name and the directory of each source in this repository.

    ``pyproject`` is the parsed pyproject.toml of ``root``. Sources of its workspace count, too.

    :raises UserError: if the pyproject.toml of a workspace cannot be read.
    """
    from packaging.utils import canonicalize_name

    workspace, table = _workspace(root, pyproject)
    found: dict[str, Path] = {}
    members: dict[str, Path] | None = None
    for place, sources in ((workspace, _sources(table)), (root, _sources(pyproject))):
        for name, source in sources.items():
            if not isinstance(source, dict):
                continue
            if isinstance(source.get("path"), str):
                found[canonicalize_name(name)] = Path(os.path.normpath(place / source["path"]))
            elif source.get("workspace") is True:
                members = dict(_members(workspace, table)) if members is None else members
                member = members.get(canonicalize_name(name))
                if member is not None:
                    found[canonicalize_name(name)] = member
    return {name: path for name, path in found.items() if path.is_dir() and path != root}


def names_with_a_source(root: Path, pyproject: Mapping[str, Any]) -> set[str]:
    """Return the normalised names that uv takes from a place of their own, not from any index."""
    from packaging.utils import canonicalize_name

    _, table = _workspace(root, pyproject)
    return {canonicalize_name(name) for name in (*_sources(table), *_sources(pyproject))}


def pinned(requirement: str, projects: Mapping[str, Path]) -> str:
    """Return the requirement; that of a local project names its version, if a file states it."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.utils import canonicalize_name

    try:
        parsed = Requirement(requirement)
        directory = projects.get(canonicalize_name(parsed.name))
        if directory is None:
            return requirement
        version = read_pyproject(directory).get("project", {}).get("version")
        if version is None:
            return requirement
        parsed.specifier, parsed.url = SpecifierSet(f"=={version}"), None
    except (InvalidRequirement, InvalidSpecifier):
        return requirement
    return str(parsed)


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
    from packaging.utils import canonicalize_name

    patterns = _uv(table).get("workspace", {}).get("members", [])
    for pattern in (".", *patterns):
        for path in sorted(directory.glob(pattern)) if pattern != "." else [directory]:
            name = read_pyproject(path).get("project", {}).get("name")
            if isinstance(name, str):
                yield canonicalize_name(name), path


def _sources(table: Mapping[str, Any]) -> Mapping[str, Any]:
    sources = _uv(table).get("sources", {})
    return sources if isinstance(sources, dict) else {}


def _uv(table: Mapping[str, Any]) -> Mapping[str, Any]:
    uv = table.get("tool", {}).get("uv", {})
    return uv if isinstance(uv, dict) else {}
