"""Write an image of the store to a tar archive.

The archive is an OCI layout and a docker-archive in one: the files of both are the same blobs. The
layout has all platforms of the image; a docker-archive can have one only.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
https://github.com/moby/moby/blob/master/image/spec/v1.2.md
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bigflow_backend.ground.epoch import DEFAULT
from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.oci import canonical_json
from bigflow_backend.image.publish.layout import blob_name, blobs_of, layout_documents

if TYPE_CHECKING:
    from bigflow_backend.image.image import StoredImages
    from bigflow_backend.image.reference import ImageReference
    from bigflow_backend.image.store.blobs import BlobStore


def save_archive(
    store: BlobStore, images: StoredImages, references: Sequence[ImageReference], path: Path
) -> None:
    """Write the images with their names to ``path``; the store must have all of their layers.

    :raises UserError: if the file cannot be written.
    """
    try:
        with path.open("wb") as output:
            write_archive(store, images, references, output)
    except OSError as error:
        raise UserError(
            f"cannot write {path.name}: {error.strerror}",
            hint="free disk space, or build without the file: --no-export-image-tar",
        ) from error


def write_archive(
    store: BlobStore,
    images: StoredImages,
    references: Sequence[ImageReference],
    output: IO[bytes],
) -> None:
    """Write the images with their names."""
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, document in _documents(images, references).items():
            content = canonical_json(document)
            archive.addfile(_member(name, len(content)), io.BytesIO(content))
        for blob in blobs_of(images):
            with store.reader(blob) as source:
                archive.addfile(_member(blob_name(blob.digest), blob.size), source)


def _documents(images: StoredImages, references: Sequence[ImageReference]) -> dict[str, object]:
    """Return the documents of the layout, and the manifest of a docker-archive."""
    image = images.each[0]
    manifest = {
        "Config": blob_name(image.config.digest),
        "RepoTags": [str(reference) for reference in references],
        "Layers": [blob_name(layer.descriptor.digest) for layer in image.layers],
    }
    return {**layout_documents(images, references), "manifest.json": [manifest]}


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o644, DEFAULT
    return member
