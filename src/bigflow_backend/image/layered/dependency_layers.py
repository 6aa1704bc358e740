"""The layers of a project's dependencies: one for each large wheel, and a few for the small ones.

All projects share them, over all bases with one minor version of Python. The key of a layer is made
of what its wheels contain, so a changed version makes one layer anew.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import stat
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigflow_backend.ground.directories import scratch_directory
from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.image.dependencies.indexes import configured_indexes, uv_settings
from bigflow_backend.image.layered.dependencies.distributions import install, is_executable
from bigflow_backend.image.layered.dependencies.hashes import wheel_hashes
from bigflow_backend.image.layered.dependencies.order import Needs, installation_order
from bigflow_backend.image.layered.modules import parents, removed_bytecode, with_bytecode
from bigflow_backend.image.layered.tar import StoredLayer, file, write_layer
from bigflow_backend.image.layered.venv import APP, site_packages, skeleton
from bigflow_backend.image.store.key import Key, record_key

if TYPE_CHECKING:
    from pathlib import Path

    from bigflow_backend.image.layered.base_layer import BaseSystem
    from bigflow_backend.image.layered.dependencies.distributions import Distribution
    from bigflow_backend.image.layered.dependencies.resolver import Pin, Resolver
    from bigflow_backend.image.layered.tar import Entry
    from bigflow_backend.image.store.blobs import BlobStore

# Raise it with each change of what this module writes.
_EDITION = 3
_LARGE = 2 << 20
"""Unpacked bytes of a wheel that gets a layer of its own."""
_SHARED = 16
"""Layers for the other wheels. The name of a wheel decides in which one it is."""
_AT_ONCE = 4
"""Layers that are written at once, if there are as many cores. Each takes a few MB of memory."""
_OVERLAPS = "files that several dependencies have"


@dataclass(frozen=True)
class Dependencies:
    """The layers of the virtual environment, with the dependencies in it."""

    layers: tuple[StoredLayer, ...]
    versions: tuple[str, ...]
    """The installed distributions as ``name==version``, sorted."""
    hashes: Mapping[str, str]
    """The normalised names of those whose wheel is known -> its SHA-256."""
    has_bigflow: bool


@dataclass(frozen=True)
class _Wheel:
    """Facts about a wheel, as a record of the store has them."""

    identity: str
    size: int
    """Unpacked bytes."""
    names: tuple[str, ...]
    """Its files, relative to the environment."""
    needs: Needs
    tags: tuple[str, ...]
    """The tags in its WHEEL, such as ``py3-none-any``."""


@dataclass(frozen=True)
class _Group:
    """A layer: distributions, or single files of them."""

    title: str
    members: tuple[str, ...]
    """Names of distributions. If two have the same file, the layer has that of the last."""
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
        case {
            "layers": list(stored),
            "versions": list(known),
            "hashes": dict(hashes),
            "has_bigflow": bool(has_bigflow),
            "warnings": list(texts),
        }:
            found = [StoredLayer.from_json(value) for value in stored]
            layers = tuple(layer for layer in found if layer is not None and layer.is_in(store))
            if len(layers) == len(found):
                _warn(texts)
                return Dependencies(layers, tuple(known), hashes, has_bigflow)
    with scratch_directory() as scratch:
        build = _Build(store, system, resolver, scratch)
        pins = resolver.resolve(build.work)
        layers = (_environment(store, system), *build.layers(pins, at_most - 1))
        hashes = wheel_hashes(resolver, pins, build.tags, work=build.work)
    versions = tuple(pin.shown for pin in pins)
    note = {
        "layers": [layer.as_json() for layer in layers],
        "versions": versions,
        "hashes": hashes,
        "has_bigflow": build.has_bigflow,
        "warnings": build.warnings,
    }
    _warn(build.warnings)
    store.put_record(key, note)
    return Dependencies(layers, versions, hashes, build.has_bigflow)


def _warn(texts: Iterable[str]) -> None:
    for text in texts:
        warnings.warn(text, BigflowWarning, stacklevel=2)


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
        self.work = scratch / "work"
        self._environments.mkdir()
        self.work.mkdir()
        empty = skeleton(system.interpreter)
        self._own = frozenset(e.name for e in empty if not stat.S_ISDIR(e.mode))
        self._installed: dict[str, Distribution] = {}
        self.has_bigflow = False
        self.warnings: tuple[str, ...] = ()
        """Files whose owner nothing decides."""
        self.tags: Mapping[str, tuple[str, ...]] = {}
        """The tags of each wheel, by its name."""

    def layers(self, pins: Sequence[Pin], at_most: int) -> Iterator[StoredLayer]:
        """Yield the layers, from the lowest upwards."""
        wheels = self._wheels(pins)
        _check_places(wheels, self._own)
        self.tags = {name: wheel.tags for name, wheel in wheels.items()}
        module = f"{site_packages(self._system.interpreter)}/bigflow/__main__.py"
        self.has_bigflow = any(module in wheel.names for wheel in wheels.values())
        groups = _groups(wheels, at_most - 1, self._resolver.requirements.local_names)
        if several := _overlaps(wheels):
            order = installation_order(
                {name: wheel.needs for name, wheel in wheels.items()},
                {pin.name: pin.extras for pin in pins},
                self._system.interpreter,
            )
            members = [n for n in order.names if not several.isdisjoint(wheels[n].names)]
            self.warnings = tuple(_ambiguous(members, order.cycles, wheels))
            groups.append(_Group(_OVERLAPS, tuple(members), several))
        keys = [self._key(group, wheels) for group in groups]
        found = {key: StoredLayer.from_json(self._store.get_record(key)) for key in keys}
        missing = {
            key: group
            for key, group in zip(keys, groups, strict=True)
            if (layer := found[key]) is None or not layer.is_in(self._store)
        }
        needed = {name for group in missing.values() for name in group.members}
        self._install([pin for pin in pins if pin.name in needed])
        if missing:
            plural = "s" if len(missing) > 1 else ""
            self._resolver.say(f"writing {len(missing)} layer{plural} of dependencies")
        found.update(self._write(missing))
        return (layer for key in keys if (layer := found[key]) is not None)

    def _wheels(self, pins: Sequence[Pin]) -> dict[str, _Wheel]:
        """Return the facts about the wheel of each pin, by name; install those not known yet."""
        keys = {pin.name: _pin_key(pin, self._resolver) for pin in pins}
        wheels = {}
        for name, key in keys.items():
            match key and self._store.get_record(key):
                case {
                    "identity": str(identity),
                    "size": int(size),
                    "names": list(names),
                    "needs": {"distributions": list(needed), "python": bool(python)},
                    "tags": list(tags),
                }:
                    needs = Needs(tuple(needed), python)
                    wheels[name] = _Wheel(identity, size, tuple(names), needs, tuple(tags))
        self._install([pin for pin in pins if pin.name not in wheels])
        for name, installed in self._installed.items():
            wheel = _Wheel(
                identity=installed.identity(),
                size=installed.size(),
                names=installed.names,
                needs=installed.needs(),
                tags=installed.tags(),
            )
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
        """Compile the modules, then write the layers, on all cores at once.

        The largest comes first, so that no core has to wait for the others at the end.
        """
        entries = {key: self._entries(group) for key, group in groups.items()}
        sizes = {key: sum(e.size() for e in files.values()) for key, files in entries.items()}
        ordered = sorted(groups, key=lambda key: -sizes[key])
        with with_bytecode(self._system, *(entries[key] for key in ordered)) as contents:

            def write(key: Key, content: Mapping[str, Entry]) -> StoredLayer:
                # A file without bytecode must not get that of another owner, from a lower layer.
                removed = (
                    {} if groups[key].only is None else removed_bytecode(self._system, content)
                )
                layer = write_layer(
                    self._store,
                    {**content, **removed}.values(),
                    created_by=groups[key].title,
                    compression=self._system.compression,
                )
                self._store.put_record(key, layer.as_json())
                return layer

            with ThreadPoolExecutor(min(_AT_ONCE, os.cpu_count() or 1)) as pool:
                return dict(zip(ordered, pool.map(write, ordered, contents), strict=True))

    def _entries(self, group: _Group) -> dict[str, Entry]:
        entries = {}
        for member in group.members:
            installed = self._installed[member]
            for name in installed.names:
                if group.only is None or name in group.only:
                    path = installed.path(name)
                    place = _in_image(name)
                    entries[place] = file(place, path, executable=is_executable(path))
        for name in self._own & entries.keys():
            del entries[name]
        return entries


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


def _ambiguous(
    members: Sequence[str], cycles: Iterable[Collection[str]], wheels: Mapping[str, _Wheel]
) -> Iterator[str]:
    """Yield a warning for each two distributions of a cycle that have the same file.

    ``members`` are those with files that others have, in the order of installation.
    """
    for cycle in cycles:
        inside = [name for name in members if name in cycle]
        for place, first in enumerate(inside):
            for second in inside[place + 1 :]:
                if same := sorted({*wheels[first].names} & {*wheels[second].names}):
                    more = f" and {len(same) - 1} more" if len(same) > 1 else ""
                    yield (
                        f"{first} and {second} require each other, and both have"
                        f" {_in_image(same[0])}{more}: the image has that of {second}, and pip may"
                        " choose the other"
                    )


def _overlaps(wheels: Mapping[str, _Wheel]) -> frozenset[str]:
    """Return the files that several wheels have. They get a layer over those of the wheels."""
    owners = Counter(name for wheel in wheels.values() for name in wheel.names)
    return frozenset(name for name, count in owners.items() if count > 1)


def _check_places(wheels: Mapping[str, _Wheel], own: frozenset[str]) -> None:
    """
    :raises UserError: if a wheel has a directory where another or the environment has a file.
    """
    files = own.union(*({_in_image(name) for name in wheel.names} for wheel in wheels.values()))
    for name, wheel in wheels.items():
        above = {parent for path in wheel.names for parent in parents(_in_image(path))}
        if wrong := sorted(above & files):
            raise UserError(
                f"{name} has a directory /{wrong[0]}, and the environment has a file there",
                hint=f"require another version of {name}",
            )


def _in_image(name: str) -> str:
    """Return the path in the image of a file of the environment, where lib64 is a link to lib."""
    top, _, rest = name.partition("/")
    return f"{APP}/lib/{rest}" if top == "lib64" and rest else f"{APP}/{name}"


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
