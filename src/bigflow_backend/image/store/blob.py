"""The file of one blob: it hashes what it reads and writes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO

from bigflow_backend.image.oci import Descriptor
from bigflow_backend.image.store.directory import cache_errors

_CHUNK = 1 << 20


class CorruptBlobError(Exception):
    """Content that does not have its digest or size. The caller reports it to the user."""


class BlobWriter:
    """A file object for writing; its content becomes a blob."""

    def __init__(self, file: IO[bytes], media_type: str, root: Path) -> None:
        self._file = file
        self._media_type = media_type
        self._root = root
        self._hash = hashlib.sha256()
        self.size = 0
        """In bytes, so far."""

    def write(self, data: bytes) -> int:
        """Write and hash ``data``; return its size in bytes.

        :raises UserError: if the cache has no space or cannot be written.
        """
        self._hash.update(data)
        self.size += len(data)
        with cache_errors(self._root):
            return self._file.write(data)

    def flush(self) -> None:
        """Do nothing; ``gzip`` calls it."""

    def restart(self) -> None:
        """Discard what was written."""
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor of the content so far."""
        return Descriptor(self._media_type, f"sha256:{self._hash.hexdigest()}", self.size)


class BlobReader:
    """A file object for reading; it hashes its content."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read and hash at most ``size`` bytes, or the rest."""
        content = self._file.read(size)
        self._hash.update(content)
        return content

    def digest(self) -> str:
        """Read the rest, and return the digest of the whole content."""
        while self.read(_CHUNK):
            pass
        return f"sha256:{self._hash.hexdigest()}"


def check_blob(found: Descriptor, digest: str | None, size: int | None) -> None:
    """Check the digest and the size, if they are given.

    :raises CorruptBlobError: if one of them differs.
    """
    if size is not None and found.size != size:
        raise CorruptBlobError(f"it has {found.size} bytes instead of {size}")
    if digest is not None and found.digest != digest:
        raise CorruptBlobError(f"its digest is {found.digest} instead of {digest}")
