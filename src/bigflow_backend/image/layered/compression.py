"""The settings -> the library that compresses the layers of a build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigflow_backend.image.store.compressors import Compression, fast_gzip, zstd, zstd_library

if TYPE_CHECKING:
    from bigflow_backend.project.settings import ImageSettings


def find_compression(settings: ImageSettings) -> Compression:
    """Return the compression of an image with these settings.

    Only ``auto`` for an image that only goes to a registry is Zstandard: archives, layouts and
    engines may be of a Docker before 23, which does not read it.

    :raises UserError: if the library for it is missing.
    """
    wanted = settings.compression
    if wanted == "auto":
        elsewhere = settings.export_tar or settings.oci_layout or settings.load
        only_pushed = settings.push and not elsewhere
        return zstd() if only_pushed and zstd_library() is not None else fast_gzip()
    return zstd() if wanted == "zstd" else fast_gzip()
