"""Read a tar archive forwards: ustar, PAX and GNU.

It reads what an image needs of each entry, and nothing without a limit. Python's ``tarfile`` has no
limits: a header of 1 GB takes 2 GB of memory, and digits in a header take quadratic time in some of
its releases (CVE-2024-6232).

https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13
https://www.gnu.org/software/tar/manual/html_node/Standard.html
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, BinaryIO

from bigflow_backend.ground.deadline import check_deadline
from bigflow_backend.ground.limits import NAMES, NAMES_SIZE, PATH, TAR_HEADER
from bigflow_backend.image.base.compression import DamagedError

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

_BLOCK = 512
_END = bytes(_BLOCK)
_PIECE = 1 << 18
_LONGEST_NUMBER = 20  # digits of 64 bits
_SIGNED = struct.Struct(f"{_BLOCK}b")


class Kind(Enum):
    """The kind of an entry."""

    FILE = auto()
    SPARSE = auto()
    """A file that is stored without its holes."""
    DIRECTORY = auto()
    SYMBOLIC_LINK = auto()
    HARD_LINK = auto()
    OTHER = auto()
    """A device, and what is unknown."""


_KINDS = {
    **dict.fromkeys((b"0", b"\0", b"7"), Kind.FILE),
    b"1": Kind.HARD_LINK,
    b"2": Kind.SYMBOLIC_LINK,
    b"5": Kind.DIRECTORY,
    b"S": Kind.SPARSE,
}
_WITHOUT_CONTENT = frozenset(b"123456")


@dataclass(frozen=True, slots=True)
class TarEntry:
    """An entry of an archive. Bytes that are not UTF-8 are in its texts as surrogates."""

    name: str
    kind: Kind
    target: str
    """The target of a link."""
    size: int
    """Bytes of the content, as stored."""
    offset: int
    """The place of the content in a file that can seek; else 0."""


class Names:
    """A limit for names that are held in memory."""

    def __init__(self) -> None:
        self._count = 0
        self._size = 0

    def add(self, *names: str) -> None:
        """Count one more file or directory with these names.

        :raises DamagedError: if there are too many.
        """
        self._count += 1
        self._size += sum(map(len, names))
        if self._count > NAMES or self._size > NAMES_SIZE:
            raise DamagedError(f"it has more than {NAMES:,} names, or {NAMES_SIZE:,} letters")


class TarReader:
    """Yields the entries of ``file``, which ends with the archive; each is read once.

    :raises DamagedError: in the loop, for an archive that is not valid or not complete.
    :raises DeadlineError: in the loop, after the deadline.
    """

    def __init__(self, file: BinaryIO, *, deadline: float) -> None:
        self._file = file
        self._deadline = deadline
        self._end = os.fstat(file.fileno()).st_size if file.seekable() else None
        self._left = 0

    def __iter__(self) -> Iterator[TarEntry]:
        while (entry := self._next()) is not None:
            self._left = entry.size
            yield entry
            self._skip(self._left + -entry.size % _BLOCK)

    def copy(self, target: SupportsWrite[bytes]) -> None:
        """Write the content of the last entry to ``target``."""
        while self._left:
            piece = self._read(min(self._left, _PIECE))
            target.write(piece)
            self._left -= len(piece)

    def _next(self) -> TarEntry | None:
        extended: dict[bytes, bytes] = {}
        while block := self._file.read(_BLOCK):
            check_deadline(self._deadline)
            if block == _END:
                return None
            _check_header(block)
            size, kind = _number(block[124:136]), block[156:157]
            if kind in {b"x", b"X"}:
                extended |= _records(self._header(size))
            elif kind == b"g":  # of all entries: runtimes ignore it, too
                self._header(size)
            elif kind == b"L":
                extended[b"path"] = self._header(size)
            elif kind == b"K":
                extended[b"linkpath"] = self._header(size)
            else:
                return self._entry(block, extended)
        return None

    def _entry(self, block: bytes, extended: dict[bytes, bytes]) -> TarEntry:
        flag = block[156:157]
        name, target = _text(block[:100]), _text(block[157:257])
        if block[257:263] == b"ustar\0" and (prefix := _text(block[345:500])):
            name = prefix + b"/" + name
        name = _text(extended.get(b"GNU.sparse.name", extended.get(b"path", name)))
        target = _text(extended.get(b"linkpath", target))
        if max(len(name), len(target)) > PATH:
            raise DamagedError(f"a name has {max(len(name), len(target))} letters")
        kind = _KINDS.get(flag, Kind.OTHER)
        if kind is Kind.FILE and name.endswith(b"/"):
            kind = Kind.DIRECTORY  # before POSIX, directories had no flag
        if kind is Kind.FILE and any(key.startswith(b"GNU.sparse.") for key in extended):
            kind = Kind.SPARSE
        size = _number(extended.get(b"size", block[124:136]), 10 if b"size" in extended else 8)
        if flag[0] in _WITHOUT_CONTENT:
            size = 0
        more = flag == b"S" and block[482]
        while more:  # a map of the holes
            more = self._read(_BLOCK)[504]
        offset = 0 if self._end is None else self._file.seek(0, os.SEEK_CUR)
        return TarEntry(_decoded(name), kind, _decoded(target), size, offset)

    def _header(self, size: int) -> bytes:
        if size > TAR_HEADER:
            raise DamagedError(f"a header has {size:,} bytes")
        content = self._read(size)
        self._skip(-size % _BLOCK)
        return content

    def _read(self, size: int) -> bytes:
        check_deadline(self._deadline)
        content = self._file.read(size)
        if len(content) < size:
            raise DamagedError("unexpected end of data")
        return content

    def _skip(self, size: int) -> None:
        if self._end is None:
            while size:
                size -= len(self._read(min(size, _PIECE)))
        elif self._file.seek(0, os.SEEK_CUR) + size > self._end:
            raise DamagedError("unexpected end of data")
        else:
            self._file.seek(size, os.SEEK_CUR)


def _check_header(block: bytes) -> None:
    if len(block) == _BLOCK:
        found = _number(block[148:156])
        rest = block[:148] + b" " * 8 + block[156:]
        # Some old programs sum signed bytes.
        if found == sum(rest) or found == sum(_SIGNED.unpack(rest)):
            return
    raise DamagedError("a header is not valid")


def _number(field: bytes, base: int = 8) -> int:
    """Return a number in digits, or in GNU's base 256."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = _text(field).strip()
    try:
        if digits.isdigit() and len(digits) <= _LONGEST_NUMBER:
            return int(digits, base)
    except ValueError:
        pass  # 8 and 9 are not octal
    else:
        if not digits:
            return 0
    raise DamagedError("a number is not valid")


def _records(content: bytes) -> dict[bytes, bytes]:
    """Return the records of a PAX header: ``<length> <key>=<value>`` and a line break."""
    found = {}
    position = 0
    while position < len(content) and content[position]:
        digits, _space, _rest = content[position : position + 20].partition(b" ")
        record = content[position : position + (int(digits) if digits.isdigit() else 0)]
        key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if not equals or not record.endswith(b"\n"):
            raise DamagedError("a PAX header is not valid")
        found[key] = value
        position += len(record)
    return found


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
