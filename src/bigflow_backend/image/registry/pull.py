"""Manifests and blobs from a registry into the store."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.oci import (
    MANIFESTS,
    Descriptor,
    is_digest,
    sha256_digest,
)
from bigflow_backend.image.registry.connection import (
    NOT_FOUND,
    OK,
    PARTIAL,
    RANGE_NOT_SATISFIABLE,
    Answer,
)
from bigflow_backend.image.registry.errors import TransientError

if TYPE_CHECKING:
    from bigflow_backend.image.reference import RemoteName
    from bigflow_backend.image.registry.connection import Connection, Registries
    from bigflow_backend.image.registry.retry import Patience
    from bigflow_backend.image.store.blobs import BlobStore
    from bigflow_backend.image.store.files import BlobWriter

MANIFEST_TYPES = {"Accept": ", ".join(sorted(MANIFESTS))}
_CONTENT_RANGE = re.compile(r"bytes (?P<start>\d+)-")


def fetch_manifest(name: RemoteName, *, store: BlobStore, registries: Registries) -> Descriptor:
    """Brings the manifest or index of that name into the store.

    One that the store has is not fetched again: a tag is looked up, a digest not even that.

    :raises UserError: when it cannot be had.
    """
    known = store.get_record(_key(name)) if name.digest is None else name.digest
    if isinstance(known, str):
        descriptor = _stored_manifest(name, known, store=store, registries=registries)
        if descriptor is not None:
            return descriptor
    connection = registries.connection(name.registry)
    doing = f"asking for the manifest of {name}"
    answer = connection.patiently(
        lambda: connection.ask(
            "GET", _place(name), scopes=_scopes(name.path), headers=MANIFEST_TYPES
        ),
        doing=doing,
    )
    if answer.status == NOT_FOUND:
        raise UserError(
            f"the registry {name.registry} has no image {name}",
            hint="check its name and tag",
        )
    if answer.status != OK:
        raise connection.refusal(answer, doing=doing)
    if answer.body.lstrip().startswith(b"<"):
        raise UserError(
            f"the registry {name.registry} sent a page in the place of the manifest of {name}",
            hint="check its name and port; what answers is no registry, or a proxy before it",
        )
    digest = sha256_digest(answer.body)
    promised = name.digest or answer.headers.get("Docker-Content-Digest") or digest
    if is_digest(promised) and digest != promised:
        raise connection.corrupt(f"the manifest of {name} has the digest {digest}")
    descriptor = store.add(answer.body, _media_type(answer))
    store.put_record(_key(name), digest)
    store.put_record(f"media type of {digest}", descriptor.media_type)
    return descriptor


def find_digest(name: RemoteName, *, registries: Registries) -> str | None:
    """The digest of the manifest or index of that name in its registry, if it has one and tells.

    :raises UserError: when it cannot be asked.
    """
    connection = registries.connection(name.registry)
    answer = connection.patiently(
        lambda: connection.ask(
            "HEAD", _place(name), scopes=_scopes(name.path), headers=MANIFEST_TYPES
        ),
        doing=f"asking for the manifest of {name}",
    )
    return answer.headers.get("Docker-Content-Digest") if answer.status == OK else None


def fetch_blob(
    descriptor: Descriptor, repository: str, *, store: BlobStore, registries: Registries
) -> None:
    """Brings a blob of the repository (``registry/path``) into the store, unless it is there.

    What has come when the connection drops need not come again.

    :raises UserError: when it cannot be had, or is not what its digest says.
    """
    if store.has(descriptor.digest, descriptor.size):
        return
    registry, _, path = repository.partition("/")
    connection = registries.connection(registry)
    doing = f"asking for the blob {descriptor.digest}"
    patience = connection.patience(doing)
    with store.writer(
        descriptor.media_type, digest=descriptor.digest, size=descriptor.size
    ) as blob:
        while True:
            was_resumed = blob.size > 0
            with patience:
                _fetch_rest(blob, descriptor, path, connection, patience=patience, doing=doing)
                if blob.descriptor.digest == descriptor.digest:
                    return
                what = f"the blob {descriptor.digest} has the digest {blob.descriptor.digest}"
                if not was_resumed:
                    raise connection.corrupt(what)
                # Two servers behind one name may not have the same: once more, in one piece.
                blob.restart()
                raise TransientError("sent parts that do not fit", hint="try again later")


def _stored_manifest(
    name: RemoteName, known: str, *, store: BlobStore, registries: Registries
) -> Descriptor | None:
    """What the store has of that name, when the registry still means the same by it."""
    media_type = store.get_record(f"media type of {known}")
    if not isinstance(media_type, str) or not store.has(known):
        return None
    if name.digest is None and find_digest(name, registries=registries) != known:
        return None
    return Descriptor(media_type, known, store.path(known).stat().st_size)


def _fetch_rest(
    blob: BlobWriter,
    descriptor: Descriptor,
    path: str,
    connection: Connection,
    *,
    patience: Patience,
    doing: str,
) -> None:
    headers = {"Range": f"bytes={blob.size}-"} if blob.size else {}
    with connection.exchange(
        "GET", f"/v2/{path}/blobs/{descriptor.digest}", scopes=_scopes(path), headers=headers
    ) as response:
        if response.status_code == RANGE_NOT_SATISFIABLE:
            blob.restart()
            raise TransientError("has less of it than it sent", hint="try again later")
        if response.status_code not in {OK, PARTIAL}:
            body = b"".join(connection.content(response, limit=1 << 20))
            answer = Answer(response.status_code, response.headers, body, response.url)
            raise connection.refusal(answer, doing=doing)
        part = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
        start = int(part["start"]) if part and response.status_code == PARTIAL else 0
        if start != blob.size:
            blob.restart()
            if start:
                raise TransientError("sent another part than asked for", hint="try again later")
        for chunk in connection.content(response, limit=descriptor.size - blob.size):
            blob.write(chunk)
            patience.progress(blob.size)
    if blob.size < descriptor.size:
        raise TransientError("sent less than the whole", hint="try again later")


def _place(name: RemoteName) -> str:
    return f"/v2/{name.path}/manifests/{name.reference}"


def _scopes(path: str) -> tuple[str, ...]:
    return (f"repository:{path}:pull",)


def _key(name: RemoteName) -> str:
    return f"manifest of {name}"


def _media_type(answer: Answer) -> str:
    """Of a manifest: what it says itself, else what the registry says."""
    try:
        document = json.loads(answer.body)
    except ValueError:
        document = None
    own = document.get("mediaType") if isinstance(document, dict) else None
    return str(own or answer.headers.get("Content-Type", "").partition(";")[0])
