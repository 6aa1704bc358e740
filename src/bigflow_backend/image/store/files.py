"""The file of a blob, while it is written and while it is read: its digest is that of its bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO

from bigflow_backend.image.oci import Descriptor
from bigflow_backend.image.store.directory import cache_faults

_CHUNK = 1 << 20


class CorruptBlobError(Exception):
    """Content that is not what its digest or size says; whoever brought it in tells the user."""


class BlobWriter:
    """A file object to write to, whose content becomes a blob."""

    def __init__(self, file: IO[bytes], media_type: str, root: Path) -> None:
        self._file = file
        self._media_type = media_type
        self._root = root
        self._hash = hashlib.sha256()
        self.size = 0
        """In bytes, so far."""

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.size += len(data)
        with cache_faults(self._root):
            return self._file.write(data)

    def flush(self) -> None:
        """There for ``gzip``, which calls it; what counts is the end of the block."""

    def restart(self) -> None:
        """Forgets what was written."""
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def descriptor(self) -> Descriptor:
        """Of what was written so far."""
        return Descriptor(self._media_type, f"sha256:{self._hash.hexdigest()}", self.size)


class BlobReader:
    """A file object to read from; it hashes what it gives."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self._hash.update(content)
        return content

    def digest(self) -> str:
        """Of the whole content: the rest is read for it."""
        while self.read(_CHUNK):
            pass
        return f"sha256:{self._hash.hexdigest()}"


def check_blob(found: Descriptor, digest: str | None, size: int | None) -> None:
    """
    :raises CorruptBlobError: when it has not the ``digest`` or ``size`` that is given.
    """
    if size is not None and found.size != size:
        raise CorruptBlobError(f"it has {found.size} bytes instead of {size}")
    if digest is not None and found.digest != digest:
        raise CorruptBlobError(f"its digest is {found.digest} instead of {digest}")
