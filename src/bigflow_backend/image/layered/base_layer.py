"""What the standard Dockerfile does to its base image: a user, and the standard library's bytecode.

It depends on the base image and the compiler alone, so it is the lowest of our layers: one that
every project of the user's shares.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.directories import scratch_directory
from bigflow_backend.image.layered import interpreter as interpreters
from bigflow_backend.image.layered import own_python
from bigflow_backend.image.layered.bytecode import Source, cache_tag, find_local_compiler
from bigflow_backend.image.layered.interpreter import Interpreter, find_interpreter, search_path
from bigflow_backend.image.layered.own_python import OwnPython, find_own_python
from bigflow_backend.image.layered.rootfs import read_file_system
from bigflow_backend.image.layered.tar import StoredLayer, directory, file, write_layer
from bigflow_backend.image.oci import canonical_json, sha256_digest

if TYPE_CHECKING:
    from bigflow_backend.image.layered.bytecode import Compiler
    from bigflow_backend.image.layered.rootfs import FileSystem
    from bigflow_backend.image.layered.tar import Entry
    from bigflow_backend.image.oci import BaseImage
    from bigflow_backend.image.store.blobs import BlobStore

USER = 10001
HOME = "home/app"
_USER_LINES = {
    "etc/passwd": f"app:x:{USER}:{USER}::/{HOME}:/bin/sh\n".encode(),
    "etc/group": f"app:x:{USER}:\n".encode(),
}
_MODULES = re.compile(r"(?:.*/)?lib/python3\.\d+/.*\.py|etc/python3[^/]*/.*\.py")
_LEFT_OUT = re.compile(
    r"/(test|tests|idlelib|lib2to3|turtledemo|ensurepip|site-packages|dist-packages)/"
)
# Another one for each change of what this module makes.
_EDITION = 2


@dataclass(frozen=True)
class BaseSystem:
    """What is known of the base image, and the layer over it."""

    interpreter: Interpreter
    compiler: Compiler | None
    """What compiles for it: its own Python, else one of this machine, of the same minor version;
    None when there is neither."""
    layer: StoredLayer
    layer_sizes: tuple[int, ...]
    """Of the base's own layers: the bytes of their files, unpacked."""


def base_system(
    store: BlobStore, base: BaseImage, *, fetch_layers: Callable[[], None]
) -> BaseSystem:
    """Reads the base image and writes the layer, unless the store knows both already.

    ``fetch_layers`` brings the layers of the base into the store; it is called only when they have
    to be read.

    :raises UserError: when there is no Python in the base that can be served.
    """
    identity = sha256_digest(
        canonical_json([_EDITION, search_path(base.config), [x.diff_id for x in base.layers]])
    )
    known = _known(store, store.get_record(f"base {identity}"))
    if known is not None:
        interpreter, compiler, sizes = known
        layer = StoredLayer.from_json(store.get_record(_layer_key(identity, compiler)))
        if layer is not None and layer.is_in(store):
            return BaseSystem(interpreter, compiler, layer, sizes)
    fetch_layers()
    with scratch_directory() as scratch:
        contents, compiled = scratch / "contents", scratch / "compiled"
        contents.mkdir()
        system = read_file_system(store, base, wanted=_is_wanted, directory=contents)
        interpreter = find_interpreter(
            system, path=search_path(base.config), architecture=base.architecture
        )
        own = find_own_python(store, system, interpreter)
        compiler = own or find_local_compiler(interpreter.version)
        entries = list(_user(system))
        if compiler is not None:
            entries += _bytecode(system, interpreter, compiler, compiled)
        layer = write_layer(store, entries, created_by=_created_by(compiler))
    store.put_record(
        f"base {identity}",
        {
            "interpreter": interpreter.as_json(),
            "sizes": system.layer_sizes,
            "python": own and own.as_json(),
        },
    )
    store.put_record(_layer_key(identity, compiler), layer.as_json())
    return BaseSystem(interpreter, compiler, layer, system.layer_sizes)


def _created_by(compiler: Compiler | None) -> str:
    return "a user without rights" + ("" if compiler is None else "; bytecode of the library")


def _layer_key(identity: str, compiler: Compiler | None) -> str:
    return f"system {identity} {compiler and compiler.version}"


def _known(
    store: BlobStore, record: object
) -> tuple[Interpreter, Compiler | None, tuple[int, ...]] | None:
    match record:
        case {"interpreter": dict(found), "sizes": list(sizes), "python": python}:
            interpreter = Interpreter(**found)
            if python is None:
                return interpreter, find_local_compiler(interpreter.version), tuple(sizes)
            if own := OwnPython.from_json(python, store):
                return interpreter, own, tuple(sizes)
    return None


def _is_wanted(path: str) -> bool:
    if path in _USER_LINES or interpreters.is_wanted(path) or own_python.is_wanted(path):
        return True
    return _MODULES.fullmatch(path) is not None and not _LEFT_OUT.search(f"/{path}")


def _user(system: FileSystem) -> Iterator[Entry]:
    for name, line in _USER_LINES.items():
        path = system.content(name)
        content = b"" if path is None else path.read_bytes()
        yield file(system.resolve(name) or name, content + line)
    parent, name = posixpath.split(HOME)
    above = system.resolve(parent)
    if above is None:
        yield directory(parent)
    yield directory(posixpath.join(above or parent, name), owner=USER)


def _bytecode(
    system: FileSystem, interpreter: Interpreter, compiler: Compiler, scratch: Path
) -> Iterator[Entry]:
    sources: dict[str, Source] = {}
    for name in system.below(interpreter.standard_library):
        if not name.endswith(".py") or _LEFT_OUT.search(f"/{name}"):
            continue
        content = system.content(name)
        if content is not None:
            above, module = posixpath.split(name)
            target = f"{above}/__pycache__/{module[: -len('.py')]}.{cache_tag(compiler)}.pyc"
            sources[target] = Source(content, f"/{name}", scratch / str(len(sources)))
    scratch.mkdir()
    compiler.compile(list(sources.values()))
    made = {target: s.target for target, s in sources.items() if s.target.is_file()}
    for above in sorted({posixpath.dirname(target) for target in made}):
        if above not in system.nodes:
            yield directory(above)
    for target, path in made.items():
        yield file(target, path)
