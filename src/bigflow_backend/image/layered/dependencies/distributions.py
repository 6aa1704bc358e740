"""An environment that uv has filled -> the files of each distribution in it."""

from __future__ import annotations

import hashlib
import stat
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.files import walk
from bigflow_backend.image.layered.dependencies.install import (
    Prefix,
    distributions,
    recorded_files,
    wheel_tags,
)
from bigflow_backend.image.layered.dependencies.order import Needs, read_needs
from bigflow_backend.image.layered.dependencies.resolver import canonical_name
from bigflow_backend.image.layered.venv import site_packages
from bigflow_backend.image.store.key import record_key

if TYPE_CHECKING:
    from bigflow_backend.image.layered.dependencies.resolver import Pin, Resolver

_PIECE = 1 << 20
# lib/python3.12/site-packages/name-1.0.dist-info/METADATA
_METADATA_LEVELS = 4


@dataclass(frozen=True)
class Distribution:
    """An installed distribution on this machine, alone or with others in one environment."""

    root: Path
    """The environment."""
    names: tuple[str, ...]
    """Its files, relative to the environment, sorted."""

    def path(self, name: str) -> Path:
        return self.root / name

    def identity(self) -> str:
        """Return a digest of all names, rights and contents: equal wheels have equal ones."""
        rows = [(n, is_executable(self.path(n)), _digest(self.path(n))) for n in self.names]
        return record_key("distribution", rows)

    def needs(self) -> Needs:
        """Return its requirements; none if its metadata is missing."""
        for name in self.names:
            if name.endswith(".dist-info/METADATA") and name.count("/") == _METADATA_LEVELS:
                return read_needs(self.path(name))
        return Needs((), python=False)

    def tags(self) -> tuple[str, ...]:
        """Return the tags of its wheel, sorted; none if its metadata is missing."""
        for name in self.names:
            if name.endswith(".dist-info/WHEEL") and name.count("/") == _METADATA_LEVELS:
                return wheel_tags(self.path(name))
        return ()

    def size(self) -> int:
        """Return the bytes of its files."""
        return sum(self.path(name).stat().st_size for name in self.names)


def install(
    resolver: Resolver, pins: Sequence[Pin], *, work: Path, scratch: Path
) -> dict[str, Distribution]:
    """Install the pins; return the distribution of each pin, by its name.

    All of them go into one environment. If a file there belongs to several distributions, or to
    none, it shows only the last that was written. Then these distributions get environments of
    their own: the files of one never depend on the others.

    :raises UserError: if they cannot be installed.
    """
    if not pins:
        return {}
    together = _new_prefix(resolver, scratch)
    resolver.install(pins, together, work=work)
    found = _split(together, {pin.name for pin in pins})
    for pin in pins:
        if pin.name not in found:
            alone = _new_prefix(resolver, scratch)
            resolver.install([pin], alone, work=work)
            found[pin.name] = Distribution(alone.root, tuple(sorted(_files(alone.root))))
    return found


def _new_prefix(resolver: Resolver, scratch: Path) -> Prefix:
    # The number of names so far makes the name of each directory a new one.
    root = scratch / f"environment-{sum(1 for _ in scratch.iterdir())}"
    prefix = Prefix(root, site_packages(resolver.interpreter))
    prefix.site_packages.mkdir(parents=True)
    return prefix


def _split(prefix: Prefix, wanted: Collection[str]) -> dict[str, Distribution]:
    """Return the distributions whose files are certainly theirs alone."""
    owned = {
        name: recorded_files(prefix, info)
        for info in distributions(prefix)
        if (name := canonical_name(info.name.partition("-")[0])) in wanted
    }
    if len(wanted) == 1:
        (name,) = wanted
        return {name: Distribution(prefix.root, tuple(sorted(_files(prefix.root))))}
    owners = Counter(file for files in owned.values() for file in files)
    if any(file not in owners for file in _files(prefix.root)):
        return {}
    return {
        name: Distribution(prefix.root, tuple(sorted(files)))
        for name, files in owned.items()
        if all(owners[file] == 1 for file in files)
    }


def _files(root: Path) -> Iterator[str]:
    """Yield the regular files below ``root``, relative to it."""
    for path in walk(root):
        if stat.S_ISREG(path.lstat().st_mode):
            yield path.relative_to(root).as_posix()


def is_executable(path: Path) -> bool:
    """Return the owner's right to execute the file: the umask changes only the others'."""
    return bool(path.lstat().st_mode & stat.S_IXUSR)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
