"""The base image's own Python, run here to compile: shut in, with the few files that it takes.

Its bytecode is the same wherever it is made. A Python of the building machine has the same format
where it is of the same minor version, and not the same bytes.
"""

from __future__ import annotations

import contextlib
import functools
import platform
import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.directories import scratch_directory
from bigflow_backend.image.layered import jail
from bigflow_backend.image.layered.bytecode import ENVIRONMENT, OPTIONS, PROGRAM, compile_with
from bigflow_backend.image.oci import Descriptor

if TYPE_CHECKING:
    from bigflow_backend.image.layered.bytecode import Source
    from bigflow_backend.image.layered.interpreter import Interpreter
    from bigflow_backend.image.layered.rootfs import FileSystem
    from bigflow_backend.image.store.blobs import BlobStore

_MACHINES = {"amd64": {"x86_64", "amd64"}, "arm64": {"aarch64", "arm64"}}
_MEDIA_TYPE = "application/octet-stream"
# What an interpreter loads before its first line, without `site`: its loader and libraries, and
# the modules that are not in it. os.py is how it finds the others.
_LIBRARIES = re.compile(
    r"(?:.*/)?(?:ld-(?:linux|musl)[^/]*|libpython3\.[^/]*|libc\.musl-[^/]*"
    r"|lib(?:c|m|z|dl|rt|util|crypt|expat|gcc_s|intl|pthread)(?:-2\.\d+)?\.so[^/]*)"
)
_MODULES = re.compile(
    r"(?:.*/)?lib/python3\.\d+/(?:encodings/(?:__init__|aliases|ascii|latin_1|utf_8)"
    r"|_collections_abc|_sitebuiltins|abc|codecs|genericpath|io|os|posixpath|stat)\.py"
)
_SCRIPT = "program.py"
_PROGRAM = re.compile(r"(?:.*/)?bin/python3\.\d+")


def is_wanted(path: str) -> bool:
    """Whether :func:`find_own_python` wants to see the content of the file."""
    return any(pattern.fullmatch(path) for pattern in (_LIBRARIES, _MODULES, _PROGRAM))


@dataclass(frozen=True)
class OwnPython:
    """The Python of a base image, from the store."""

    version: str
    """``sys.version``"""
    program: str
    """Its path in the image."""
    files: Mapping[str, Mapping[str, Any]]
    """The blobs by their paths in the image, which have no slash before them."""
    links: Mapping[str, str]
    """The targets of the symbolic links that lead to them."""
    store: BlobStore

    def compile(self, sources: Sequence[Source]) -> None:
        """See :class:`bigflow_backend.image.layered.bytecode.Compiler`.

        :raises UserError: also where it does not run, although it did when it was found.
        """
        with self.laid_out(PROGRAM) as root:
            compile_with(functools.partial(self._run, root), sources)

    def as_json(self) -> dict[str, Any]:
        """What :meth:`from_json` takes."""
        return {
            "version": self.version,
            "program": self.program,
            "files": dict(self.files),
            "links": dict(self.links),
        }

    @classmethod
    def from_json(cls, value: object, store: BlobStore) -> OwnPython | None:
        """The Python of a record; None when the store has lost it, or the record tells of none."""
        match value:
            case {
                "version": str(version),
                "program": str(program),
                "files": dict(files),
                "links": dict(links),
            }:
                blobs = [Descriptor.from_json(blob) for blob in files.values()]
                if all(store.has(blob.digest, blob.size) for blob in blobs):
                    return cls(version, program, files, links, store)
        return None

    def ask_version(self) -> str | None:
        """``sys.version``, as it tells itself; None where it does not run."""
        with self.laid_out("import sys; print(sys.version)") as root:
            try:
                said = self._run(root, b"")
            except (OSError, subprocess.CalledProcessError):
                return None
        return said.decode("utf-8", "replace").strip()

    @contextlib.contextmanager
    def laid_out(self, program: str) -> Iterator[Path]:
        """A directory with its files at their places, and the program that it is to run.

        They are copies, as what runs there is not ours.
        """
        with scratch_directory() as scratch:
            root = scratch / "root"
            root.mkdir()
            for name, blob in self.files.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with (
                    self.store.reader(Descriptor.from_json(blob)) as source,
                    path.open("wb") as file,
                ):
                    shutil.copyfileobj(source, file, 1 << 20)
                path.chmod(0o755)
            for name, target in self.links.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                if not path.exists():  # a file of a later layer may lie in a link to a directory
                    path.symlink_to(target)
            # A file, not `-c`: for that Python 3.13 imports a good part of its library.
            (root / _SCRIPT).write_text(program, "ascii")
            (root / _SCRIPT).chmod(0o644)
            for path in (scratch, *(p for p in root.rglob("*") if p.is_dir()), root):
                if not path.is_symlink():
                    path.chmod(0o755)  # for nobody
            yield root

    def _run(self, root: Path, jobs: bytes) -> bytes:
        libraries = {f"/{posixpath.dirname(p)}" for p in self.files if _LIBRARIES.fullmatch(p)}
        return subprocess.run(
            [
                *(sys.executable, "-I", "-S", jail.__file__, root),
                *(self.program, *OPTIONS, f"/{_SCRIPT}"),
            ],
            input=jobs,
            capture_output=True,
            check=True,
            cwd=root,
            # There is no ld.so.cache that would tell of libpython's place.
            env={**ENVIRONMENT, "LD_LIBRARY_PATH": ":".join(sorted(libraries))},
        ).stdout


def find_own_python(
    store: BlobStore, system: FileSystem, interpreter: Interpreter
) -> OwnPython | None:
    """The Python of the base image; None where it does not run on this machine.

    That is so on another kind of machine than the image is for, and where the kernel does not let
    it be shut in.
    """
    if sys.platform != "linux":
        return None
    if platform.machine().lower() not in _MACHINES.get(interpreter.architecture, ()):
        return None
    files = {}
    for path in system.nodes:
        if is_wanted(path) and (content := system.nodes[path].content) is not None:
            with content.open("rb") as source:
                files[path] = store.add(source, _MEDIA_TYPE).as_json()
    links = _links_to(system, files)
    found = OwnPython("", interpreter.program, files, links, store)
    version = found.ask_version()
    if version is None or not version.startswith(f"{interpreter.minor}."):
        return None
    return OwnPython(version, interpreter.program, files, links, store)


def _links_to(system: FileSystem, files: Iterable[str]) -> dict[str, str]:
    """The symbolic links that lead to one of the files, or to a directory above it; and those to
    such links: /lib64 may lead to a directory that holds nothing but a link to the loader."""
    links: dict[str, str] = {}
    wanted = {*files}
    found = wanted
    while found:
        wanted |= {parent for path in found for parent in _parents(path)} | found
        found = {
            path
            for path, node in system.nodes.items()
            if node.target is not None and path not in links and system.resolve(path) in wanted
        }
        links |= {path: str(system.nodes[path].target) for path in found}
    return links


def _parents(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path
