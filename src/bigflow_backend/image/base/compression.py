"""The content of a layer or an archive: plain, or compressed with gzip or Zstandard (RFC 8878)."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, cast

from bigflow_backend.ground.deadline import check_deadline
from bigflow_backend.ground.limits import UNPACKED
from bigflow_backend.image.oci import LAYER_GZIP, LAYER_TAR, LAYER_ZSTD
from bigflow_backend.image.store.compressors import ZSTD_MISSING, zstd_library

if TYPE_CHECKING:
    from _typeshed import SupportsRead, WriteableBuffer

_STARTS = {b"\x1f\x8b": LAYER_GZIP, b"\x28\xb5\x2f\xfd": LAYER_ZSTD}


class DamagedError(ValueError):
    """Content that is not valid, or beyond a limit. The caller reports it to the user."""


def compression(start: bytes) -> str:
    """Return the media type of a layer that starts with these bytes."""
    return next((kind for magic, kind in _STARTS.items() if start.startswith(magic)), LAYER_TAR)


def can_unpack_zstd() -> bool:
    """Return whether a library for it is installed."""
    return zstd_library() is not None


@contextlib.contextmanager
def unpacked(source: SupportsRead[bytes], media_type: str, *, deadline: float) -> Iterator[Content]:
    """Yield the unpacked content of a layer of this media type.

    All members of a gzip file and all frames of Zstandard count: eStargz has one for each file.
    """
    # A file name in the header of gzip is read byte by byte, and has no end.
    timed = cast("IO[bytes]", Timed(source, deadline))
    if media_type == LAYER_GZIP:
        with gzip.GzipFile(fileobj=timed) as file:
            yield Content(file, deadline)
    elif media_type == LAYER_ZSTD:
        library = zstd_library()
        if library is None:
            raise DamagedError(ZSTD_MISSING)
        with library.open(timed) as file:
            yield Content(file, deadline, library.ZstdError)
    else:
        yield Content(timed, deadline)


class Timed:
    """A source of at most ``limit`` bytes, which ends at the deadline."""

    def __init__(
        self, source: SupportsRead[bytes], deadline: float, *, limit: int = UNPACKED
    ) -> None:
        self._source = source
        self._deadline = deadline
        self._limit = limit
        self._size = 0

    def read(self, size: int = -1) -> bytes:
        """Read at most ``size`` bytes.

        :raises DamagedError: beyond the limit.
        :raises DeadlineError: after the deadline.
        """
        check_deadline(self._deadline)
        piece = self._source.read(size)
        self._size += len(piece)
        if self._size > self._limit:
            raise DamagedError(f"it has more than {self._limit:,} bytes")
        return piece


class Content(io.RawIOBase):
    """A file object for reading, which hashes its content, and ends at the deadline.

    Its methods raise ``DamagedError`` for damaged content.
    """

    def __init__(
        self, source: SupportsRead[bytes], deadline: float, error: type[Exception] = EOFError
    ) -> None:
        self._source = Timed(source, deadline)
        self._errors = (error, EOFError, zlib.error, gzip.BadGzipFile)
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        target = memoryview(buffer)
        try:
            piece = self._source.read(len(target))
        except self._errors as error:
            raise DamagedError(str(error)) from error
        target[: len(piece)] = piece
        self._hash.update(piece)
        return len(piece)

    @property
    def digest(self) -> str:
        """The digest of what was read so far."""
        return f"sha256:{self._hash.hexdigest()}"
