"""Layers that are compressed with Zstandard (RFC 8878).

Python's standard library has it since 3.14 (PEP 784). Before, ``backports.zstd`` is used.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from _typeshed import SupportsRead

ZSTD_MISSING = "they need Python 3.14 or backports.zstd"
_MODULES = ("compression.zstd", "backports.zstd")


def can_unpack_zstd() -> bool:
    """Return whether a library for it is installed."""
    return _library() is not None


@contextlib.contextmanager
def unpacked_zstd(source: SupportsRead[bytes]) -> Iterator[SupportsRead[bytes]]:
    """Yield a file object with the unpacked content of ``source``.

    :raises ValueError: from its ``read``, if the content is damaged.
    """
    library = _library()
    if library is None:
        raise ValueError(ZSTD_MISSING)
    with library.open(cast("IO[bytes]", source)) as file:
        yield _Reader(file, library.ZstdError)


class _Reader:
    """A reader that raises ``ValueError`` for damaged content."""

    def __init__(self, file: IO[bytes], error: type[Exception]) -> None:
        self._file = file
        self._error = error

    def read(self, size: int = -1) -> bytes:
        try:
            return self._file.read(size)
        except (self._error, EOFError) as error:
            raise ValueError(str(error)) from error


def _library() -> Any:
    for name in _MODULES:
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    return None
