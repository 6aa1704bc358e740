"""uv's explicit indexes: a lock takes some distributions from them, and uv asks them for no others.

uv pip knows the index of a distribution only from a pyproject.toml, so one is written for it.
https://docs.astral.sh/uv/concepts/indexes/#pinning-a-package-to-an-index
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from bigflow_backend.image.dependencies.indexes import bare_url, tables_of_uv
from bigflow_backend.project.members import uv_tables

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project


@dataclass(frozen=True)
class ExplicitIndex:
    """An index, and the distributions that a lock takes from it."""

    name: str
    """The name in ``[[tool.uv.index]]``: uv's variables with credentials contain it."""
    url: str
    """It may contain credentials."""
    place: str
    """The URL without credentials, or the path of a directory."""
    is_flat: bool
    """True for a list of files, without a page for each name."""
    pins: frozenset[str]
    """``NAME==VERSION`` of each distribution."""


def explicit_indexes(
    project: Project, lock: Mapping[str, Any], directory: Path
) -> tuple[ExplicitIndex, ...]:
    """Return the explicit indexes from which a lock in ``directory`` takes distributions."""
    pins: dict[str, set[str]] = {}
    for package in _packages(lock):
        match package:
            # The one form is that of uv.lock, the other that of pylock.toml.
            case {"name": name, "version": version, "source": {"registry": str(registry)}} | {
                "name": name,
                "version": version,
                "index": str(registry),
            }:
                pins.setdefault(_place(registry, directory), set()).add(f"{name}=={version}")
    found: dict[str, ExplicitIndex] = {}
    for base, entry in _entries(project):
        match entry:
            case {"name": str(name), "url": str(url), "explicit": True}:
                place = _place(url, base)
                if place in pins:
                    absolute = url if "://" in url else place
                    is_flat = entry.get("format") == "flat"
                    index = ExplicitIndex(name, absolute, place, is_flat, frozenset(pins[place]))
                    found.setdefault(place, index)
    return tuple(found.values())


def _packages(lock: Mapping[str, Any]) -> Iterator[object]:
    for key in ("package", "packages"):
        packages = lock.get(key)
        yield from packages if isinstance(packages, list) else ()


def write_pyproject(
    file: Path, lines: Iterable[tuple[str, str]], indexes: Sequence[ExplicitIndex]
) -> Path:
    """Write a pyproject.toml that requires ``lines``, each from its index; return the file.

    A line is a normalised name, and a requirement that may have hashes. They are left out.
    """
    from packaging.requirements import Requirement

    required, sources = [], dict[str, list[str]]()
    for name, text in lines:
        requirement = Requirement(text.partition(" --hash")[0].strip())
        required.append(str(requirement))
        for index in indexes:
            if f"{name}{requirement.specifier}" in index.pins:
                marker = f", marker = {json.dumps(str(requirement.marker))}"
                more = marker if requirement.marker is not None else ""
                source = f"{{ index = {json.dumps(index.name)}{more} }}"
                sources.setdefault(name, []).append(source)
    text = f'[project]\nname = "image"\nversion = "0"\ndependencies = {json.dumps(required)}\n'
    text += "[tool.uv.sources]\n"
    text += "".join(f"{json.dumps(name)} = [{', '.join(s)}]\n" for name, s in sources.items())
    for index in indexes:
        text += f"[[tool.uv.index]]\nname = {json.dumps(index.name)}\nexplicit = true\n"
        text += f"url = {json.dumps(index.url)}\n" + ('format = "flat"\n' if index.is_flat else "")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    return file


def _entries(project: Project) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield the entries of all lists of indexes, with the directory of their paths."""
    tables = [
        *uv_tables(project.root, project.pyproject),
        *((project.root, table) for table in tables_of_uv(project.root)),
    ]
    for base, table in tables:
        entries = table.get("index")
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict):
                yield base, entry


def _place(url: str, directory: Path) -> str:
    """Return the URL without credentials, or the absolute path of a directory, to compare it."""
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"}:
        return bare_url(url)
    path = unquote(parts.path) if parts.scheme == "file" else url
    return os.path.normpath(directory / path)
