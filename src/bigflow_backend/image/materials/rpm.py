"""The SQLite database of rpm -> the packages of a base image.

Each row has the header of a package: numbers in network byte order, then the values that they lead
to. The database comes from the base image: it is read only, and up to a deadline.

https://rpm-software-management.github.io/rpm/manual/format_header.html
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bigflow_backend.ground.limits import PACKAGES, RPM_HEADER

DATABASE = "rpmdb.sqlite"
_START = struct.Struct(">II")  # the number of entries, the size of the values
_ENTRY = struct.Struct(">IIII")  # tag, type, offset, count
_NAME, _VERSION, _RELEASE, _EPOCH, _ARCHITECTURE = 1000, 1001, 1002, 1003, 1022
_TAGS = (_NAME, _VERSION, _RELEASE, _EPOCH, _ARCHITECTURE)
_NUMBER, _TEXT = 4, 6
_ENTRIES = 10_000
_LONGEST = 200
_STEPS = 100_000  # of SQLite's machine, between two looks at the clock
_KEYS = "gpg-pubkey"
"""The name of the entries for keys. They are not packages."""

Row = tuple[str, str, str]
"""Name, version with epoch and release, architecture."""


class RpmError(Exception):
    """The database cannot be read."""


def rpm_rows(database: Path, *, deadline: float) -> list[Row]:
    """Return the packages of a database, up to ``deadline``, a time of :func:`time.monotonic`.

    :raises RpmError: if it is not a valid database of rpm.
    """
    try:
        import sqlite3  # some builds of Python lack it
    except ImportError as error:
        raise RpmError(str(error)) from error
    try:
        # Without `immutable`, SQLite would look for files beside it.
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro&immutable=1", uri=True)) as read:
            read.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            read.execute("PRAGMA trusted_schema = OFF")
            kind = read.execute("SELECT type, sql FROM sqlite_master WHERE name = 'Packages'")
            match kind.fetchone():
                case ("table", str(sql)) if "VIRTUAL" not in sql.upper():
                    pass
                case _:
                    raise RpmError("it has no table of packages")
            query = "SELECT blob FROM Packages WHERE length(blob) <= ? LIMIT ?"
            found = read.execute(query, (RPM_HEADER, PACKAGES)).fetchall()
    except (sqlite3.Error, OverflowError) as error:
        raise RpmError(str(error)) from error
    return list(_rows(found))


def _rows(found: list[tuple[object, ...]]) -> Iterator[Row]:
    for (blob,) in found:
        if not isinstance(blob, bytes):
            raise RpmError("a header is not binary")
        try:
            values = dict(_values(blob))
        except (struct.error, ValueError) as error:
            raise RpmError(f"a header is not valid: {error}") from error
        name = values.get(_NAME, "")
        if name == _KEYS:
            continue
        epoch = f"{values[_EPOCH]}:" if _EPOCH in values else ""
        version = f"{epoch}{values.get(_VERSION, '')}-{values.get(_RELEASE, '')}"
        yield name, version, values.get(_ARCHITECTURE, "")


def _values(blob: bytes) -> Iterator[tuple[int, str]]:
    """Yield the tags and the values of a header that a bill of materials has."""
    count, _size = _START.unpack_from(blob)
    if count > _ENTRIES:
        raise ValueError(f"{count} entries")
    values = _START.size + count * _ENTRY.size
    for number in range(count):
        entry = _ENTRY.unpack_from(blob, _START.size + number * _ENTRY.size)
        tag, kind, offset, _count = entry
        if tag not in _TAGS:
            continue
        start = values + offset
        if kind == _NUMBER:
            yield tag, str(struct.unpack_from(">I", blob, start)[0])
        elif kind == _TEXT:
            end = blob.index(b"\0", start, start + _LONGEST)
            yield tag, blob[start:end].decode("utf-8", "replace")
