"""The libraries that compress layers.

The bytes of a layer depend on the library and its version, so both are in the keys of the cache and
in imageinfo. https://github.com/zlib-ng/zlib-ng is four times as fast as zlib. Python's standard
library has Zstandard since 3.14 (PEP 784). Before, ``backports.zstd`` is used.
"""

from __future__ import annotations

import contextlib
import importlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.oci import LAYER_GZIP, LAYER_ZSTD

ZSTD_MISSING = "they need Python 3.14 or backports.zstd"
_MODULES = ("compression.zstd", "backports.zstd")
_GZIP_LEVEL = 3
_ZLIB_LEVEL = 6
_ZSTD_LEVEL = 3
# zlib's number for the largest window with the header of gzip, which has no name and no time.
_GZIP_WINDOW = 31


class Compressor(Protocol):
    """An object that compresses one stream."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


@dataclass(frozen=True)
class Compression:
    """A format and the library that writes it."""

    media_type: str
    description: str
    """The format, the library with its version, and the level."""
    start: Callable[[], Compressor]
    """Starts a new stream."""


def fast_gzip() -> Compression:
    """Return gzip by zlib-ng, or by zlib where that is not installed."""
    try:
        library = importlib.import_module("zlib_ng.zlib_ng")
    except ImportError:
        return Compression(
            LAYER_GZIP,
            f"gzip by zlib {zlib.ZLIB_RUNTIME_VERSION}, level {_ZLIB_LEVEL}",
            lambda: zlib.compressobj(_ZLIB_LEVEL, zlib.DEFLATED, _GZIP_WINDOW),
        )
    return Compression(
        LAYER_GZIP,
        f"gzip by zlib-ng {library.ZLIBNG_VERSION}, level {_GZIP_LEVEL}",
        lambda: library.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW),
    )


def zstd() -> Compression:
    """Return Zstandard.

    :raises UserError: if no library for it is installed.
    """
    library = zstd_library()
    if library is None:
        raise UserError(
            f'layers with compression = "zstd" cannot be written: {ZSTD_MISSING}',
            hint='set compression = "gzip" in [tool.bigflow.image]',
        )
    return Compression(
        LAYER_ZSTD,
        f"zstd by libzstd {library.zstd_version}, level {_ZSTD_LEVEL}",
        lambda: library.ZstdCompressor(_ZSTD_LEVEL),
    )


def zstd_library() -> Any:
    """Return the module, or None if none is installed."""
    for name in _MODULES:
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    return None
