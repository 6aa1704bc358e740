"""Zstandard, which some builders compress layers with: RFC 8878.

Python's standard library has it since 3.14 (PEP 784); before, the package ``backports.zstd``.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from _typeshed import SupportsRead

ZSTD_MISSING = "unpacking them takes Python 3.14 or backports.zstd"
_MODULES = ("compression.zstd", "backports.zstd")


def can_unpack_zstd() -> bool:
    """Whether there is a library for it here."""
    return _library() is not None


@contextlib.contextmanager
def unpacked_zstd(source: SupportsRead[bytes]) -> Iterator[SupportsRead[bytes]]:
    """What ``source`` holds, unpacked, as a file object to read from.

    :raises ValueError: from there, when it is not what was packed.
    """
    library = _library()
    if library is None:
        raise ValueError(ZSTD_MISSING)
    with library.open(cast("IO[bytes]", source)) as file:
        yield _Reader(file, library.ZstdError)


class _Reader:
    """Tells faults as the other kinds of compression do."""

    def __init__(self, file: IO[bytes], fault: type[Exception]) -> None:
        self._file = file
        self._fault = fault

    def read(self, size: int = -1) -> bytes:
        try:
            return self._file.read(size)
        except (self._fault, EOFError) as error:
            raise ValueError(str(error)) from error


def _library() -> Any:
    for name in _MODULES:
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    return None
