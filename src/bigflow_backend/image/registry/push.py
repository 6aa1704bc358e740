"""Push an image of the store, and the layers of its base, into a registry."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.oci import INDEXES, LAYER_ZSTD, Descriptor
from bigflow_backend.image.reference import RemoteName, remote_name
from bigflow_backend.image.registry.connection import CREATED, NOT_FOUND, OK
from bigflow_backend.image.registry.parallel import at_once, in_caller
from bigflow_backend.image.registry.places import blob_places, remember_place
from bigflow_backend.image.registry.pull import fetch_blob, find_digest
from bigflow_backend.image.registry.upload import Upload

if TYPE_CHECKING:
    from bigflow_backend.image.oci import BaseImage
    from bigflow_backend.image.registry.connection import Answer, Connection, Registries
    from bigflow_backend.image.store.blobs import BlobStore


@dataclass(frozen=True)
class Pushed:
    """The result of a push."""

    name: RemoteName
    digest: str
    """The digest of the manifest in the registry."""
    sent: int
    """The number of bytes of blobs and manifests that were sent."""


def push_image(
    manifest: Descriptor,
    target: str,
    *,
    store: BlobStore,
    registries: Registries,
    bases: Sequence[BaseImage] = (),
    say: Callable[[str], None] = lambda _line: None,
) -> Pushed:
    """Push the image whose manifest, configuration and own layers are in the store.

    ``manifest`` may be an index: its images are pushed first. ``target`` is the name with the tag.
    Only blobs that the registry does not have are sent. Blobs that another repository of the
    registry has are mounted, if we have pushed them there, or if it is the repository of one of the
    ``bases``. Other layers of a base are fetched.

    :raises UserError: if the registry cannot be reached, or refuses the image.
    """
    name = remote_name(target)
    push = RepositoryPush(name, store=store, registries=registries, bases=bases, say=say)
    if push.has_manifest(name, manifest.digest):
        return Pushed(name, manifest.digest, 0)
    content = push.content(manifest)
    push.parts(manifest, content)
    # The tag moves last.
    push.manifest(manifest, content)
    return Pushed(name, manifest.digest, push.sent)


def _lost(store: BlobStore, blob: Descriptor) -> UserError:
    return UserError(
        f"{blob.digest} is no longer in the cache {store.root}", hint="build the image again"
    )


class RepositoryPush:
    """A push of blobs and manifests into one repository.

    ``name`` has the tag or the digest that a manifest gets.
    """

    def __init__(
        self,
        name: RemoteName,
        *,
        store: BlobStore,
        registries: Registries,
        bases: Sequence[BaseImage],
        say: Callable[[str], None],
    ) -> None:
        self._name = name
        self._store = store
        self._registries = registries
        self._say = say
        self._connection: Connection = registries.connection(name.registry)
        self._scopes: tuple[str, ...] = (f"repository:{name.path}:pull,push",)
        self._sources = {
            layer.descriptor.digest: base.repository
            for base in bases
            if base.repository is not None
            for layer in base.layers
        }
        """The repositories, ``registry/path``, of blobs that the store may not have."""
        self._closed: set[str] = {name.path}
        """The repositories that blobs cannot be mounted from."""
        self._open: set[str] = set()
        """The repositories that have answered a mount."""
        self._first = threading.Lock()
        self.sent = 0

    def has_manifest(self, name: RemoteName, digest: str) -> bool:
        return find_digest(name, registries=self._registries, scopes=self._scopes) == digest

    def content(self, manifest: Descriptor) -> bytes:
        try:
            return self._store.read(manifest.digest)
        except KeyError:
            raise _lost(self._store, manifest) from None

    def parts(self, manifest: Descriptor, content: bytes) -> None:
        """Push what a manifest or an index refers to, unless the repository has it."""
        if self.has_manifest(
            dataclasses.replace(self._name, digest=manifest.digest), manifest.digest
        ):
            return
        document = json.loads(content)
        if manifest.media_type not in INDEXES:
            parts = (*document["layers"], document["config"])
            self.blobs([Descriptor.from_json(part) for part in parts])
            return
        for part in map(Descriptor.from_json, document["manifests"]):
            inner = self.content(part)
            self.parts(part, inner)
            self.manifest(part, inner, part.digest)

    def blobs(self, blobs: Sequence[Descriptor]) -> None:
        """Mount or send the blobs that the repository does not have, up to four at once."""
        different = {blob.digest: blob for blob in blobs}.values()
        self.sent += sum(at_once(self._blob, different, interrupt=self._registries.interrupt))

    def _blob(self, blob: Descriptor) -> int:
        sent = 0 if self._has(blob) else self._bring(blob)
        remember_place(self._store, self._name, blob.digest)
        return sent

    def _bring(self, blob: Descriptor) -> int:
        """Mount or send the blob; return the number of bytes that were sent."""
        upload = Upload(blob, self._name.path, connection=self._connection, scopes=self._scopes)
        source = self._sources.get(blob.digest)
        places = blob_places(self._store, self._name.registry, blob.digest)
        if source is not None:
            registry, _, path = source.partition("/")
            places = (path, *places) if registry == self._name.registry else places
        if any(self._mounts(upload, place) for place in dict.fromkeys(places)):
            return 0
        if not self._store.has(blob.digest, blob.size):
            if source is None:
                raise _lost(self._store, blob)
            in_caller(self._say, f"fetching {blob.digest}, {blob.size} bytes, from {source}")
            fetch_blob(blob, source, store=self._store, registries=self._registries)
        in_caller(self._say, f"pushing {blob.digest}, {blob.size} bytes")
        try:
            return upload.send(self._store.path(blob.digest))
        except (UserError, FileNotFoundError):
            # The registry may refuse it because the store has lost or damaged it.
            self._store.verify(blob)
            raise

    def _mounts(self, upload: Upload, place: str) -> bool:
        # Of the threads that ask for a repository first, one finds out whether it is closed.
        with contextlib.nullcontext() if place in self._open else self._first:
            if place in self._closed:
                return False
            try:
                mounted = upload.mount(place)
            except UserError:
                # Its owner may be somebody else now. The upload needs no right to it.
                self._closed.add(place)
                return False
            self._open.add(place)
            return mounted

    def manifest(self, manifest: Descriptor, content: bytes, reference: str = "") -> Answer:
        """Put a manifest or an index, after its parts, under ``reference``.

        The default is the tag or the digest of the name.
        """
        doing = f"pushing the manifest of {self._name}"
        answer = self._connection.retried(
            lambda: self._connection.ask(
                "PUT",
                f"/v2/{self._name.path}/manifests/{reference or self._name.reference}",
                scopes=self._scopes,
                headers={"Content-Type": manifest.media_type},
                body=lambda: content,
            ),
            doing=doing,
        )
        if answer.status != CREATED:
            has_zstd = LAYER_ZSTD.encode() in content
            raise self._connection.refusal(answer, doing=doing, has_zstd=has_zstd)
        stored = answer.headers.get("Docker-Content-Digest", manifest.digest)
        if stored != manifest.digest:
            raise self._connection.corrupt(f"it stored the manifest {manifest.digest} as {stored}")
        self.sent += len(content)
        return answer

    def _has(self, blob: Descriptor) -> bool:
        doing = f"asking for the blob {blob.digest}"
        answer = self._connection.retried(
            lambda: self._connection.ask(
                "HEAD", f"/v2/{self._name.path}/blobs/{blob.digest}", scopes=self._scopes
            ),
            doing=doing,
        )
        if answer.status not in {OK, NOT_FOUND}:
            raise self._connection.refusal(answer, doing=doing)
        return answer.status == OK
