"""The lowest of our layers: a user, and the bytecode of the base's standard library.

It depends only on the base image and on what compiles, so all projects of a user share it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigflow_backend.ground.directories import scratch_directory
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.limits import ACCOUNTS, MODULE, PACKAGE_LIST, PROGRAM, RPM_DATABASE
from bigflow_backend.image.layered.python import base_python, interpreter
from bigflow_backend.image.layered.python.base_python import (
    PythonFiles,
    find_base_python,
    store_files,
)
from bigflow_backend.image.layered.python.bytecode import (
    Source,
    cache_tag,
    compiled,
    find_local_compiler,
)
from bigflow_backend.image.layered.python.interpreter import (
    Interpreter,
    find_interpreter,
    search_path,
)
from bigflow_backend.image.layered.python.sandbox import SandboxError
from bigflow_backend.image.layered.rootfs import read_file_system
from bigflow_backend.image.layered.tar import StoredLayer, directory, file, write_layer
from bigflow_backend.image.materials.packages import BasePackages, base_packages
from bigflow_backend.image.materials.rpm import DATABASE
from bigflow_backend.image.store.key import record_key

if TYPE_CHECKING:
    from bigflow_backend.image.layered.python.bytecode import Compiler
    from bigflow_backend.image.layered.rootfs import FileSystem
    from bigflow_backend.image.layered.tar import Entry
    from bigflow_backend.image.materials.packages import Kind
    from bigflow_backend.image.oci import BaseImage
    from bigflow_backend.image.store.blobs import BlobStore
    from bigflow_backend.image.store.compressors import Compression
    from bigflow_backend.image.store.key import Key

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
_PACKAGE_LISTS = re.compile(
    r"var/lib/dpkg/(status|status\.d/[^/]+(?<!\.md5sums))|(usr/)?lib/apk/db/installed"
    r"|(etc|usr/lib)/os-release"
)
_RPM = ("var/lib/rpm", "usr/lib/sysimage/rpm")
# Raise it with each change of what this module writes.
_EDITION = 4


@dataclass(frozen=True)
class BaseSystem:
    """Facts about the base image, and the layer over it."""

    interpreter: Interpreter
    compiler: Compiler | None
    """The base's own Python, else one of this machine of the same minor version, else None."""
    compiler_note: str
    """A sentence about the compiler, for the user."""
    layer: StoredLayer
    layer_sizes: tuple[int, ...]
    """Unpacked bytes of the files in each of the base's own layers."""
    deadline: float
    """The time of :func:`time.monotonic` at which all compiling ends."""
    compression: Compression
    """Of the layers over the base."""
    packages: BasePackages
    """Those of the base's operating system."""


def base_system(
    store: BlobStore,
    base: BaseImage,
    *,
    fetch_layers: Callable[[], None],
    check: Callable[[Interpreter], None],
    deadline: float,
    compression: Compression,
    native: BaseSystem | None = None,
) -> BaseSystem:
    """Read the base image and write the layer, unless the store has both.

    ``fetch_layers`` brings the layers of the base into the store; it is called only if they have
    to be read. ``check`` may refuse the base's Python, before anything is compiled. ``native`` is
    the base for this machine, whose Python can compile for another platform.

    :raises UserError: if the base has no Python that the builder supports.
    """
    inputs = _inputs(base)
    key = record_key("base", *inputs)
    known = _from_record(store, store.get_record(key))
    if known is not None:
        found, files, sizes, packages = known
        check(found)
        compiler, note = _find_compiler(store, found, files, native, deadline)
        layer = StoredLayer.from_json(store.get_record(_layer_key(inputs, compiler, compression)))
        if layer is not None and layer.is_in(store):
            return BaseSystem(found, compiler, note, layer, sizes, deadline, compression, packages)
    fetch_layers()
    with scratch_directory() as scratch:
        contents = scratch / "contents"
        contents.mkdir()
        system = read_file_system(
            store, base, wanted=_wanted, directory=contents, deadline=deadline
        )
        found = find_interpreter(
            system, path=search_path(base.config), architecture=base.architecture
        )
        check(found)
        packages = _packages(system)
        files = store_files(store, system, found, deadline=deadline)
        compiler, note = _find_compiler(store, found, files, native, deadline)
        with _bytecode(system, found, compiler, deadline) as bytecode:
            layer = write_layer(
                store,
                [*_user(system), *bytecode],
                created_by=_created_by(compiler),
                compression=compression,
            )
    record = {
        "interpreter": found.as_json(),
        "sizes": system.layer_sizes,
        "python": dataclasses.asdict(files),
        "packages": packages.as_json(),
    }
    store.put_record(key, record)
    store.put_record(_layer_key(inputs, compiler, compression), layer.as_json())
    return BaseSystem(
        found, compiler, note, layer, system.layer_sizes, deadline, compression, packages
    )


def known_python(store: BlobStore, base: BaseImage) -> str | None:
    """Return the version of the base's Python, if a build has read the base before."""
    known = _from_record(store, store.get_record(record_key("base", *_inputs(base))))
    return None if known is None else known[0].version


def _inputs(base: BaseImage) -> tuple[object, ...]:
    # The diff_ids beside the blobs: they are compared when the layers are read, and not before.
    layers = [[x.descriptor.media_type, x.descriptor.digest, x.diff_id] for x in base.layers]
    return (_EDITION, search_path(base.config), base.architecture, layers)


def _find_compiler(
    store: BlobStore,
    found: Interpreter,
    files: PythonFiles,
    native: BaseSystem | None,
    deadline: float,
) -> tuple[Compiler | None, str]:
    """Return the compiler, and the sentence about it."""
    if native and native.compiler and native.interpreter.version == found.version:
        return native.compiler, f"{native.compiler.description} compiles, as for this machine"
    try:
        own = find_base_python(store, files, found, deadline=deadline)
    except SandboxError as error:
        reason = f"the base's own Python {found.minor} cannot run in a sandbox here: {error}"
    else:
        return own, f"{own.description} compiles, in a sandbox"
    local = find_local_compiler(found.version)
    if local is not None:
        return local, (
            f"{local.description} compiles, so the digest may differ on another machine; {reason}"
        )
    return None, (
        "the image has no bytecode, and each start compiles what it imports; this machine has no "
        f"Python {found.minor} (to get one: `uv python install {found.minor}`); {reason}"
    )


def _created_by(compiler: Compiler | None) -> str:
    return "a user without rights" + ("" if compiler is None else "; bytecode of the library")


def _layer_key(
    inputs: tuple[object, ...], compiler: Compiler | None, compression: Compression
) -> Key:
    identity = compiler and compiler.identity
    return record_key("system", *inputs, identity, compression.description)


def _from_record(
    store: BlobStore, record: object
) -> tuple[Interpreter, PythonFiles, tuple[int, ...], BasePackages] | None:
    match record:
        case {
            "interpreter": dict(found),
            "sizes": list(sizes),
            "python": python,
            "packages": listed,
        }:
            files, packages = PythonFiles.from_json(python, store), BasePackages.from_json(listed)
            if files and packages:
                return Interpreter(**found), files, tuple(sizes), packages
    return None


def _wanted(path: str) -> int | None:
    """Return the most bytes of a needed file; see :func:`read_file_system`."""
    if path in _USER_LINES:
        return ACCOUNTS
    if _MODULES.fullmatch(path) and not _LEFT_OUT.search(f"/{path}"):
        return MODULE
    if interpreter.is_wanted(path) or base_python.is_wanted(path):
        return PROGRAM
    if _PACKAGE_LISTS.fullmatch(path):
        return PACKAGE_LIST
    if path in {f"{place}/{DATABASE}" for place in _RPM}:
        return RPM_DATABASE
    return 0 if interpreter.is_named(path) or path.startswith(_RPM) else None


def _packages(system: FileSystem) -> BasePackages:
    """Return the packages that the base lists.

    :raises UserError: if the lists together are beyond the limit.
    """
    left = PACKAGE_LIST

    def content(path: str) -> bytes:
        nonlocal left
        found = system.content(path)
        if found is None:
            return b""
        # A link may lead to the largest file of the base, and many links to the same one.
        with found.open("rb") as file:
            text = file.read(left + 1)
        left -= len(text)
        if left < 0:
            raise UserError(
                f"the base image lists its packages in more than {PACKAGE_LIST:,} bytes",
                hint="use another base image; this one is damaged",
            )
        return text

    several = "var/lib/dpkg/status.d"  # of distroless images
    lists: list[tuple[Kind, str]] = [
        ("deb", "var/lib/dpkg/status"),
        *(("deb", f"{several}/{name}") for name in sorted(system.directory(several))),
        ("apk", "lib/apk/db/installed"),
        ("apk", "usr/lib/apk/db/installed"),
    ]
    databases = (system.content(f"{path}/{DATABASE}") for path in _RPM)
    return base_packages(
        ((kind, content(path)) for kind, path in lists),
        os_release=content("etc/os-release"),
        has_rpm=any(system.directory(path) for path in _RPM),
        rpm_database=next(filter(None, databases), None),
    )


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


@contextlib.contextmanager
def _bytecode(
    system: FileSystem, found: Interpreter, compiler: Compiler | None, deadline: float
) -> Iterator[list[Entry]]:
    """Yield the bytecode of the standard library, and the directories for it."""
    if compiler is None:
        yield []
        return
    sources: dict[str, Source] = {}
    for name, node in system.nodes(found.standard_library):
        content = node.content if node.target is None else system.content(name)
        if content is None or not name.endswith(".py") or _LEFT_OUT.search(f"/{name}"):
            continue
        above, module = posixpath.split(name)
        target = f"{above}/__pycache__/{module[: -len('.py')]}.{cache_tag(found.minor)}.pyc"
        sources[target] = Source(content, f"/{name}")
    with compiled(compiler, sources, deadline=deadline) as (made,):
        new = {posixpath.dirname(target) for target in made}
        yield [
            *(directory(above) for above in sorted(new) if system.resolve(above) is None),
            *(file(target, content) for target, content in made.items()),
        ]
