"""Attach documents, such as a bill of materials, to an image in a registry.

A document is an artifact whose manifest names the image as its ``subject``. A registry with the
referrers API then lists it. Others need the list as an index under a tag made of the digest.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests-with-subject
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.documents import DocumentError, parse_json, typed
from bigflow_backend.image.oci import (
    EMPTY,
    INDEX,
    MANIFEST,
    Descriptor,
    IndexDocument,
    ManifestDocument,
    canonical_json,
    sha256_digest,
)
from bigflow_backend.image.registry.connection import NOT_FOUND, OK
from bigflow_backend.image.registry.pull import fetch_blobs, fetch_manifest
from bigflow_backend.image.registry.push import RepositoryPush

if TYPE_CHECKING:
    from bigflow_backend.image.reference import RemoteName
    from bigflow_backend.image.registry.connection import Registries
    from bigflow_backend.image.store.blobs import BlobStore

_TITLE = "org.opencontainers.image.title"
_HEADER = "OCI-Subject"
_MERGES = 4
"""Tries to add our entries to a list that others write at the same time."""


@dataclass(frozen=True)
class Artifact:
    """A document about an image."""

    title: str
    """The name of its file."""
    media_type: str
    content: bytes
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Annotations of its manifest, by which clients choose it."""


def attach(
    artifacts: Sequence[Artifact],
    subject: Descriptor,
    name: RemoteName,
    *,
    store: BlobStore,
    registries: Registries,
    say: Callable[[str], None] = lambda _line: None,
) -> tuple[str, ...]:
    """Push documents about the image ``subject`` into its repository; return their digests.

    Equal documents of one image have equal digests, so a second push adds nothing.

    :raises UserError: if the registry cannot be reached, or refuses them.
    """
    digests, unlisted = [], []
    for artifact in artifacts:
        manifest, content, blobs = _manifest(artifact, subject, store)
        place = dataclasses.replace(name, digest=manifest.digest)
        push = RepositoryPush(place, store=store, registries=registries, bases=(), say=say)
        push.blobs(blobs)
        answer = push.manifest(manifest, content)
        digests.append(manifest.digest)
        if answer.headers.get(_HEADER) != subject.digest:
            details = {"artifactType": artifact.media_type, "annotations": artifact.annotations}
            unlisted.append({**manifest.as_json(), **{k: v for k, v in details.items() if v}})
    if unlisted:
        _list(unlisted, subject, name, store=store, registries=registries)
    return tuple(digests)


def copy_documents(
    subject: Descriptor,
    source: RemoteName,
    target: RemoteName,
    *,
    store: BlobStore,
    registries: Registries,
) -> int:
    """Copy the documents about the image ``subject`` to a copy of it; return their number.

    :raises UserError: if a registry does not answer, or refuses.
    """
    entries = _listed(subject, source, registries, "pull")
    for entry in entries:
        name = dataclasses.replace(source, digest=Descriptor.from_json(entry).digest)
        manifest = fetch_manifest(name, store=store, registries=registries)
        content = store.read(manifest.digest)
        document = typed(parse_json(content), ManifestDocument)
        parts = (*(document.get("layers") or ()), document.get("config"))
        blobs = [Descriptor.from_json(part) for part in parts]
        fetch_blobs(blobs, source.repository, store=store, registries=registries)
        place = dataclasses.replace(target, digest=manifest.digest)
        push = RepositoryPush(
            place, store=store, registries=registries, bases=(), say=lambda _line: None
        )
        push.blobs(blobs)
        push.manifest(manifest, content)
    known = {entry["digest"] for entry in _listed(subject, target, registries, "pull,push")}
    missing = [entry for entry in entries if entry["digest"] not in known]
    if missing:
        _list(missing, subject, target, store=store, registries=registries)
    return len(entries)


def _listed(
    subject: Descriptor, name: RemoteName, registries: Registries, actions: str
) -> list[Mapping[str, Any]]:
    """Return the documents of an image: by the API, or by the fallback tag without one."""
    connection = registries.connection(name.registry)
    doing = f"asking for the documents of {name}"
    answer = connection.retried(
        lambda: connection.ask(
            "GET",
            f"/v2/{name.path}/referrers/{subject.digest}",
            scopes=(f"repository:{name.path}:{actions}",),
            headers={"Accept": INDEX},
        ),
        doing=doing,
    )
    if answer.status != OK:
        place = dataclasses.replace(name, tag=subject.digest.replace(":", "-", 1), digest=None)
        found: list[Mapping[str, Any]] = _read(place, registries, actions)["manifests"]
        return found
    try:
        entries = typed(parse_json(answer.body), IndexDocument).get("manifests") or []
    except DocumentError as error:
        raise UserError(
            f"the list of documents of {name} {error}", hint="see the log of the registry"
        ) from error
    return list(entries)


def _manifest(
    artifact: Artifact, subject: Descriptor, store: BlobStore
) -> tuple[Descriptor, bytes, tuple[Descriptor, ...]]:
    """Return the manifest of an artifact, its content, and its blobs, which are in the store."""
    config = store.add(b"{}", EMPTY)
    document = store.add(artifact.content, artifact.media_type)
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": artifact.media_type,
        "config": config.as_json(),
        "layers": [{**document.as_json(), "annotations": {_TITLE: artifact.title}}],
        "subject": subject.as_json(),
    }
    if artifact.annotations:
        manifest["annotations"] = dict(artifact.annotations)
    content = canonical_json(manifest)
    return (
        Descriptor(MANIFEST, sha256_digest(content), len(content)),
        content,
        (config, document),
    )


def _list(
    entries: Sequence[Mapping[str, Any]],
    subject: Descriptor,
    name: RemoteName,
    *,
    store: BlobStore,
    registries: Registries,
) -> None:
    """Add entries to the index under the fallback tag. Those of others stay.

    The registry has no lock, so the list is read again: another push may have replaced it.
    """
    tag = subject.digest.replace(":", "-", 1)
    place = dataclasses.replace(name, tag=tag, digest=None)
    for _ in range(_MERGES):
        listed = _read(place, registries)
        known = {entry["digest"] for entry in listed["manifests"]}
        new = [entry for entry in entries if entry["digest"] not in known]
        if not new:
            return
        merged = {**listed, "manifests": [*listed["manifests"], *new]}
        content = json.dumps(merged, separators=(",", ":"), ensure_ascii=False).encode()
        push = RepositoryPush(
            place, store=store, registries=registries, bases=(), say=lambda _line: None
        )
        push.manifest(Descriptor(INDEX, sha256_digest(content), len(content)), content)
    raise UserError(
        f"other builds replace the list {place} at the same time", hint="push the image again"
    )


def _read(place: RemoteName, registries: Registries, actions: str = "pull,push") -> dict[str, Any]:
    """Return the index under the fallback tag; an empty one if the registry has none.

    :raises UserError: if it is something else. It is not ours to replace.
    """
    connection = registries.connection(place.registry)
    doing = f"asking for {place}"
    answer = connection.retried(
        lambda: connection.ask(
            "GET",
            f"/v2/{place.path}/manifests/{place.tag}",
            scopes=(f"repository:{place.path}:{actions}",),
            headers={"Accept": INDEX},
        ),
        doing=doing,
    )
    if answer.status == NOT_FOUND:
        return {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
    if answer.status != OK:
        raise connection.refusal(answer, doing=doing)
    try:
        found: dict[str, Any] = parse_json(answer.body)
        entries = typed(found, IndexDocument).get("manifests")
    except DocumentError as error:
        raise _not_a_list(place, str(error)) from error
    if found.get("mediaType", INDEX) != INDEX:
        raise _not_a_list(place, "has another media type")
    return {**found, "manifests": entries or []}  # unknown members stay as they are


def _not_a_list(place: RemoteName, reason: str) -> UserError:
    return UserError(
        f"the tag {place} is not a list of documents: it {reason}",
        hint="remove this tag from the registry, and push the image again",
    )
