"""Small images, made in a store."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING, Any

from bigflow_backend.image.oci import (
    CONFIG,
    INDEX,
    LAYER_GZIP,
    MANIFEST,
    Descriptor,
    canonical_json,
    sha256_digest,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bigflow_backend.image.store.blobs import BlobStore

__all__ = ["make_image", "make_index", "tar_of"]


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """A layer's tar."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return target.getvalue()


def make_image(
    store: BlobStore,
    *layers: bytes,
    architecture: str = "amd64",
    layer_type: str = LAYER_GZIP,
    manifest_type: str = MANIFEST,
    config_changes: Mapping[str, Any] | None = None,
) -> Descriptor:
    """An image of these tars; the descriptor of its manifest."""
    layers = layers or (tar_of({"hello.txt": b"hello"}),)
    config = {
        "os": "linux",
        "architecture": architecture,
        "config": {"Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [sha256_digest(tar) for tar in layers]},
        "history": [
            *({"created_by": f"COPY {number}"} for number in range(len(layers))),
            {"created_by": "ENV", "empty_layer": True},
        ],
        **(config_changes or {}),
    }
    document = {
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": store.add(canonical_json(config), CONFIG).as_json(),
        "layers": [
            store.add(gzip.compress(tar, compresslevel=1, mtime=0), layer_type).as_json()
            for tar in layers
        ],
    }
    return store.add(canonical_json(document), manifest_type)


def make_index(
    store: BlobStore, images: Sequence[tuple[Descriptor, str]], *, media_type: str = INDEX
) -> Descriptor:
    """An index of images, each with its architecture."""
    manifests = [
        {**image.as_json(), "platform": {"os": "linux", "architecture": architecture}}
        for image, architecture in images
    ]
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}
    return store.add(canonical_json(document), media_type)
