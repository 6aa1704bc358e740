"""The layers of a project's wheel: its resources and its code.

The store has each layer under a key made of its inputs; a build makes only the missing ones.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.directories import scratch_directory
from bigflow_backend.image.layered.dependencies.install import Prefix, install_wheel
from bigflow_backend.image.layered.modules import parents, with_bytecode
from bigflow_backend.image.layered.tar import StoredLayer, directory, tree, write_layer
from bigflow_backend.image.layered.venv import APP, site_packages
from bigflow_backend.image.store.key import record_key

if TYPE_CHECKING:
    from bigflow_backend.image.layered.base_layer import BaseSystem
    from bigflow_backend.image.layered.tar import Entry
    from bigflow_backend.image.store.blobs import BlobStore
    from bigflow_backend.image.store.key import Key
    from bigflow_backend.wheel.isolated import Wheel

# Raise it with each change of what this module writes.
_EDITION = 5


def project_layers(
    store: BlobStore, system: BaseSystem, wheel: Wheel, *, path: Path, package: str
) -> tuple[StoredLayer, ...]:
    """Return the layers of the wheel in the file ``path``.

    They are the resources of ``package``, if there are any, and everything else.
    """
    key = _key("project", system, [wheel.path.name, wheel.sha256, package])
    known = [StoredLayer.from_json(value) for value in store.get_record(key) or ()]
    found = tuple(layer for layer in known if layer is not None and layer.is_in(store))
    if found and len(found) == len(known):
        return found
    with contextlib.ExitStack() as stack:
        prefix = stack.enter_context(_new_prefix(system))
        install_wheel(path, prefix)
        installed = {entry.name: entry for entry in tree(prefix.root, APP)}
        (entries,) = stack.enter_context(with_bytecode(system, installed))
        resources: list[Entry] = []
        code: list[Entry] = []
        place = f"{APP}/{prefix.site}/{package}/resources"
        for entry in entries.values():
            inside = entry.name == place or entry.name.startswith(f"{place}/")
            (resources if inside else code).append(entry)
        layers = [write_layer(store, code, created_by="project", compression=system.compression)]
        if resources:
            layers.insert(0, _resource_layer(store, system, resources, place))
    store.put_record(key, [layer.as_json() for layer in layers])
    return tuple(layers)


def _resource_layer(
    store: BlobStore, system: BaseSystem, entries: list[Entry], place: str
) -> StoredLayer:
    """Return the layer of the resources, which change less often than the code."""
    key = record_key(
        "resources",
        _EDITION,
        system.compression.description,
        place,
        [_inputs_of(entry) for entry in sorted(entries, key=lambda entry: entry.name)],
    )
    layer = StoredLayer.from_json(store.get_record(key))
    if layer is None or not layer.is_in(store):
        above = [directory(name) for name in parents(place)]
        layer = write_layer(
            store, [*above, *entries], created_by="resources", compression=system.compression
        )
        store.put_record(key, layer.as_json())
    return layer


def _inputs_of(entry: Entry) -> list[object]:
    """Return all that the entry of a layer is made of, with the digest of its content."""
    digest = hashlib.sha256()
    for piece in entry.pieces():
        digest.update(piece)
    return [entry.name, entry.mode, entry.target, entry.owner, digest.hexdigest()]


@contextlib.contextmanager
def _new_prefix(system: BaseSystem) -> Iterator[Prefix]:
    with scratch_directory() as scratch:
        root = scratch / "environment"
        root.mkdir()
        yield Prefix(root, site_packages(system.interpreter))


def _key(kind: str, system: BaseSystem, inputs: object) -> Key:
    compiler = system.compiler and system.compiler.identity
    return record_key(
        kind,
        _EDITION,
        system.interpreter.as_json(),
        compiler,
        system.compression.description,
        inputs,
    )
