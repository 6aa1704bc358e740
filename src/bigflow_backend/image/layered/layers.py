"""The layers of a project's wheel: its resources and its code.

The store has each layer under a key made of its inputs; a build makes only the missing ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.directories import scratch_directory
from bigflow_backend.ground.files import walk
from bigflow_backend.image.layered.dependencies.install import Prefix, install_wheel
from bigflow_backend.image.layered.python.bytecode import Source, cache_tag, compile_modules
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
_EDITION = 4


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
    with _new_prefix(system) as prefix:
        install_wheel(path, prefix)
        _compile(system, prefix)
        resources: list[Entry] = []
        code: list[Entry] = []
        place = f"{APP}/{prefix.site}/{package}/resources"
        for entry in tree(prefix.root, APP):
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
        [_inputs_of(entry) for entry in entries],
    )
    layer = StoredLayer.from_json(store.get_record(key))
    if layer is None or not layer.is_in(store):
        above = [directory(name) for name in _parents(place)]
        layer = write_layer(
            store, [*above, *entries], created_by="resources", compression=system.compression
        )
        store.put_record(key, layer.as_json())
    return layer


def _parents(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name


def _inputs_of(entry: Entry) -> list[object]:
    """Return all that the entry of a layer is made of, with the digest of its content."""
    digest = hashlib.sha256()
    if isinstance(entry.content, bytes):
        digest.update(entry.content)
    else:
        with entry.content.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    return [entry.name, entry.mode, entry.target, entry.owner, digest.hexdigest()]


@contextlib.contextmanager
def _new_prefix(system: BaseSystem) -> Iterator[Prefix]:
    with scratch_directory() as scratch:
        root = scratch / "environment"
        root.mkdir()
        yield Prefix(root, site_packages(system.interpreter))


def _compile(system: BaseSystem, prefix: Prefix) -> None:
    """Compile all modules in ``lib``, as ``compileall`` does in the standard Dockerfile."""
    if system.compiler is None:
        return
    sources = []
    for path in walk(prefix.root / "lib"):
        if path.suffix == ".py" and path.is_file() and path.parent.name != "__pycache__":
            name = f"{path.stem}.{cache_tag(system.interpreter.minor)}.pyc"
            shown = f"/{APP}/{path.relative_to(prefix.root).as_posix()}"
            sources.append(Source(path, shown, path.parent / "__pycache__" / name))
    compile_modules(system.compiler, sources, deadline=system.deadline)


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
