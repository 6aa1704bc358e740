"""Read a base image from a docker-archive: the tar of ``docker save`` and ``podman save``.

https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.text import quoted
from bigflow_backend.image.base.archive_files import image_files, read_small
from bigflow_backend.image.base.compression import (
    DamagedError,
    Timed,
    can_unpack_zstd,
    compression,
    unpacked,
)
from bigflow_backend.image.base.manifest import base_image, damaged, layer_digests, read_document
from bigflow_backend.image.oci import (
    LAYER_TAR,
    LAYER_ZSTD,
    BaseImage,
    ConfigDocument,
    Descriptor,
    sha256_digest,
)
from bigflow_backend.image.reference import remote_name
from bigflow_backend.image.store.compressors import fast_gzip
from bigflow_backend.image.store.key import record_key

if TYPE_CHECKING:
    from io import BufferedReader

    from bigflow_backend.image.base.archive_files import Files
    from bigflow_backend.image.store.blobs import BlobStore
    from bigflow_backend.image.store.key import Key

_CHUNK = 1 << 20


class _ImageFiles(TypedDict):
    Config: str
    Layers: list[str]


class _Entry(_ImageFiles, total=False):
    """An image in manifest.json."""

    RepoTags: list[str] | None


def read_docker_archive(
    path: Path, tag: str | None, *, name: str, architecture: str, store: BlobStore, deadline: float
) -> BaseImage:
    """Return the image of that tag, or the only one; its layers are in the store, compressed.

    :raises UserError: if it cannot be read, is damaged, or is for another platform.
    """
    with image_files(path, name=name, store=store, deadline=deadline) as files:
        content, layers = import_image(files, tag, name=name, store=store, deadline=deadline)
    return base_image(
        name=name,
        digest=sha256_digest(content),
        config=read_document(content, ConfigDocument, "configuration", name),
        layers=layers,
        architecture=architecture,
    )


def import_image(
    files: Files, tag: str | None, *, name: str, store: BlobStore, deadline: float
) -> tuple[bytes, list[Descriptor]]:
    """Return the configuration of an image, and its layers, which are in the store, compressed.

    :raises UserError: if the image is not there, or is damaged.
    """
    entry = _chosen(read_small(files, "manifest.json"), tag, name)
    content = read_small(files, entry["Config"])
    config = read_document(content, ConfigDocument, "configuration", name)
    diff_ids = layer_digests(config, len(entry["Layers"]), name)
    layers = []
    for member, diff_id in zip(entry["Layers"], diff_ids, strict=True):
        layer = _known(diff_id, store)
        if layer is None:
            with files.open(member) as file:
                layer = _imported(file, diff_id, name=name, store=store, deadline=deadline)
        layers.append(layer)
    return content, layers


def _chosen(content: bytes, tag: str | None, name: str) -> _Entry:
    entries = read_document(content, list[_Entry], "manifest.json", name)
    tags = [[_full_name(known) for known in entry.get("RepoTags") or ()] for entry in entries]
    matching = [
        entry
        for entry, own in zip(entries, tags, strict=True)
        if tag is None or _full_name(tag) in own
    ]
    if len(matching) == 1:
        return matching[0]
    known = quoted(", ".join(sorted({one for own in tags for one in own}))) or "no tag"
    raise UserError(
        f"the base image {name} has {f'no {tag!r}' if tag else f'{len(entries)} images'}; "
        f"it has {known}",
        hint="name one of them after the path: docker-archive:PATH:NAME:TAG",
    )


def _full_name(tag: str) -> str:
    """Return the name as Podman and skopeo write it; Docker omits ``docker.io/``."""
    try:
        return str(remote_name(tag))
    except UserError:
        return tag


def _known(diff_id: str, store: BlobStore) -> Descriptor | None:
    """Return the layer of that content, if it was read from an archive before."""
    with contextlib.suppress(ValueError):
        layer = Descriptor.from_json(store.get_record(_key(diff_id)))
        return layer if store.has(layer.digest, layer.size) else None
    return None


def _imported(
    file: BufferedReader, diff_id: str, *, name: str, store: BlobStore, deadline: float
) -> Descriptor:
    """Return the layer of that content, which is in the store, compressed."""
    kind = compression(file.peek(4))
    if kind == LAYER_TAR:
        packing = fast_gzip()
        with (
            store.writer(packing.media_type) as blob,
            unpacked(file, kind, deadline=deadline) as content,
        ):
            stream = packing.start()
            while piece := content.read(_CHUNK):
                blob.write(stream.compress(piece))
            blob.write(stream.flush())
            _check(content.digest, diff_id, name)
        layer = blob.descriptor
    else:
        layer = store.add(Timed(file, deadline), kind)
        if kind == LAYER_ZSTD and not can_unpack_zstd():
            return layer  # the builder refuses it later; nothing has checked it
        with (
            store.path(layer.digest).open("rb") as stored,
            unpacked(stored, kind, deadline=deadline) as content,
        ):
            try:
                while content.read(_CHUNK):
                    pass
            except DamagedError as error:
                raise damaged(name, f"cannot unpack a layer: {error}") from error
            _check(content.digest, diff_id, name)
    store.put_record(_key(diff_id), layer.as_json())
    return layer


def _check(found: str, diff_id: str, name: str) -> None:
    if found != diff_id:
        raise damaged(name, f"a layer has the content {found} instead of {diff_id}")


def _key(diff_id: str) -> Key:
    return record_key("layer of a docker-archive", diff_id, fast_gzip().description)
