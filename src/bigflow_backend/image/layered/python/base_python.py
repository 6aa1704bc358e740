"""The base image's own Python, which compiles in a sandbox.

Its bytecode is the same on every machine. Another release of the same minor version writes
bytecode that works as well, but has other bytes.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import posixpath
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.deadline import check_deadline
from bigflow_backend.ground.directories import scratch_directory
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.limits import PYTHON_FILES
from bigflow_backend.image.base.compression import Timed
from bigflow_backend.image.layered.python.bytecode import (
    ENVIRONMENT,
    OPTIONS,
    CompilerError,
    Start,
    Streams,
    ask_version,
)
from bigflow_backend.image.layered.python.sandbox import Sandbox, SandboxError, find_sandbox
from bigflow_backend.image.oci import Descriptor, sha256_digest
from bigflow_backend.image.store.key import record_content, record_key

if TYPE_CHECKING:
    from bigflow_backend.image.layered.python.interpreter import Interpreter
    from bigflow_backend.image.layered.rootfs import FileSystem
    from bigflow_backend.image.store.blobs import BlobStore

_MEDIA_TYPE = "application/octet-stream"
# The files that an interpreter loads before its first line, without `site`: the loader, libraries,
# and the modules that are not compiled in. It needs os.py to find the others.
_LIBRARIES = re.compile(
    r"(?:.*/)?(?:ld-(?:linux|musl)[^/]*|libpython3\.[^/]*|libc\.musl-[^/]*"
    r"|lib(?:c|m|z|dl|rt|util|crypt|expat|gcc_s|intl|pthread)(?:-2\.\d+)?\.so[^/]*)"
)
_MODULES = re.compile(
    r"(?:.*/)?lib/python3\.\d+/(?:encodings/(?:__init__|aliases|ascii|latin_1|utf_8)"
    r"|_collections_abc|_sitebuiltins|abc|codecs|genericpath|io|os|posixpath|stat)\.py"
)
_PROGRAM = re.compile(r"(?:.*/)?bin/python3\.\d+")
_SCRIPT = "program.py"


def is_wanted(path: str) -> bool:
    """Return True if :func:`find_base_python` needs the content of the file."""
    return any(pattern.fullmatch(path) for pattern in (_LIBRARIES, _MODULES, _PROGRAM))


@dataclass(frozen=True)
class BasePython:
    """The Python of a base image, whose files are in the store, with a sandbox to run it in."""

    files: PythonFiles
    version: str
    """Its release, such as ``3.12.4``."""
    store: BlobStore
    sandbox: Sandbox

    @property
    def identity(self) -> str:
        """The digest of its files, so that no image can pass its Python off as another one."""
        return self.files.digest

    @property
    def description(self) -> str:
        return f"the base's own Python {self.version}"

    @contextlib.contextmanager
    def prepared(self, program: str) -> Iterator[Start]:
        """See :class:`bigflow_backend.image.layered.python.bytecode.Compiler`."""
        blobs = {name: Descriptor.from_json(blob) for name, blob in self.files.files.items()}
        # Without an ld.so.cache, the loader needs the path of libpython.
        directories = {
            f"/{posixpath.dirname(name)}" for name in blobs if _LIBRARIES.fullmatch(name)
        }
        environment = {**ENVIRONMENT, "LD_LIBRARY_PATH": ":".join(sorted(directories))}

        def start(streams: Streams) -> subprocess.Popen[bytes]:
            command = [self.files.program, *OPTIONS, f"/{_SCRIPT}"]
            return self.sandbox.start(root, command, environment, streams)

        with scratch_directory() as scratch:
            root = scratch / "root"
            lay_out(root, blobs, self.files.links, self.store)
            # A file, not `-c`: with that, Python 3.13 imports a large part of its library.
            with _open_new(root, _SCRIPT) as file:
                file.write(program.encode("ascii"))
            scratch.chmod(0o755)  # started by root, the sandbox runs as nobody
            yield start


@dataclass(frozen=True)
class PythonFiles:
    """The files that the Python of a base image needs to compile."""

    program: str
    """Its path in the image."""
    files: Mapping[str, Mapping[str, Any]]
    """The blobs in the store, by their paths in the image without the first slash."""
    links: Mapping[str, str]
    """The targets of the symbolic links that lead to these files."""

    @functools.cached_property
    def digest(self) -> str:
        # asdict() would copy each of hundreds of values, in each build.
        content = {"program": self.program, "files": self.files, "links": self.links}
        return sha256_digest(record_content(content))

    @classmethod
    def from_json(cls, value: object, store: BlobStore) -> PythonFiles | None:
        """Return the files of a record; None if a file is no longer in the store."""
        match value:
            case {"program": str(program), "files": dict(files), "links": dict(links)}:
                blobs = [Descriptor.from_json(blob) for blob in files.values()]
                if all(store.has(blob.digest, blob.size) for blob in blobs):
                    return cls(program, files, links)
        return None


def store_files(
    store: BlobStore, system: FileSystem, interpreter: Interpreter, *, deadline: float
) -> PythonFiles:
    """Return the files of the base's Python, which are put into the store.

    :raises UserError: if there are too many.
    """
    found = {
        path: node.content
        for path, node in system.nodes()
        if node.content is not None and is_wanted(path)
    }
    links = _links_to(system, found, deadline)
    if len(found) + len(links) > PYTHON_FILES:
        raise UserError(
            f"the base image has {len(found) + len(links)} files and links of Python and its "
            f"libraries; the limit is {PYTHON_FILES}",
            hint="use another base image",
        )
    files = {}
    for path, content in found.items():
        with content.open("rb") as source:
            files[path] = store.add(Timed(source, deadline), _MEDIA_TYPE).as_json()
    return PythonFiles(interpreter.program, files, links)


def find_base_python(
    store: BlobStore, files: PythonFiles, interpreter: Interpreter, *, deadline: float
) -> BasePython:
    """Return the base's Python, which has run in the sandbox before, in this place.

    :raises SandboxError: if it cannot run here.
    """
    if platform.machine() != interpreter.machine:
        raise SandboxError(f"it is for {interpreter.architecture}")
    sandbox = find_sandbox()
    # After a reboot or in another container, the kernel may refuse the sandbox.
    namespaces = [Path("/proc/self/ns", kind).stat().st_ino for kind in ("user", "mnt", "pid")]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    key = record_key("python", files.digest, boot, namespaces, os.getuid())
    version = store.get_record(key)
    if not isinstance(version, str):
        try:
            answer = ask_version(BasePython(files, "", store, sandbox), deadline=deadline)
        except (CompilerError, OSError, ValueError) as error:
            raise SandboxError(f"it does not start: {error}") from error
        version = answer.partition(" ")[0]
        # The answer is a hostile text until it is checked.
        if not re.fullmatch(rf"{re.escape(interpreter.minor)}\.\d[\da-z.+]{{0,20}}", version):
            raise SandboxError("it does not print a version")
        store.put_record(key, version)
    return BasePython(files, version, store, sandbox)


def lay_out(
    root: Path, files: Mapping[str, Descriptor], links: Mapping[str, str], store: BlobStore
) -> None:
    """Write files and links of an image below the new directory ``root``, and nowhere else.

    No name is resolved by its text: each directory on the way is opened without following links.
    A link is left out where a file, a directory or another link is in its way.

    :raises ValueError: for a name that is not a relative path without ``..``.
    :raises OSError: for a name that the file system does not take.
    """
    root.mkdir(mode=0o755)
    root.chmod(0o755)
    for name, blob in files.items():
        with store.reader(blob) as source, _open_new(root, name, mode=0o755) as file:
            shutil.copyfileobj(source, file, 1 << 20)
    for name, target in links.items():
        with (
            contextlib.suppress(FileExistsError, NotADirectoryError),
            _parent(root, name) as (directory, last),
        ):
            os.symlink(target, last, dir_fd=directory)


@contextlib.contextmanager
def _open_new(root: Path, name: str, *, mode: int = 0o644) -> Iterator[Any]:
    with _parent(root, name) as (directory, last):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(last, flags, mode, dir_fd=directory), "wb") as file:  # noqa: PTH123
            os.fchmod(file.fileno(), mode)
            yield file


@contextlib.contextmanager
def _parent(root: Path, name: str) -> Iterator[tuple[int, str]]:
    """Yield the open directory of the file, which is made if it is missing, and its last name."""
    *parents, last = name.split("/")
    if any(part in {"", ".", ".."} for part in (*parents, last)):
        raise ValueError(f"{name!r} is not a path in an image")
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    directory = os.open(root, flags)
    try:
        for part in parents:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=directory)
            inner = os.open(part, flags, dir_fd=directory)
            os.close(directory)
            directory = inner
            os.fchmod(directory, 0o755)  # whatever the umask is
        yield directory, last
    finally:
        os.close(directory)


def _links_to(system: FileSystem, files: Iterable[str], deadline: float) -> dict[str, str]:
    """Return the symbolic links to the files, to the directories above them, and to such links.

    The last are needed where /lib64 is a link to a directory with a link to the loader.
    """
    to: dict[str, dict[str, str]] = {}
    for path, node in system.nodes():
        check_deadline(deadline)
        if node.target is not None and (place := system.resolve(path)) is not None:
            to.setdefault(place, {})[path] = node.target
    links: dict[str, str] = {}
    todo = [*files]
    while todo:
        path = todo.pop()
        for place in (path, *_parents(path)):
            found = to.pop(place, {})
            links |= found
            todo += found
    return links


def _parents(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path
