"""Read the base image of a name: from a registry, an OCI layout, or a docker-archive.

Names are those of Docker and skopeo (containers-transports(5))::

    python:3.12-slim-bookworm           in a registry
    oci:PATH[:TAG]                      an OCI layout: a directory, or a tar of one
    docker-archive:PATH[:NAME:TAG]      a tar of `docker save`, compressed or not
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError, nearest
from bigflow_backend.image.base.docker_archive import read_docker_archive
from bigflow_backend.image.base.layout import read_oci_layout
from bigflow_backend.image.base.manifest import base_from_record, base_of_manifest, base_record
from bigflow_backend.image.oci import MANIFESTS
from bigflow_backend.image.reference import remote_name
from bigflow_backend.image.registry import fetch_blob, fetch_blobs, fetch_manifest
from bigflow_backend.image.store.compressors import fast_gzip
from bigflow_backend.image.store.key import record_key

if TYPE_CHECKING:
    from bigflow_backend.image.oci import BaseImage, Descriptor
    from bigflow_backend.image.registry import Registries
    from bigflow_backend.image.store.blobs import BlobStore

_ARCHITECTURES = ("amd64", "arm64")
_READERS = {
    "oci": read_oci_layout,
    "oci-archive": read_oci_layout,
    "docker-archive": read_docker_archive,
}


def is_file_name(name: str) -> bool:
    """Return whether the name means a file or a directory, not an image in a registry."""
    transport, colon, _place = name.partition(":")
    return bool(colon) and transport in _READERS


_LIKE_AN_ARCHIVE = (".tar", ".tar.gz", ".tgz", ".tar.zst")


def check_transport(name: str) -> None:
    """Check that a name of an image is not a path without, or with a misspelt, transport.

    :raises UserError: if it is one.
    """
    transport, colon, place = name.partition(":")
    near = nearest(transport, _READERS) if "/" not in transport and "." not in transport else None
    if colon and near and near != transport:
        raise UserError(
            f"the base image {name} has no known transport: got {transport}:",
            hint=f"write {near}:{place}",
        )
    if name.startswith(("./", "../", "/", "~")) or name.endswith(_LIKE_AN_ARCHIVE):
        raise UserError(
            f"the base image {name} is a path without its transport",
            hint=f"write docker-archive:{name} for a tar of `docker save`, or oci:{name} for an OCI"
            " layout",
        )


def read_base(
    name: str,
    *,
    architecture: str,
    root: Path,
    store: BlobStore,
    registries: Registries,
    deadline: float = math.inf,
) -> BaseImage:
    """Return the base image of that name for ``linux/<architecture>``.

    If it comes from a file, its layers are in the store afterwards; a relative path starts at
    ``root``. From a registry only manifest and configuration are fetched, unless the store has
    them. Files are read up to ``deadline``, a time of :func:`time.monotonic`.

    :raises UserError: if it cannot be read, is damaged, or is for another platform.
    """
    if architecture not in _ARCHITECTURES:
        raise UserError(
            f"cannot build an image for {'' if '/' in architecture else 'linux/'}{architecture}",
            hint="use linux/amd64 or linux/arm64",
        )
    if is_file_name(name):
        transport, _, place = name.partition(":")
        return _from_file(
            name, transport, place, root, architecture=architecture, store=store, deadline=deadline
        )
    check_transport(name)
    return _from_registry(name, architecture=architecture, store=store, registries=registries)


def fetch_layers(
    base: BaseImage,
    *,
    store: BlobStore,
    registries: Registries,
    say: Callable[[str], None] = lambda _line: None,
) -> None:
    """Fetch the layers of a base image that the store does not have.

    :raises UserError: if they cannot be fetched.
    """
    blobs = {layer.descriptor.digest: layer.descriptor for layer in base.layers}
    missing = [blob for blob in blobs.values() if not store.has(blob.digest, blob.size)]
    if not missing:
        return
    if base.repository is None:
        raise UserError(
            f"a layer of {base.reference} is no longer in the cache {store.root}",
            hint="build the image again",
        )
    for blob in missing:
        say(f"fetching {blob.digest}, {blob.size} bytes, from {base.repository}")
    fetch_blobs(missing, base.repository, store=store, registries=registries)


def _from_registry(
    name: str, *, architecture: str, store: BlobStore, registries: Registries
) -> BaseImage:
    remote = remote_name(name)

    def read(blob: Descriptor) -> bytes:
        if blob.media_type in MANIFESTS:
            manifest = dataclasses.replace(remote, digest=blob.digest)
            fetch_manifest(manifest, store=store, registries=registries)
        else:
            fetch_blob(blob, remote.repository, store=store, registries=registries)
        return store.read(blob.digest)

    return base_of_manifest(
        fetch_manifest(remote, store=store, registries=registries),
        read,
        name=name,
        architecture=architecture,
        repository=remote.repository,
    )


def _from_file(
    name: str,
    transport: str,
    place: str,
    root: Path,
    *,
    architecture: str,
    store: BlobStore,
    deadline: float,
) -> BaseImage:
    path, selector = root / place, None
    if not place.partition(":")[0]:
        raise UserError(
            f"the base image {name} has no path",
            hint=f"write the path after {transport}:, such as {transport}:base.tar",
        )
    if not os.path.exists(path):  # noqa: PTH110  (a name that is too long does not exist)
        head, _, selector = place.partition(":")
        path = root / head
    if not os.path.exists(path):  # noqa: PTH110
        raise UserError(
            f"the base image {name} does not exist: {path}",
            hint=f"correct the path after {transport}:",
        )
    key = None
    if path.is_file():
        # Reading a compressed tar takes seconds. The ctime of a file cannot be set back.
        stat = path.stat()
        times = [stat.st_mtime_ns, stat.st_ctime_ns]
        identity = [str(path.resolve()), stat.st_dev, stat.st_ino, stat.st_size, times]
        # Layers that a docker-archive has unpacked are packed here.
        packing = fast_gzip().description
        key = record_key("base image", transport, selector, architecture, identity, packing)
        known = base_from_record(store.get_record(key), name=name)
        if known and all(store.has(x.descriptor.digest, x.descriptor.size) for x in known.layers):
            return known
    base = _READERS[transport](
        path, selector, name=name, architecture=architecture, store=store, deadline=deadline
    )
    if key is not None:
        store.put_record(key, base_record(base))
    return base
