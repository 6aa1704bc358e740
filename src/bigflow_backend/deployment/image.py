"""The image of a build -> its digest in the registry."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.deployment.documents import attach_built, copy_attached
from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.archive_files import image_files, read_small
from bigflow_backend.image.base.docker_archive import import_image
from bigflow_backend.image.base.layout import import_blob
from bigflow_backend.image.base.manifest import index_entries, read_document
from bigflow_backend.image.oci import (
    CONFIG,
    INDEXES,
    MANIFEST,
    BaseImage,
    Descriptor,
    IndexDocument,
    Layer,
    canonical_json,
)
from bigflow_backend.image.reference import remote_name
from bigflow_backend.image.registry import fetch_manifest, find_digest, push_image

if TYPE_CHECKING:
    from bigflow_backend.deployment.built import BuiltImage
    from bigflow_backend.image.base.archive_files import Files
    from bigflow_backend.image.session import Session
    from bigflow_backend.image.store.blobs import BlobStore

_SECONDS = 3600
_TRANSPORTS = ("docker-archive:", "oci:", "oci-archive:")


def is_in_registry(name: str, digest: str, session: Session) -> bool:
    """Return whether the registry has the image of that digest under the name's repository.

    :raises UserError: if the registry does not answer, or refuses.
    """
    wanted = replace(remote_name(name), digest=digest)
    return find_digest(wanted, registries=session.registries) is not None


def push_built(image: BuiltImage, root: Path, session: Session, say: Callable[[str], None]) -> str:
    """Push the image, and return its digest, by which the registry has it.

    Its documents are in ``.image/`` of the project ``root``.

    :raises UserError: if no file and no cache has the image, or the registry refuses it.
    """
    manifest = _found(image, session)
    if manifest is None:
        if image.digest is None or not is_in_registry(image.name, image.digest, session):
            raise UserError(
                f"the registry does not have {image.name}, and no file of this machine has it",
                hint="build and push it: bigflow build-image --push",
            )
        return image.digest
    for name in image.names:
        pushed = push_image(
            manifest,
            name,
            store=session.store,
            registries=session.registries,
            bases=_bases(manifest, image, session.store),
            say=say,
        )
        say(f"pushed {pushed.name}, {pushed.sent} bytes sent")
    if not is_in_registry(image.name, manifest.digest, session):
        raise UserError(
            f"the registry does not have {image.name} after its push",
            hint="see the log of the registry or of its proxy",
        )
    attach_built(root, image, _images(manifest, session.store) or [manifest], session)
    return manifest.digest


def copy_image(image: str, target: str, session: Session, say: Callable[[str], None]) -> None:
    """Copy an image, which is named by its digest, under another name with a tag.

    Within one registry its blobs are mounted. Nothing is fetched then.

    :raises UserError: if a registry does not have it, or refuses.
    """
    source = remote_name(image)

    def fetch(digest: str) -> Descriptor:
        name = replace(source, digest=digest)
        return fetch_manifest(name, store=session.store, registries=session.registries)

    manifest = fetch(source.digest or "")
    for part in _images(manifest, session.store):
        fetch(part.digest)
    pushed = push_image(
        manifest,
        target,
        store=session.store,
        registries=session.registries,
        bases=[_blobs_of(source.repository, manifest, session.store)],
        say=say,
    )
    say(f"pushed {pushed.name}, {pushed.sent} bytes sent")
    copy_attached(
        _images(manifest, session.store) or [manifest], source, remote_name(target), session
    )


def _found(image: BuiltImage, session: Session) -> Descriptor | None:
    """Return the manifest of the image, which is in the store then; None if nothing has it.

    The store may lack layers: those of the base come from its registry, if no file has them.
    """
    store = session.store
    stored = None
    with contextlib.suppress(KeyError):
        stored = None if image.digest is None else _stored(image.digest, store)
        if stored is not None and all(store.has(b.digest, b.size) for b in _blobs(stored, store)):
            return stored
    for path in filter(None, (image.layout, image.archive)):
        imported = _imported(path, image, store)
        if imported is not None:
            return imported
    return stored


def _stored(digest: str, store: BlobStore) -> Descriptor:
    content = store.read(digest)
    return Descriptor(json.loads(content).get("mediaType", MANIFEST), digest, len(content))


def _imported(path: Path, image: BuiltImage, store: BlobStore) -> Descriptor | None:
    """Copy the image of a file into the store. An archive of an engine has no manifest.

    Return None if the file does not have the image of that digest.
    """
    name, deadline = path.name, time.monotonic() + _SECONDS
    with image_files(path, name=name, store=store, deadline=deadline) as files:
        manifest = _of_layout(files, image.digest, name)
        if manifest is None and image.digest is not None:
            return None
        if manifest is None:
            content, layers = import_image(
                files, image.name, name=name, store=store, deadline=deadline
            )
            return _assembled(content, layers, store)
        import_blob(manifest, files, name=name, store=store, deadline=deadline)
        for part in _images(manifest, store):
            import_blob(part, files, name=name, store=store, deadline=deadline)
        for blob in _blobs(manifest, store):
            import_blob(blob, files, name=name, store=store, deadline=deadline)
    return manifest


def _of_layout(files: Files, digest: str | None, name: str) -> Descriptor | None:
    """Return the manifest of that digest; None if the files are not a layout that has it."""
    try:
        content = read_small(files, "index.json")
    except FileNotFoundError:
        return None
    index = read_document(content, IndexDocument, "index.json", name)
    found = (entry for entry in index_entries(index, name) if entry["digest"] == digest)
    return next(map(Descriptor.from_json, found), None)


def _assembled(config: bytes, layers: list[Descriptor], store: BlobStore) -> Descriptor:
    """Write a manifest for the parts of a docker-archive, which has none."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": store.add(config, CONFIG).as_json(),
        "layers": [layer.as_json() for layer in layers],
    }
    return store.add(canonical_json(document), MANIFEST)


def _bases(manifest: Descriptor, image: BuiltImage, store: BlobStore) -> list[BaseImage]:
    """Return the place of the layers that the store may lack: the repository of the base."""
    if image.base is None or image.base.startswith(_TRANSPORTS):
        return []
    return [_blobs_of(remote_name(image.base).repository, manifest, store)]


def _blobs_of(repository: str, manifest: Descriptor, store: BlobStore) -> BaseImage:
    """Return a repository as the place of an image's blobs, for :func:`push_image`."""
    return BaseImage(
        reference=repository,
        digest=manifest.digest,
        os="",
        architecture="",
        config={},
        layers=tuple(Layer(blob, "", "") for blob in _blobs(manifest, store)),
        repository=repository,
    )


def _images(manifest: Descriptor, store: BlobStore) -> list[Descriptor]:
    """Return the manifests of an index: one for each platform; none for another manifest."""
    if manifest.media_type not in INDEXES:
        return []
    document = json.loads(store.read(manifest.digest))
    return [Descriptor.from_json(one) for one in document["manifests"]]


def _blobs(manifest: Descriptor, store: BlobStore) -> list[Descriptor]:
    """Return the configurations and the layers of an image, for all its platforms.

    :raises KeyError: if the store does not have one of its manifests.
    """
    found = []
    for one in _images(manifest, store) or [manifest]:
        document = json.loads(store.read(one.digest))
        parts = (*document["layers"], document["config"])
        found += [Descriptor.from_json(part) for part in parts]
    return found
