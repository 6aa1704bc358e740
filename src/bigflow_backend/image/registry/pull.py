"""Fetch manifests and blobs from a registry into the store."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypedDict

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.documents import DocumentError, read_json
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
)
from bigflow_backend.image.registry.errors import TransientError
from bigflow_backend.image.registry.mirrors import fetch_from_any
from bigflow_backend.image.registry.parallel import at_once
from bigflow_backend.image.store.key import record_key

if TYPE_CHECKING:
    from bigflow_backend.image.reference import RemoteName
    from bigflow_backend.image.registry.connection import Answer, Connection, Registries
    from bigflow_backend.image.store.blob import BlobWriter
    from bigflow_backend.image.store.blobs import BlobStore
    from bigflow_backend.image.store.key import Key

MANIFEST_TYPES = {"Accept": ", ".join(sorted(MANIFESTS))}
_CONTENT_RANGE = re.compile(r"bytes (?P<start>[0-9]{1,18})-")


class _Manifest(TypedDict, total=False):
    mediaType: str | None


def fetch_manifest(name: RemoteName, *, store: BlobStore, registries: Registries) -> Descriptor:
    """Fetch the manifest or index of that name into the store; return its descriptor.

    The store is used if it has the manifest: a tag costs one request then, a digest none. Mirrors
    are asked first.

    :raises UserError: if it cannot be fetched.
    """

    def fetch(registries: Registries, registry: str, path: str) -> Descriptor:
        place = dataclasses.replace(name, registry=registry, path=path)
        return _fetch_manifest(place, store=store, registries=registries)

    return fetch_from_any(registries, name.registry, name.path, fetch)


def _fetch_manifest(name: RemoteName, *, store: BlobStore, registries: Registries) -> Descriptor:
    if (known := _known(name, store)) is not None:
        descriptor = _stored_manifest(name, known, store=store, registries=registries)
        if descriptor is not None:
            return descriptor
    connection = registries.connection(name.registry)
    doing = f"asking for the manifest of {name}"
    answer = connection.retried(
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
            f"the registry {name.registry} sent a web page instead of the manifest of {name}",
            hint="check its name and port; another web server or a proxy answers there",
        )
    digest = sha256_digest(answer.body)
    promised = name.digest or answer.headers.get("Docker-Content-Digest") or digest
    if is_digest(promised) and digest != promised:
        raise connection.corrupt(f"the manifest of {name} has the digest {digest}")
    descriptor = store.add(answer.body, _media_type(answer))
    store.put_record(_key(name), descriptor.as_json())
    return descriptor


def find_digest(
    name: RemoteName, *, registries: Registries, scopes: tuple[str, ...] = ()
) -> str | None:
    """Return the digest of the manifest or index of that name, if the registry has it.

    ``scopes`` are those of the request; by default it is a pull.

    :raises UserError: if the registry does not answer, or refuses.
    """
    connection = registries.connection(name.registry)
    doing = f"asking for {name}"
    answer = connection.retried(
        lambda: connection.ask(
            "HEAD", _place(name), scopes=scopes or _scopes(name.path), headers=MANIFEST_TYPES
        ),
        doing=doing,
    )
    if answer.status == OK:
        return answer.headers.get("Docker-Content-Digest")
    if answer.status == NOT_FOUND:
        return None
    raise connection.refusal(answer, doing=doing)


def fetch_blob(
    descriptor: Descriptor, repository: str, *, store: BlobStore, registries: Registries
) -> None:
    """Fetch a blob of the repository (``registry/path``) into the store, unless it is there.

    If the connection drops, the download continues where it stopped. Mirrors are asked first.

    :raises UserError: if it cannot be fetched, or does not have its digest.
    """
    if store.has(descriptor.digest, descriptor.size):
        return
    registry, _, path = repository.partition("/")
    fetch_from_any(
        registries,
        registry,
        path,
        lambda registries, registry, path: _fetch_blob(
            descriptor, path, store=store, connection=registries.connection(registry)
        ),
    )


def fetch_blobs(
    blobs: Iterable[Descriptor], repository: str, *, store: BlobStore, registries: Registries
) -> None:
    """Fetch blobs of the repository into the store, up to four at once.

    :raises UserError: if one of them cannot be fetched.
    """
    at_once(
        lambda blob: fetch_blob(blob, repository, store=store, registries=registries),
        {blob.digest: blob for blob in blobs}.values(),
        interrupt=registries.interrupt,
    )


def _fetch_blob(
    descriptor: Descriptor, path: str, *, store: BlobStore, connection: Connection
) -> None:
    doing = f"asking for the blob {descriptor.digest}"
    retries = connection.retries(doing)
    progress = connection.progress("pull", descriptor)

    def moves(position: int) -> None:
        retries.progress(position)
        progress.at(position)

    with store.writer(
        descriptor.media_type, digest=descriptor.digest, size=descriptor.size
    ) as blob:
        while True:
            was_resumed = blob.size > 0
            with retries:
                _fetch_rest(blob, descriptor, path, connection, moves=moves, doing=doing)
                if blob.descriptor.digest == descriptor.digest:
                    return
                what = f"the blob {descriptor.digest} has the digest {blob.descriptor.digest}"
                if not was_resumed:
                    raise connection.corrupt(what)
                # Two servers behind one name may send different parts: fetch it in one piece.
                blob.restart()
                raise TransientError("sent parts of different blobs", hint="try again later")


def _stored_manifest(
    name: RemoteName, known: Descriptor, *, store: BlobStore, registries: Registries
) -> Descriptor | None:
    """Return the manifest of the store, if the name still means it in the registry."""
    if not store.has(known.digest, known.size):
        return None
    if name.digest is None and find_digest(name, registries=registries) != known.digest:
        return None
    return known


def _fetch_rest(
    blob: BlobWriter,
    descriptor: Descriptor,
    path: str,
    connection: Connection,
    *,
    moves: Callable[[int], None],
    doing: str,
) -> None:
    headers = {"Range": f"bytes={blob.size}-"} if blob.size else {}
    with connection.exchange(
        "GET", f"/v2/{path}/blobs/{descriptor.digest}", scopes=_scopes(path), headers=headers
    ) as response:
        if response.status_code == RANGE_NOT_SATISFIABLE:
            blob.restart()
            raise TransientError("refuses to continue the download", hint="try again later")
        if response.status_code not in {OK, PARTIAL}:
            answer = connection.answer(response)
            raise connection.refusal(answer, doing=doing)
        part = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
        start = int(part["start"]) if part and response.status_code == PARTIAL else 0
        if start != blob.size:
            blob.restart()
            if start:
                raise TransientError("sent the wrong part", hint="try again later")
        for chunk in connection.content(response, limit=descriptor.size - blob.size):
            blob.write(chunk)
            moves(blob.size)
    if blob.size < descriptor.size:
        raise TransientError("sent an incomplete blob", hint="try again later")


def _place(name: RemoteName) -> str:
    return f"/v2/{name.path}/manifests/{name.reference}"


def _scopes(path: str) -> tuple[str, ...]:
    return (f"repository:{path}:pull",)


def _known(name: RemoteName, store: BlobStore) -> Descriptor | None:
    """Return the manifest that the name meant last."""
    with contextlib.suppress(ValueError):
        known = Descriptor.from_json(store.get_record(_key(name)))
        return known if name.digest in {None, known.digest} else None
    return None


def _key(name: RemoteName) -> Key:
    # With its registry: another one may state another media type for the same bytes.
    return record_key("manifest", str(name))


def _media_type(answer: Answer) -> str:
    """Return the media type of a manifest: its own statement, else the registry's."""
    try:
        own = read_json(answer.body, _Manifest).get("mediaType")
    except DocumentError:
        own = None  # the reader of the manifest reports it
    return own or answer.headers.get("Content-Type", "").partition(";")[0]
