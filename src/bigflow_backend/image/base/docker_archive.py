"""Read a base image from a docker-archive: the tar of ``docker save`` and ``podman save``.

https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.text import quoted
from bigflow_backend.image.base.archive_files import image_files, read_small
from bigflow_backend.image.base.manifest import base_image, damaged, layer_digests, read_document
from bigflow_backend.image.base.zstd import can_unpack_zstd, unpacked_zstd
from bigflow_backend.image.oci import (
    LAYER_GZIP,
    LAYER_ZSTD,
    BaseImage,
    ConfigDocument,
    Descriptor,
    sha256_digest,
)
from bigflow_backend.image.reference import remote_name

if TYPE_CHECKING:
    from io import BufferedReader

    from _typeshed import SupportsRead, SupportsWrite

    from bigflow_backend.image.store.blobs import BlobStore

_CHUNK = 1 << 20
_LEVEL = 6
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


class _ImageFiles(TypedDict):
    Config: str
    Layers: list[str]


class _Entry(_ImageFiles, total=False):
    """An image in manifest.json."""

    RepoTags: list[str] | None


def read_docker_archive(
    path: Path, tag: str | None, *, name: str, architecture: str, store: BlobStore
) -> BaseImage:
    """Return the image of that tag, or the only one; its layers are in the store, compressed.

    :raises UserError: if it cannot be read, is damaged, or is for another platform.
    """
    with image_files(path, name=name, store=store) as files:
        entry = _chosen(read_small(files, "manifest.json"), tag, name)
        content = read_small(files, entry["Config"])
        config = read_document(content, ConfigDocument, "configuration", name)
        diff_ids = layer_digests(config, len(entry["Layers"]), name)
        layers = []
        for member, diff_id in zip(entry["Layers"], diff_ids, strict=True):
            layer = _known(diff_id, store)
            if layer is None:
                with files.open(member) as file:
                    layer = _imported(file, diff_id, name=name, store=store)
                store.put_record(_key(diff_id), layer.as_json())
            layers.append(layer)
    return base_image(
        name=name,
        digest=sha256_digest(content),
        config=config,
        layers=layers,
        architecture=architecture,
    )


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


def _imported(file: BufferedReader, diff_id: str, *, name: str, store: BlobStore) -> Descriptor:
    start = file.peek(4)[:4]
    if start == _ZSTD:
        layer = store.add(file, LAYER_ZSTD)
        # Without the library, the builder refuses such a layer later.
        if can_unpack_zstd():
            try:
                with store.path(layer.digest).open("rb") as opened, unpacked_zstd(opened) as plain:
                    found = _copied(plain)
            except ValueError as error:
                raise damaged(name, f"cannot unpack a layer: {error}") from error
            _check(found, diff_id, name)
        return layer
    if start[:2] == _GZIP:
        layer = store.add(file, LAYER_GZIP)
        with gzip.open(store.path(layer.digest)) as content:
            _check(_copied(content), diff_id, name)
        return layer
    with (
        store.writer(LAYER_GZIP) as blob,
        # Without name and time in the header, the bytes are the same each time.
        gzip.GzipFile(fileobj=blob, mode="wb", compresslevel=_LEVEL, mtime=0) as packed,
    ):
        _check(_copied(file, packed), diff_id, name)
    return blob.descriptor


def _copied(source: SupportsRead[bytes], target: SupportsWrite[bytes] | None = None) -> str:
    """Copy the content of ``source``; return its digest."""
    content = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        content.update(chunk)
        if target is not None:
            target.write(chunk)
    return f"sha256:{content.hexdigest()}"


def _check(found: str, diff_id: str, name: str) -> None:
    if found != diff_id:
        raise damaged(name, f"a layer has the content {found} instead of {diff_id}")


def _key(diff_id: str) -> str:
    return f"layer of a docker-archive: {diff_id}, gzip {_LEVEL}"
