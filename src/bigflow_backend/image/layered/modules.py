"""The files of layers -> the same files with bytecode, and with the directories above them."""

from __future__ import annotations

import contextlib
import posixpath
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.image.layered.python.bytecode import Source, cache_tag, compiled
from bigflow_backend.image.layered.tar import directory, file
from bigflow_backend.image.layered.venv import APP

if TYPE_CHECKING:
    from bigflow_backend.image.layered.base_layer import BaseSystem
    from bigflow_backend.image.layered.tar import Entry


@contextlib.contextmanager
def with_bytecode(
    system: BaseSystem, *groups: Mapping[str, Entry]
) -> Iterator[list[dict[str, Entry]]]:
    """Yield the files of each layer by their names, with bytecode and all directories.

    The modules in ``lib`` are compiled, as ``compileall`` does it in the standard Dockerfile.

    :raises UserError: if the compiler fails.
    """
    with contextlib.ExitStack() as stack:
        made: list[dict[str, Entry]] = [{} for _ in groups]
        if system.compiler is not None:
            sources = [_sources(entries, system.interpreter.minor) for entries in groups]
            found = compiled(system.compiler, *sources, deadline=system.deadline)
            made = [
                {name: file(name, content) for name, content in bytecode.items()}
                for bytecode in stack.enter_context(found)
            ]
        yield [
            _with_directories({**entries, **bytecode})
            for entries, bytecode in zip(groups, made, strict=True)
        ]


def removed_bytecode(system: BaseSystem, entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return the entries that remove the bytecode of lower layers from modules that have none here.

    https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts
    """
    if system.compiler is None:
        return {}
    missing = _sources(entries, system.interpreter.minor).keys() - entries.keys()
    places = (posixpath.split(name) for name in sorted(missing))
    removed = {(name := f"{above}/.wh.{pyc}"): file(name, b"") for above, pyc in places}
    directories = {name: directory(name) for place in removed for name in parents(place)}
    return {**directories, **removed}


def parents(name: str) -> Iterator[str]:
    """Yield the directories above the path of a file in an image."""
    while name := posixpath.dirname(name):
        yield name


def _with_directories(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    above = {parent: directory(parent) for name in entries for parent in parents(name)}
    return {**above, **entries}


def _sources(entries: Mapping[str, Entry], minor: str) -> dict[str, Source]:
    """Return the modules, by the names of their bytecode. A distribution may have files there."""
    found = {}
    directories = {parent for name in entries for parent in parents(name)}
    for name, entry in entries.items():
        above, module = posixpath.split(name)
        cache = f"{above}/__pycache__"
        is_module = name.startswith(f"{APP}/lib/") and module.endswith(".py")
        if not is_module or posixpath.basename(above) == "__pycache__":
            continue
        if cache in entries and not stat.S_ISDIR(entries[cache].mode):
            continue
        target = f"{cache}/{module.removesuffix('.py')}.{cache_tag(minor)}.pyc"
        if target not in directories and isinstance(entry.content, Path):
            found[target] = Source(entry.content, f"/{name}")
    return found
