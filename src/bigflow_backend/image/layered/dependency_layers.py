"""The layers of a project's dependencies: one for each large wheel, and a few for the small ones.

All projects share them, over all bases with one minor version of Python. The key of a layer is made
of what its wheels contain, so a changed version makes one layer anew.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import os
import posixpath
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.directories import scratch_directory
from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.dependencies.indexes import configured_indexes, uv_settings
from bigflow_backend.image.layered.dependencies.distributions import install, is_executable
from bigflow_backend.image.layered.python.bytecode import Source, cache_tag, compile_modules
from bigflow_backend.image.layered.tar import StoredLayer, directory, file, write_layer
from bigflow_backend.image.layered.venv import APP, site_packages, skeleton
from bigflow_backend.image.store.key import Key, record_key

if TYPE_CHECKING:
    from bigflow_backend.image.layered.base_layer import BaseSystem
    from bigflow_backend.image.layered.dependencies.distributions import Distribution
    from bigflow_backend.image.layered.dependencies.resolver import Pin, Resolver
    from bigflow_backend.image.layered.tar import Entry
    from bigflow_backend.image.store.blobs import BlobStore

# Raise it with each change of what this module writes.
_EDITION = 1
_LARGE = 2 << 20
"""Unpacked bytes of a wheel that gets a layer of its own."""
_SHARED = 16
"""Layers for the other wheels. The name of a wheel decides in which one it is."""
_OVERLAPS = "files that several dependencies have"


@dataclass(frozen=True)
class Dependencies:
    """The layers of the virtual environment, with the dependencies in it."""

    layers: tuple[StoredLayer, ...]
    versions: tuple[str, ...]
    """The installed distributions as ``name==version``, sorted."""
    has_bigflow: bool


@dataclass(frozen=True)
class _Wheel:
    """Facts about a wheel, as a record of the store has them."""

    identity: str
    size: int
    """Unpacked bytes."""
    names: tuple[str, ...]
    """Its files, relative to the environment."""


@dataclass(frozen=True)
class _Group:
    """A layer: distributions, or single files of them."""

    title: str
    members: tuple[str, ...]
    """Names of distributions. If two have the same file, the image has that of the first."""
    only: frozenset[str] | None = None
    """The files that the layer has; None for all."""


def dependency_layers(
    store: BlobStore, system: BaseSystem, resolver: Resolver, *, at_most: int
) -> Dependencies:
    """Resolve and install the project's requirements, unless the store has the layers.

    As in an engine's cache, a newer version on an index does not make a new layer. There are
    ``at_most`` layers, if that is not below 4.

    :raises UserError: if the requirements cannot be installed.
    """
    interpreter = system.interpreter.as_json()
    key = record_key(
        "dependencies", _EDITION, interpreter, _tools(system), at_most, _inputs(resolver)
    )
    match store.get_record(key):
        case {"layers": list(stored), "versions": list(known), "has_bigflow": bool(has_bigflow)}:
            found = [StoredLayer.from_json(value) for value in stored]
            layers = tuple(layer for layer in found if layer is not None and layer.is_in(store))
            if len(layers) == len(found):
                return Dependencies(layers, tuple(known), has_bigflow)
    with scratch_directory() as scratch:
        build = _Build(store, system, resolver, scratch)
        pins = resolver.resolve(build.work)
        layers = (_environment(store, system), *build.layers(pins, at_most - 1))
    versions = tuple(pin.shown for pin in pins)
    note = {
        "layers": [layer.as_json() for layer in layers],
        "versions": versions,
        "has_bigflow": build.has_bigflow,
    }
    store.put_record(key, note)
    return Dependencies(layers, versions, build.has_bigflow)


def _environment(store: BlobStore, system: BaseSystem) -> StoredLayer:
    """Return the layer of the empty environment, which belongs to one base."""
    return _stored(
        store,
        record_key(
            "environment", _EDITION, system.interpreter.as_json(), system.compression.description
        ),
        lambda: write_layer(
            store,
            skeleton(system.interpreter),
            created_by="a virtual environment",
            compression=system.compression,
        ),
    )


def _stored(store: BlobStore, key: Key, write: Callable[[], StoredLayer]) -> StoredLayer:
    layer = StoredLayer.from_json(store.get_record(key))
    if layer is None or not layer.is_in(store):
        layer = write()
        store.put_record(key, layer.as_json())
    return layer


class _Build:
    """The layers of one build; what is installed for one layer serves the others."""

    def __init__(
        self, store: BlobStore, system: BaseSystem, resolver: Resolver, scratch: Path
    ) -> None:
        self._store = store
        self._system = system
        self._resolver = resolver
        self._environments = scratch / "environments"
        self._compiled = scratch / "compiled"
        self.work = scratch / "work"
        for path in (self._environments, self._compiled, self.work):
            path.mkdir()
        empty = skeleton(system.interpreter)
        self._own = frozenset(e.name for e in empty if not stat.S_ISDIR(e.mode))
        self._numbers = itertools.count()
        self._installed: dict[str, Distribution] = {}
        self.has_bigflow = False

    def layers(self, pins: Sequence[Pin], at_most: int) -> Iterator[StoredLayer]:
        """Yield the layers, from the lowest upwards."""
        wheels = self._wheels(pins)
        _check_places(wheels, self._own)
        module = f"{site_packages(self._system.interpreter)}/bigflow/__main__.py"
        self.has_bigflow = any(module in wheel.names for wheel in wheels.values())
        local = self._resolver.requirements.local_names
        groups = [*_groups(wheels, at_most - 1, local), *_overlaps(wheels)]
        keys = [self._key(group, wheels) for group in groups]
        found = {key: StoredLayer.from_json(self._store.get_record(key)) for key in keys}
        missing = {
            key: group
            for key, group in zip(keys, groups, strict=True)
            if (layer := found[key]) is None or not layer.is_in(self._store)
        }
        needed = {name for group in missing.values() for name in group.members}
        self._install([pin for pin in pins if pin.name in needed])
        found.update(self._write(missing))
        return (layer for key in keys if (layer := found[key]) is not None)

    def _wheels(self, pins: Sequence[Pin]) -> dict[str, _Wheel]:
        """Return the facts about the wheel of each pin, by name; install those not known yet."""
        keys = {pin.name: _pin_key(pin, self._resolver) for pin in pins}
        wheels = {}
        for name, key in keys.items():
            match key and self._store.get_record(key):
                case {"identity": str(identity), "size": int(size), "names": list(names)}:
                    wheels[name] = _Wheel(identity, size, tuple(names))
        self._install([pin for pin in pins if pin.name not in wheels])
        for name, installed in self._installed.items():
            wheel = _Wheel(installed.identity(), installed.size(), installed.names)
            wheels[name] = wheel
            if key := keys[name]:
                self._store.put_record(key, dataclasses.asdict(wheel))
        return dict(sorted(wheels.items()))

    def _install(self, pins: Sequence[Pin]) -> None:
        new = [pin for pin in pins if pin.name not in self._installed]
        self._installed |= install(self._resolver, new, work=self.work, scratch=self._environments)

    def _key(self, group: _Group, wheels: Mapping[str, _Wheel]) -> Key:
        contents = [wheels[name].identity for name in group.members]
        only = None if group.only is None else sorted(group.only)
        minor = self._system.interpreter.minor
        return record_key(
            "wheels", _EDITION, minor, _tools(self._system), group.title, contents, only
        )

    def _write(self, groups: Mapping[Key, _Group]) -> dict[Key, StoredLayer]:
        """Compile and write the layers, two at once: compressing takes most of the time."""
        entries = {key: self._entries(group) for key, group in groups.items()}
        sources = {key: self._sources(entries[key]) for key in groups}
        if self._system.compiler is not None:
            compile_modules(
                self._system.compiler,
                *([source for _, source in found] for found in sources.values()),
                deadline=self._system.deadline,
            )

        def write(key: Key) -> StoredLayer:
            bytecode = {
                name: file(name, source.target)
                for name, source in sources[key]
                if source.target.is_file()
            }
            content = entries[key] | bytecode
            above = {parent: directory(parent) for name in content for parent in _parents(name)}
            layer = write_layer(
                self._store,
                {**above, **content}.values(),
                created_by=groups[key].title,
                compression=self._system.compression,
            )
            self._store.put_record(key, layer.as_json())
            return layer

        with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
            return dict(zip(groups, pool.map(write, groups), strict=True))

    def _entries(self, group: _Group) -> dict[str, Entry]:
        entries = {}
        for member in reversed(group.members):
            installed = self._installed[member]
            for name in installed.names:
                if group.only is None or name in group.only:
                    path = installed.path(name)
                    place = _in_image(name)
                    entries[place] = file(place, path, executable=is_executable(path))
        for name in self._own & entries.keys():
            del entries[name]
        return entries

    def _sources(self, entries: Mapping[str, Entry]) -> list[tuple[str, Source]]:
        """Return the modules in ``lib`` with their places of bytecode, as ``compileall`` does."""
        found = []
        parents = {parent for name in entries for parent in _parents(name)}
        for name, entry in entries.items():
            above, module = posixpath.split(name)
            cache = f"{above}/__pycache__"
            is_module = name.startswith(f"{APP}/lib/") and module.endswith(".py")
            if not is_module or posixpath.basename(above) == "__pycache__" or cache in entries:
                continue
            tag = cache_tag(self._system.interpreter.minor)
            target = f"{cache}/{module.removesuffix('.py')}.{tag}.pyc"
            if target not in parents and isinstance(entry.content, Path):
                scratch = self._compiled / str(next(self._numbers))
                found.append((target, Source(entry.content, f"/{name}", scratch)))
        return found


def _pin_key(pin: Pin, resolver: Resolver) -> Key | None:
    """Return the key of the wheel that uv installs for the pin; None if hashes do not fix it."""
    if "--hash=" not in pin.text:
        return None
    found = resolver.interpreter
    platform = (found.minor, found.architecture, found.libc, found.libc_version)
    options = (resolver.source_options, resolver.flags, uv_settings(resolver.project))
    return record_key("wheel", _EDITION, pin.text, platform, options)


def _groups(wheels: Mapping[str, _Wheel], at_most: int, local: Collection[str]) -> list[_Group]:
    """Return the layers; a changed version of a wheel changes only the layer that it is in.

    Large wheels, and the ``local`` ones of this repository, which change often, have layers of
    their own.
    """
    shared = max(1, min(_SHARED, at_most // 2))
    alone = sorted(
        (name for name, wheel in wheels.items() if wheel.size >= _LARGE or name in local),
        key=lambda name: (name not in local, -wheels[name].size, name),
    )[: max(0, at_most - shared)]
    together: dict[int, list[str]] = {}
    for name in wheels.keys() - set(alone):
        place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % shared
        together.setdefault(place, []).append(name)
    members = [
        *(sorted(together[place]) for place in sorted(together)),
        *([n] for n in sorted(alone)),
    ]
    return [_Group(f"dependencies: {', '.join(names)}", tuple(names)) for names in members]


def _overlaps(wheels: Mapping[str, _Wheel]) -> list[_Group]:
    """Return the layer of the files that several wheels have, so their order is always one.

    As in pip, which installs them from the last name to the first, the first wheel wins.
    """
    owners = Counter(name for wheel in wheels.values() for name in wheel.names)
    several = frozenset(name for name, count in owners.items() if count > 1)
    if not several:
        return []
    members = tuple(name for name, wheel in wheels.items() if not several.isdisjoint(wheel.names))
    return [_Group(_OVERLAPS, members, several)]


def _check_places(wheels: Mapping[str, _Wheel], own: frozenset[str]) -> None:
    """
    :raises UserError: if a wheel has a directory where another or the environment has a file.
    """
    files = own.union(*({_in_image(name) for name in wheel.names} for wheel in wheels.values()))
    for name, wheel in wheels.items():
        parents = {parent for path in wheel.names for parent in _parents(_in_image(path))}
        if wrong := sorted(parents & files):
            raise UserError(
                f"{name} has a directory /{wrong[0]}, and the environment has a file there",
                hint=f"require another version of {name}",
            )


def _in_image(name: str) -> str:
    """Return the path in the image of a file of the environment, where lib64 is a link to lib."""
    top, _, rest = name.partition("/")
    return f"{APP}/lib/{rest}" if top == "lib64" and rest else f"{APP}/{name}"


def _parents(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name


def _tools(system: BaseSystem) -> list[str | None]:
    """Return what the bytes of a layer depend on besides its files."""
    compiler = None if system.compiler is None else system.compiler.identity
    return [compiler, system.compression.description]


def _inputs(resolver: Resolver) -> list[object]:
    """Return the inputs on this machine that the dependencies depend on."""
    project = resolver.project
    indexes = configured_indexes(project)
    wheels = [path for d in resolver.find_links for path in sorted(d.iterdir()) if path.is_file()]
    return [
        resolver.requirements.inputs(),
        # The time shows that a wheel was built again; reading all of them takes long.
        [(path.name, (s := path.stat()).st_size, s.st_mtime_ns) for path in wheels],
        # A digest, because they may contain credentials.
        record_key("indexes", dataclasses.asdict(indexes), uv_settings(project)),
    ]
