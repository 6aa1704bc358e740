"""Read a base image from an OCI layout: a directory, or a tar of one.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.text import quoted
from bigflow_backend.image.base.archive_files import image_files, read_small
from bigflow_backend.image.base.compression import DamagedError, Timed
from bigflow_backend.image.base.manifest import (
    base_of_manifest,
    damaged,
    index_entries,
    read_document,
)
from bigflow_backend.image.oci import (
    INDEX,
    BaseImage,
    Descriptor,
    EntryDocument,
    IndexDocument,
    canonical_json,
    sha256_digest,
)
from bigflow_backend.image.store.blob import CorruptBlobError

if TYPE_CHECKING:
    from bigflow_backend.image.base.archive_files import Files
    from bigflow_backend.image.store.blobs import BlobStore

_REF_NAME = "org.opencontainers.image.ref.name"


def read_oci_layout(
    path: Path, tag: str | None, *, name: str, architecture: str, store: BlobStore, deadline: float
) -> BaseImage:
    """Return the image of that tag, or the only one; its blobs are in the store.

    :raises UserError: if it cannot be read, is damaged, or is for another platform.
    """
    with image_files(path, name=name, store=store, deadline=deadline) as files:
        index = read_document(read_small(files, "index.json"), IndexDocument, "index.json", name)
        chosen = canonical_json({"manifests": _chosen(index, tag, name)})
        start = Descriptor(INDEX, sha256_digest(chosen), len(chosen))

        def read(blob: Descriptor) -> bytes:
            if blob == start:
                return chosen
            import_blob(blob, files, name=name, store=store, deadline=deadline)
            return store.read(blob.digest)

        base = base_of_manifest(start, read, name=name, architecture=architecture)
        for layer in base.layers:
            import_blob(layer.descriptor, files, name=name, store=store, deadline=deadline)
        return base


def _chosen(index: IndexDocument, tag: str | None, name: str) -> list[EntryDocument]:
    """Return the entries of one image: one for each platform."""
    images: dict[str | None, list[EntryDocument]] = {}
    for entry in index_entries(index, name):
        images.setdefault((entry.get("annotations") or {}).get(_REF_NAME), []).append(entry)
    several = [[entry.get("digest") for entry in entries] for entries in images.values()]
    if tag is None and several and all(one == several[0] for one in several):
        return next(iter(images.values()))  # one image, which may have several tags
    if tag is not None and tag in images:
        return images[tag]
    known = quoted(", ".join(sorted(filter(None, images)))) or "no tag"
    count = "several images" if images else "no images"
    raise UserError(
        f"the base image {name} has {f'no tag {tag!r}' if tag else count}; it has {known}",
        hint="name one of them after the path: oci:PATH:TAG",
    )


def import_blob(
    blob: Descriptor, files: Files, *, name: str, store: BlobStore, deadline: float
) -> None:
    """Copy a blob of a layout into the store, unless it is there.

    :raises UserError: if it is damaged.
    """
    if store.has(blob.digest, blob.size):
        return
    with files.open(f"blobs/sha256/{blob.digest.removeprefix('sha256:')}") as file:
        content = Timed(file, deadline, limit=blob.size)
        try:
            store.add(content, blob.media_type, digest=blob.digest, size=blob.size)
        except (CorruptBlobError, DamagedError) as error:
            raise damaged(name, f"the blob {blob.digest}: {error}") from error
