"""Read a base image from an OCI layout: a directory, or a tar of one.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.archive_files import image_files, read_small
from bigflow_backend.image.base.manifest import base_of_manifest, damaged, json_object, malformed
from bigflow_backend.image.oci import INDEX, BaseImage, Descriptor, canonical_json, sha256_digest
from bigflow_backend.image.store.blob import CorruptBlobError

if TYPE_CHECKING:
    from bigflow_backend.image.base.archive_files import Files
    from bigflow_backend.image.store.blobs import BlobStore

_REF_NAME = "org.opencontainers.image.ref.name"


def read_oci_layout(
    path: Path, tag: str | None, *, name: str, architecture: str, store: BlobStore
) -> BaseImage:
    """Return the image of that tag, or the only one; its blobs are in the store.

    :raises UserError: if it cannot be read, is damaged, or is for another platform.
    """
    with image_files(path, name=name, store=store) as files:
        index = json_object(read_small(files, "index.json"), name)
        chosen = canonical_json({"manifests": _chosen(index, tag, name)})
        start = Descriptor(INDEX, sha256_digest(chosen), len(chosen))

        def read(blob: Descriptor) -> bytes:
            if blob == start:
                return chosen
            _import(blob, files, name=name, store=store)
            return store.read(blob.digest)

        base = base_of_manifest(start, read, name=name, architecture=architecture)
        for layer in base.layers:
            _import(layer.descriptor, files, name=name, store=store)
        return base


def _chosen(index: Mapping[str, Any], tag: str | None, name: str) -> list[dict[str, Any]]:
    """Return the entries of one image: one for each platform."""
    listed = index.get("manifests")
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise malformed(name, "its index.json does not list manifests")
    entries = {_tag(entry): [e for e in listed if _tag(e) == _tag(entry)] for entry in listed}
    if tag is None and len(entries) == 1:
        return next(iter(entries.values()))
    if tag is not None and tag in entries:
        return entries[tag]
    known = ", ".join(sorted(filter(None, entries))) or "no tag"
    raise UserError(
        f"the base image {name} has {f'no tag {tag!r}' if tag else 'several images'}; "
        f"it has {known}",
        hint="name one of them after the path: oci:PATH:TAG",
    )


def _tag(entry: Mapping[str, Any]) -> str | None:
    annotations = entry.get("annotations")
    tag = annotations.get(_REF_NAME) if isinstance(annotations, dict) else None
    return tag if isinstance(tag, str) else None


def _import(blob: Descriptor, files: Files, *, name: str, store: BlobStore) -> None:
    if store.has(blob.digest, blob.size):
        return
    with files.open(f"blobs/sha256/{blob.digest.removeprefix('sha256:')}") as file:
        try:
            store.add(file, blob.media_type, digest=blob.digest, size=blob.size)
        except CorruptBlobError as error:
            raise damaged(name, f"the blob {blob.digest}: {error}") from error
