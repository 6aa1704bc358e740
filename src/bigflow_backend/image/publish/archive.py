"""Where an image goes: a tar archive, a directory, or an engine of this machine.

The archive is an OCI layout and a docker-archive in one: the files of both are the same blobs.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
https://github.com/moby/moby/blob/master/image/spec/v1.2.md
"""

from __future__ import annotations

import contextlib
import io
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bigflow_backend.ground.epoch import DEFAULT
from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.engine.client import engine_faults, reachable_engine
from bigflow_backend.image.engine.images import EngineImages
from bigflow_backend.image.oci import INDEX, canonical_json
from bigflow_backend.image.registry import remote_name

if TYPE_CHECKING:
    from bigflow_backend.image.layered.manifest import AssembledImage
    from bigflow_backend.image.oci import Descriptor
    from bigflow_backend.image.reference import ImageReference
    from bigflow_backend.image.store.blobs import BlobStore


def save(store: BlobStore, image: AssembledImage, reference: ImageReference, path: Path) -> None:
    """Writes the image with its name to ``path``; all of its layers must be in the store."""
    try:
        with path.open("wb") as output:
            _write(store, image, reference, output)
    except OSError as error:
        raise UserError(
            f"cannot write {path.name}: {error.strerror}",
            hint="make room there, or build without it: --no-export-image-tar",
        ) from error


def save_layout(
    store: BlobStore, image: AssembledImage, reference: ImageReference, path: Path
) -> None:
    """Writes the image with its tag to the new directory ``path``, as an OCI layout.

    Blobs are copied, not linked: nobody who writes there shall change the store's.
    """
    try:
        (path / "blobs" / "sha256").mkdir(parents=True)
        for name, document in _layout(image, reference).items():
            (path / name).write_bytes(canonical_json(document))
        for blob in _blobs(image):
            with store.reader(blob) as source, (path / _name(blob.digest)).open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
    except OSError as error:
        raise UserError(
            f"cannot write {path.name}: {error.strerror}",
            hint="make room there, or build without it: --no-oci-layout",
        ) from error


@contextlib.contextmanager
def loaded(
    store: BlobStore, image: AssembledImage, reference: ImageReference, *, timeout: int
) -> Iterator[None]:
    """The image is in the Docker Engine under its name; when the block raises, no longer.

    :raises UserError: when there is no engine, or it does not take the image.
    """
    with reachable_engine(timeout=timeout) as client, tempfile.TemporaryFile() as archive:
        _write(store, image, None, archive)
        archive.seek(0)
        with engine_faults("loading the image"):
            (found,) = client.images.load(archive)
        images, image_id = EngineImages(client), str(found.id)
        with images.replacing(image_id, reference), images.tagged(image_id, reference):
            yield


def _write(
    store: BlobStore,
    image: AssembledImage,
    reference: ImageReference | None,
    output: IO[bytes],
) -> None:
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, document in _archive(image, reference).items():
            content = canonical_json(document)
            archive.addfile(_member(name, len(content)), io.BytesIO(content))
        for blob in _blobs(image):
            with store.reader(blob) as source:
                archive.addfile(_member(_name(blob.digest), blob.size), source)


def _blobs(image: AssembledImage) -> list[Descriptor]:
    """Each blob of the image once, in the order of the digests."""
    blobs = [image.manifest, image.config, *(layer.descriptor for layer in image.layers)]
    return [blob for _digest, blob in sorted({blob.digest: blob for blob in blobs}.items())]


def _layout(image: AssembledImage, reference: ImageReference | None) -> dict[str, object]:
    annotations = {}
    if reference is not None:
        annotations = {
            "org.opencontainers.image.ref.name": reference.tag,
            # What containerd calls it, with nothing left out.
            "io.containerd.image.name": str(remote_name(str(reference))),
        }
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [image.manifest.as_json() | {"annotations": annotations}],
    }
    return {"oci-layout": {"imageLayoutVersion": "1.0.0"}, "index.json": index}


def _archive(image: AssembledImage, reference: ImageReference | None) -> dict[str, object]:
    """The layout's documents, and that of a docker-archive."""
    archive = {
        "Config": _name(image.config.digest),
        "RepoTags": [str(reference)] if reference is not None else [],
        "Layers": [_name(layer.descriptor.digest) for layer in image.layers],
    }
    return {**_layout(image, reference), "manifest.json": [archive]}


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o644, DEFAULT
    return member


def _name(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")
