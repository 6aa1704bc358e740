"""The settings -> the library that compresses the layers of a build."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from bigflow_backend.image.store.compressors import Compression, fast_gzip, zstd, zstd_library

if TYPE_CHECKING:
    from bigflow_backend.project.settings import ImageSettings

# The first releases that load layers with Zstandard, by the start of an engine's name.
_READERS = {"Docker Engine": (23,), "Podman Engine": (4, 3)}


def find_compression(settings: ImageSettings, engine_name: Callable[[], str]) -> Compression:
    """Return the compression of an image with these settings.

    ``auto`` is Zstandard if all readers are known: a registry takes all layers of the OCI
    specification, and ``engine_name`` returns the engine that loads the image. Nobody knows which
    program will read an archive or a layout, so they have gzip.

    :raises UserError: if the library for it is missing, or no engine answers.
    """
    wanted = settings.compression
    if wanted == "auto":
        has_files = settings.export_tar or settings.oci_layout
        is_known = not has_files and (settings.push or settings.load)
        takes_zstd = is_known and zstd_library() is not None
        if takes_zstd and settings.load:
            takes_zstd = reads_zstd(engine_name())
        wanted = "zstd" if takes_zstd else "gzip"
    return zstd() if wanted == "zstd" else fast_gzip()


def reads_zstd(engine_name: str) -> bool:
    """Return True if the engine loads layers with Zstandard.

    :param engine_name: its kind and its version, such as ``Docker Engine 20.10.24``.
    """
    kind, _, version = engine_name.rpartition(" ")
    numbers = tuple(int(number) for number in re.findall(r"\d{1,9}", version)[:2])
    return kind in _READERS and numbers >= _READERS[kind]
