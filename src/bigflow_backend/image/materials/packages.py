"""The files of a package manager -> the packages of a base image.

https://man7.org/linux/man-pages/man5/deb-control.5.html
https://wiki.alpinelinux.org/wiki/Apk_spec

They come from the base image: what is not valid is left out, and reported.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bigflow_backend.ground.limits import PACKAGES
from bigflow_backend.image.materials.rpm import RpmError, rpm_rows

Kind = Literal["deb", "apk", "rpm"]

_FIELDS = {"deb": ("Package", "Version", "Architecture"), "apk": ("P", "V", "A")}
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+:~^-]{0,199}")
_SYSTEM = {"deb": "debian", "apk": "alpine", "rpm": "linux"}
_SECONDS = 60.0
"""For the database of rpm, which takes 0.1 seconds."""


@dataclass(frozen=True)
class Package:
    """An installed package of an operating system."""

    kind: Kind
    name: str
    version: str
    architecture: str


@dataclass(frozen=True)
class BasePackages:
    """The packages of a base image, without those of Python."""

    packages: tuple[Package, ...] = ()
    system: str = ""
    """The ``ID`` of its os-release, such as ``debian``; empty if it is not known."""
    release: str = ""
    """The ``VERSION_ID``, such as ``12``."""
    missing: tuple[str, ...] = ()
    """The parts that could not be listed."""

    def as_json(self) -> dict[str, object]:
        """Return the value for a record of the cache."""
        rows = [[p.kind, p.name, p.version, p.architecture] for p in self.packages]
        return {
            "packages": rows,
            "system": self.system,
            "release": self.release,
            "missing": list(self.missing),
        }

    @classmethod
    def from_json(cls, value: object) -> BasePackages | None:
        """Return the packages of a record; None if it has another form."""
        match value:
            case {
                "packages": list(rows),
                "system": str(system),
                "release": str(release),
                "missing": list(missing),
            }:
                packages = tuple(Package(*row) for row in rows)
                return cls(packages, system, release, tuple(missing))
        return None


@dataclass(frozen=True)
class Materials:
    """The contents of an image, besides the project."""

    installed: Mapping[str, str]
    """Distributions of its Python, and their versions."""
    base: BasePackages
    hashes: Mapping[str, str] = field(default_factory=dict)
    """The normalised name of an installed wheel -> its SHA-256, as far as it is known."""


def base_packages(
    lists: Iterable[tuple[Kind, bytes]],
    *,
    os_release: bytes,
    has_rpm: bool = False,
    rpm_database: Path | None = None,
) -> BasePackages:
    """Return the packages of the lists: dpkg's ``status``, apk's ``installed``, rpm's database.

    ``has_rpm`` says that the base has a database of rpm; only that of SQLite can be read.
    """
    missing = []
    rows = list(_rows(lists))
    of_rpm = None if rpm_database is None else _rpm(rpm_database)
    if of_rpm is not None:
        rows += of_rpm
    elif has_rpm:
        missing.append("the rpm packages")
    found: dict[Package, None] = {}
    skipped = 0
    for kind, values in rows:
        if all(_WORD.fullmatch(value) for value in values) and len(found) < PACKAGES:
            found[Package(kind, *values)] = None
        else:
            skipped += 1
    if skipped:
        missing.append(f"{skipped} entries of the list of packages, which are not valid")
    packages = sorted(found, key=lambda package: (package.kind, package.name, package.version))
    variables = _variables(os_release)
    return BasePackages(
        tuple(packages),
        variables.get("ID") or (_SYSTEM[packages[0].kind] if packages else ""),
        variables.get("VERSION_ID", ""),
        tuple(missing),
    )


def _rpm(database: Path) -> list[tuple[Kind, tuple[str, str, str]]] | None:
    """Return the packages of a database of rpm; None if it cannot be read."""
    try:
        rows = rpm_rows(database, deadline=time.monotonic() + _SECONDS)
    except RpmError:
        return None
    return [("rpm", row) for row in rows]


def _rows(lists: Iterable[tuple[Kind, bytes]]) -> Iterator[tuple[Kind, tuple[str, str, str]]]:
    """Yield name, version and architecture of each installed package of the lists."""
    for kind, content in lists:
        for fields in _paragraphs(content):
            # Of others, the configuration is still there.
            if "installed" in fields.get("Status", "installed").split():
                name, version, architecture = (fields.get(field, "") for field in _FIELDS[kind])
                yield kind, (name, version, architecture)


def _paragraphs(content: bytes) -> Iterator[dict[str, str]]:
    """Yield the first lines of the fields of each paragraph."""
    fields: dict[str, str] = {}
    for line in content.decode("utf-8", "replace").split("\n"):
        if not line.strip():
            if fields:
                yield fields
            fields = {}
        elif not line[0].isspace():
            name, _, value = line.partition(":")
            fields.setdefault(name, value.strip())
    if fields:
        yield fields


def _variables(content: bytes) -> dict[str, str]:
    """Return the valid variables of an os-release.

    https://www.freedesktop.org/software/systemd/man/latest/os-release.html
    """
    found = {}
    for line in content.decode("utf-8", "replace").split("\n"):
        name, _, value = line.partition("=")
        value = value.strip().strip("\"'")
        if _WORD.fullmatch(value):
            found[name.strip()] = value
    return found
