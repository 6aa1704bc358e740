"""A project's lock -> its pins, read without another program.

The hook that builds a wheel has no uv. So it reads ``uv.lock`` itself, along the dependencies of
the project. https://docs.astral.sh/uv/concepts/projects/layout/#the-lockfile
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.files import read_bounded
from bigflow_backend.ground.foreign.toml import parse_toml
from bigflow_backend.ground.limits import LOCK_FILE
from bigflow_backend.project.members import UV_LOCK, directory_of_uv_lock
from bigflow_backend.project.requirements import REQUIREMENTS, read_requirements

if TYPE_CHECKING:
    from pathlib import Path

    from bigflow_backend.project.project import Project

PYLOCK = "pylock.toml"
_SHA256 = re.compile(r"sha256[:=]([0-9a-f]{64})")


@dataclass(frozen=True, order=True)
class LockedPin:
    """A distribution in a lock."""

    name: str
    """Its normalised name."""
    version: str
    hashes: tuple[str, ...]
    """The SHA-256 of each file that the lock accepts, sorted."""


@dataclass(frozen=True)
class LockedPins:
    """The pins of a lock, for all platforms."""

    place: str
    """The file, for messages."""
    pins: tuple[LockedPin, ...]
    """Sorted by name and version."""


def locked_pins(project: Project) -> LockedPins | None:
    """Return the pins of the project's lock; None if nothing locks its dependencies.

    A lock that is not valid, or has not this project, pins nothing: a build of the image reports
    that. So it does with a stale lock, whose pins are returned.

    :raises UserError: if requirements.txt is not valid, or a lock is too large.
    """
    if project.settings.image.locked is False:
        return None
    if "dependencies" in project.pyproject.get("project", {}):
        directory = directory_of_uv_lock(project.root)
        if directory is not None:
            packages = _packages(directory / UV_LOCK, "package")
            found = _of_uv_lock(packages, project)
            is_known = any(entry.get("name") == _normalised(project.name) for entry in packages)
            return _sorted(UV_LOCK, found) if is_known else None
        if (project.root / PYLOCK).is_file():
            packages = _packages(project.root / PYLOCK, "packages")
            return _sorted(PYLOCK, _of_pylock(packages, project)) if packages else None
    lines = [line for line in read_requirements(project.requirements).lines if not line.is_local]
    if not lines or not all("--hash" in line.text for line in lines):
        return None
    return _sorted(
        REQUIREMENTS,
        (
            LockedPin(line.name, line.pinned_version, _hashes([line.text]))
            for line in lines
            if line.pinned_version is not None
        ),
    )


def _sorted(place: str, pins: Iterable[LockedPin]) -> LockedPins:
    return LockedPins(place, tuple(sorted(set(pins))))


def _packages(path: Path, key: str) -> list[Mapping[str, Any]]:
    try:
        document = parse_toml(read_bounded(path, LOCK_FILE).decode("utf-8"))
    except ValueError:
        return []
    return _tables(document.get(key))


def _of_uv_lock(packages: Iterable[Mapping[str, Any]], project: Project) -> Iterator[LockedPin]:
    """Yield what the project needs, also by its dependencies. The lock may be of a workspace."""
    own, image = _normalised(project.name), project.settings.image
    entries: dict[str, list[Mapping[str, Any]]] = {}
    for entry in packages:
        entries.setdefault(str(entry.get("name")), []).append(entry)
    rest = [
        needed
        for entry in entries.get(own, ())
        for needed in (
            *_needs(entry, image.extras),
            *_of_each(entry.get("dev-dependencies"), image.groups),
        )
    ]
    seen = set()
    while rest:
        wanted = rest.pop()
        name, version = str(wanted.get("name")), wanted.get("version")
        extras = tuple(map(str, _list(wanted.get("extra"))))
        if name != own and (name, str(version), extras) not in seen:
            seen.add((name, str(version), extras))
            for entry in entries.get(name, ()):
                if version in {None, entry.get("version")}:
                    rest += _needs(entry, extras)
                    if isinstance(entry.get("version"), str):
                        yield LockedPin(name, entry["version"], _hashes(_files(entry, "hash")))


def _needs(entry: Mapping[str, Any], extras: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    yield from _tables(entry.get("dependencies"))
    yield from _of_each(entry.get("optional-dependencies"), extras)


def _of_each(lists: object, names: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    for name in names:
        yield from _tables(_table(lists).get(name))


def _of_pylock(packages: Iterable[Mapping[str, Any]], project: Project) -> Iterator[LockedPin]:
    own = _normalised(project.name)
    for entry in packages:
        match entry:
            case {"name": str(name), "version": str(version)} if _normalised(name) != own:
                files = (
                    f"sha256:{_table(hashes).get('sha256')}" for hashes in _files(entry, "hashes")
                )
                yield LockedPin(_normalised(name), version, _hashes(files))


def _files(entry: Mapping[str, Any], key: str) -> Iterator[Any]:
    for file in (_table(entry.get("sdist")), *_tables(entry.get("wheels"))):
        yield file.get(key)


def _hashes(texts: Iterable[object]) -> tuple[str, ...]:
    return tuple(sorted({digest for text in texts for digest in _SHA256.findall(str(text))}))


def _normalised(name: str) -> str:
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(name))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _tables(value: object) -> list[Mapping[str, Any]]:
    return [item for item in _list(value) if isinstance(item, dict)]


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
