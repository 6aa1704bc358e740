"""A base image's files -> facts about its Python. Nothing of the image runs for that."""

from __future__ import annotations

import dataclasses
import itertools
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.image.platforms import MACHINES
from bigflow_backend.image.standard import CannotServeError

if TYPE_CHECKING:
    from bigflow_backend.image.layered.rootfs import FileSystem
    from bigflow_backend.image.oci import ConfigDocument

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The search path of engines for an image without one."""

_WANTED = re.compile(
    r"(?:.*/)?(?:bin/python3(?:\.\d+)?|libpython3\.\d+\.so[^/]*|libc\.so\.6|libc-2\.\d+\.so"
    r"|ld-musl-[^/]*|libc\.musl-[^/]*)"
)
_NAMED = re.compile(r"(?:.*/)?bin/[^/]*|.*\.(?:dist|egg)-info(?:/.*)?")
_NAME = re.compile(r"python(?P<minor>3\.[0-9]{1,3})")
# PY_VERSION of Include/patchlevel.h. Linkers merge it with another string that ends with it, such
# as the path of the installation.
_VERSION = rb"(?<![0-9.])(%s\.\d{1,9}(?:(?:a|b|rc)\d{1,9})?)\+?\0"
_GLIBC = re.compile(rb"GNU C Library [^\n]{0,200}?stable release version (\d{1,9}\.\d{1,9})")
_MUSL = re.compile(rb"\0(1\.\d{1,9})\.\d{1,9}\0")
# The longest text that these patterns match.
_OVERLAP = 512
_PIECE = 1 << 20
_DISTRIBUTION = re.compile(
    r"(?P<name>[\w.]+)-(?P<version>[\w.!+]+)(?:-py\d[^/]*)?\.(?:dist-info|egg-info)", re.ASCII
)


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """Facts about an image's Python that installing for it needs."""

    executable: str
    """The ``python3`` on the image's PATH, such as ``/usr/local/bin/python3``."""
    program: str
    """The file behind its links, such as ``/usr/local/bin/python3.12``."""
    version: str
    """Such as ``3.12.4``."""
    libc: str
    """``glibc`` or ``musl``"""
    libc_version: str
    """Its first two numbers."""
    architecture: str
    """Go's name: ``amd64``, ``arm64``."""
    installed: Mapping[str, str]
    """The versions of the image's distributions, by their normalised names."""

    @property
    def minor(self) -> str:
        """Such as ``3.12``."""
        return ".".join(self.version.split(".")[:2])

    @property
    def machine(self) -> str:
        """The kernel's name of its architecture, such as ``x86_64``."""
        return MACHINES.get(self.architecture, self.architecture)

    @property
    def standard_library(self) -> str:
        """Its directory, without the first slash."""
        return f"{posixpath.dirname(posixpath.dirname(self.program))}/lib/python{self.minor}"[1:]

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def is_wanted(path: str) -> bool:
    """Return True if :func:`find_interpreter` needs the content of the file."""
    return _WANTED.fullmatch(path) is not None


def is_named(path: str) -> bool:
    """Return True if :func:`find_interpreter` needs the name of the file."""
    return _NAMED.fullmatch(path) is not None


def search_path(config: ConfigDocument) -> str:
    """Return the ``PATH`` of an image with this configuration."""
    for variable in (config.get("config") or {}).get("Env") or []:
        name, _, value = variable.partition("=")
        if name == "PATH" and value:
            return value
    return DEFAULT_PATH


def find_interpreter(system: FileSystem, *, path: str, architecture: str) -> Interpreter:
    """Return the Python that ``python3`` starts in the image.

    :raises CannotServeError: if the builder does not support it, or cannot find it.
    """
    for directory in path.split(":"):
        executable = posixpath.join(directory, "python3")
        program = system.resolve(executable)
        if program is not None:
            break
    else:
        raise CannotServeError(f"the base image has no python3 on its PATH: {path}")
    name = _NAME.fullmatch(posixpath.basename(program))
    if name is None:
        raise CannotServeError(f"the base image's {executable} is not a CPython 3: got /{program}")
    libc, libc_version = _c_library(system)
    return Interpreter(
        executable=executable,
        program=f"/{program}",
        version=_version(system, program, name["minor"]),
        libc=libc,
        libc_version=libc_version,
        architecture=architecture,
        installed=_installed(system, program, name["minor"]),
    )


def _version(system: FileSystem, program: str, minor: str) -> str:
    """Return the version, a string in the program or in its library."""
    pattern = re.compile(_VERSION % re.escape(minor).encode())
    above = f"{posixpath.dirname(posixpath.dirname(program))}/lib"
    name = f"libpython{minor}.so"
    libraries = [n for n in sorted(system.directory(above)) if n.startswith(name)]
    for path in (program, *(f"{above}/{name}" for name in libraries)):
        found = set(_matches(pattern, system.content(path)))
        if len(found) == 1:
            return found.pop()
    raise CannotServeError(f"the base image's /{program} does not contain its version")


def _c_library(system: FileSystem) -> tuple[str, str]:
    for path, _node in system.nodes():
        name = posixpath.basename(path)
        if name == "libc.so.6":
            for version in _matches(_GLIBC, system.content(path)):
                return "glibc", version
        if name.startswith("ld-musl-"):
            for version in _matches(_MUSL, system.content(path)):
                return "musl", version
    raise CannotServeError("the base image has neither the GNU C library nor musl")


def _matches(pattern: re.Pattern[bytes], content: Path | None) -> Iterator[str]:
    """Yield the first group of each match. The file is read in pieces; some have 300 MB."""
    if content is None:
        return
    with content.open("rb") as file:
        seen = b""
        while piece := file.read(_PIECE):
            window = seen[-_OVERLAP:] + piece
            # What is before the first byte of a later window is not known.
            for match in pattern.finditer(window, 1 if seen else 0):
                yield match[1].decode("ascii")
            seen = window


def _installed(system: FileSystem, program: str, minor: str) -> dict[str, str]:
    """Return the distributions outside of a virtual environment that it sees."""
    from packaging.utils import canonicalize_name

    prefix = posixpath.dirname(posixpath.dirname(program))
    directories = (
        f"{prefix}/lib/python{minor}/site-packages",
        # Debian's: https://wiki.debian.org/Python#Deviations_from_upstream
        f"{prefix}/lib/python3/dist-packages",
        f"{prefix}/local/lib/python{minor}/dist-packages",
    )
    found = {}
    for name in itertools.chain.from_iterable(map(system.directory, directories)):
        if match := _DISTRIBUTION.fullmatch(name):
            found[str(canonicalize_name(match["name"]))] = match["version"]
    return dict(sorted(found.items()))
