"""An image from the store, and its base's layers from wherever they are, into a registry."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.oci import Descriptor
from bigflow_backend.image.reference import RemoteName, remote_name
from bigflow_backend.image.registry.connection import CREATED, NOT_FOUND, OK
from bigflow_backend.image.registry.pull import MANIFEST_TYPES, fetch_blob
from bigflow_backend.image.registry.upload import Upload

if TYPE_CHECKING:
    from bigflow_backend.image.oci import BaseImage
    from bigflow_backend.image.registry.connection import Connection, Registries
    from bigflow_backend.image.store.blobs import BlobStore


@dataclass(frozen=True)
class Pushed:
    """What a push did."""

    name: RemoteName
    digest: str
    """Of the manifest, as the registry has it."""
    sent: int
    """How many bytes of blobs and manifests went over."""


def push_image(
    manifest: Descriptor,
    target: str,
    *,
    store: BlobStore,
    registries: Registries,
    base: BaseImage | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> Pushed:
    """Pushes the image whose manifest, configuration and own layers are in the store.

    ``target`` is its name with the tag. Only what the registry has not is sent; layers of ``base``
    are taken over within the registry, if they are in it, and fetched only as the last resort.

    :raises UserError: when the registry cannot be reached, or does not take the image.
    """
    name = remote_name(target)
    push = _Push(name, store=store, registries=registries, base=base, say=say)
    if push.found_manifest(name.tag) == manifest.digest:
        return Pushed(name, manifest.digest, 0)
    content = store.read(manifest.digest)
    if push.found_manifest(manifest.digest) is None:
        document = json.loads(content)
        for blob in (*document["layers"], document["config"]):
            push.blob(Descriptor.from_json(blob))
    push.manifest(manifest, content)
    return Pushed(name, manifest.digest, push.sent)


class _Push:
    """The push of one image."""

    def __init__(
        self,
        name: RemoteName,
        *,
        store: BlobStore,
        registries: Registries,
        base: BaseImage | None,
        say: Callable[[str], None],
    ) -> None:
        self._name = name
        self._store = store
        self._registries = registries
        self._say = say
        self._connection: Connection = registries.connection(name.registry)
        self._scopes: tuple[str, ...] = (f"repository:{name.path}:pull,push",)
        self._base_layers = set() if base is None else {x.descriptor.digest for x in base.layers}
        self._base = None if base is None or base.repository is None else base.repository
        self._mount_from: str | None = None
        if self._base is not None:
            registry, _, path = self._base.partition("/")
            if registry == name.registry and path != name.path:
                self._mount_from = path
                self._scopes += (f"repository:{path}:pull",)
        self.sent = 0

    def found_manifest(self, reference: str) -> str | None:
        """The digest of the manifest that the repository has under a tag or digest."""
        place = f"/v2/{self._name.path}/manifests/{reference}"
        doing = f"asking for {self._name}"
        answer = self._connection.patiently(
            lambda: self._connection.ask(
                "HEAD", place, scopes=self._scopes, headers=MANIFEST_TYPES
            ),
            doing=doing,
        )
        if answer.status == OK:
            return answer.headers.get("Docker-Content-Digest")
        if answer.status == NOT_FOUND:
            return None
        raise self._connection.refusal(answer, doing=doing)

    def blob(self, blob: Descriptor) -> None:
        """Sees to it that the repository has the blob."""
        if self._has(blob):
            return
        upload = Upload(blob, self._name.path, connection=self._connection, scopes=self._scopes)
        is_of_base = blob.digest in self._base_layers
        if is_of_base and self._mount_from and upload.mount(self._mount_from):
            return
        if not self._store.has(blob.digest, blob.size):
            if not is_of_base or self._base is None:
                raise UserError(
                    f"the cache {self._store.root} has lost {blob.digest}",
                    hint="build the image again",
                )
            self._say(f"fetching {blob.digest}, {blob.size} bytes, from {self._base}")
            fetch_blob(blob, self._base, store=self._store, registries=self._registries)
        self._say(f"pushing {blob.digest}, {blob.size} bytes")
        try:
            self.sent += upload.send(self._store.path(blob.digest))
        except (UserError, FileNotFoundError):
            # It may have been refused because it is no longer what its digest says, or is gone.
            self._store.verify(blob)
            raise

    def manifest(self, manifest: Descriptor, content: bytes) -> None:
        """Puts the manifest under the tag: from then on the image is there."""
        doing = f"pushing the manifest of {self._name}"
        answer = self._connection.patiently(
            lambda: self._connection.ask(
                "PUT",
                f"/v2/{self._name.path}/manifests/{self._name.tag}",
                scopes=self._scopes,
                headers={"Content-Type": manifest.media_type},
                body=lambda: content,
            ),
            doing=doing,
        )
        if answer.status != CREATED:
            raise self._connection.refusal(answer, doing=doing)
        stored = answer.headers.get("Docker-Content-Digest", manifest.digest)
        if stored != manifest.digest:
            raise self._connection.corrupt(f"it took the manifest {manifest.digest} for {stored}")
        self.sent += len(content)

    def _has(self, blob: Descriptor) -> bool:
        doing = f"asking for the blob {blob.digest}"
        answer = self._connection.patiently(
            lambda: self._connection.ask(
                "HEAD", f"/v2/{self._name.path}/blobs/{blob.digest}", scopes=self._scopes
            ),
            doing=doing,
        )
        if answer.status not in {OK, NOT_FOUND}:
            raise self._connection.refusal(answer, doing=doing)
        return answer.status == OK
