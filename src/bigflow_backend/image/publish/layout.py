"""Write an image of the store to a directory, as an OCI layout.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.oci import INDEX, canonical_json
from bigflow_backend.image.reference import remote_name

if TYPE_CHECKING:
    from bigflow_backend.image.image import StoredImages
    from bigflow_backend.image.oci import Descriptor
    from bigflow_backend.image.reference import ImageReference
    from bigflow_backend.image.store.blobs import BlobStore


def save_layout(
    store: BlobStore, images: StoredImages, references: Sequence[ImageReference], path: Path
) -> None:
    """Write the images with their tags to the new directory ``path``.

    Blobs are copied, not linked: a program that changes the layout must not change the store.

    :raises UserError: if the directory cannot be written.
    """
    try:
        (path / "blobs" / "sha256").mkdir(parents=True)
        for name, document in layout_documents(images, references).items():
            (path / name).write_bytes(canonical_json(document))
        for blob in blobs_of(images):
            with store.reader(blob) as source, (path / blob_name(blob.digest)).open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
    except OSError as error:
        raise UserError(
            f"cannot write {path.name}: {error.strerror}",
            hint="free disk space, or build without the layout: --no-oci-layout",
        ) from error


def blobs_of(images: StoredImages) -> list[Descriptor]:
    """Return each blob of the images once, sorted by digest."""
    blobs = [images.top]
    for image in images.each:
        blobs += [image.manifest, image.config, *(layer.descriptor for layer in image.layers)]
    return [blob for _digest, blob in sorted({blob.digest: blob for blob in blobs}.items())]


def blob_name(digest: str) -> str:
    """Return the path of a blob in a layout."""
    return "blobs/" + digest.replace(":", "/")


def layout_documents(
    images: StoredImages, references: Sequence[ImageReference]
) -> dict[str, object]:
    """Return the JSON documents of the layout by their names."""
    annotations: list[dict[str, str]] = [
        {
            "org.opencontainers.image.ref.name": reference.tag,
            # The full name, as containerd writes it.
            "io.containerd.image.name": str(remote_name(str(reference))),
        }
        for reference in references
    ]
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [
            images.top.as_json() | {"annotations": names} for names in annotations or [{}]
        ],
    }
    return {"oci-layout": {"imageLayoutVersion": "1.0.0"}, "index.json": index}
