"""From a manifest, or an index of several platforms, to a base image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.documents import DocumentError, read_json, typed
from bigflow_backend.ground.foreign.text import quoted
from bigflow_backend.ground.limits import DOCUMENT, INDEX_ENTRIES, LAYERS
from bigflow_backend.image.oci import (
    INDEXES,
    MANIFESTS,
    BaseImage,
    ConfigDocument,
    Descriptor,
    EntryDocument,
    IndexDocument,
    Layer,
    ManifestDocument,
    is_digest,
    layer_media_type,
)

_T = TypeVar("_T")


_DEEPEST_INDEX = 4
_ANOTHER = "build or save it again, or name another one"


class NoPlatformError(UserError):
    """The base image exists, and not for the wanted platform."""


def base_of_manifest(
    manifest: Descriptor,
    read: Callable[[Descriptor], bytes],
    *,
    name: str,
    architecture: str,
    repository: str | None = None,
) -> BaseImage:
    """Return the image for ``linux/<architecture>`` of a manifest or an index.

    ``read`` returns the content of a manifest or a configuration.

    :raises UserError: if there is no such image, or its documents are not valid.
    """
    for _ in range(_DEEPEST_INDEX):
        if manifest.media_type in INDEXES:
            index = _fetched(manifest, read, IndexDocument, f"index {manifest.digest}", name)
            manifest = _for_platform(index_entries(index, name), name, architecture)
        elif manifest.media_type in MANIFESTS:
            return _image(
                manifest, read, name=name, architecture=architecture, repository=repository
            )
        else:
            break
    raise UserError(
        f"the base image {name} has a manifest of the type {quoted(manifest.media_type)!r}",
        hint="supported are OCI manifests and indexes, and Docker's schema 2",
    )


def base_image(
    *,
    name: str,
    digest: str,
    config: ConfigDocument,
    layers: Sequence[Descriptor],
    architecture: str,
    repository: str | None = None,
) -> BaseImage:
    """Return the base image of a configuration and its layers.

    :raises UserError: if they do not fit together, or are for another platform.
    """
    found = f"{config.get('os')}/{config.get('architecture')}"
    if found != f"linux/{architecture}":
        raise UserError(
            f"the base image {name} is for {quoted(found)}, not for linux/{architecture}",
            hint="name another base image, or build for its platform",
        )
    diff_ids = layer_digests(config, len(layers), name)
    return BaseImage(
        reference=name,
        digest=digest,
        os="linux",
        architecture=architecture,
        config=config,
        layers=tuple(
            Layer(descriptor, diff_id, created_by)
            for descriptor, diff_id, created_by in zip(
                layers, diff_ids, _origins(config, len(layers)), strict=True
            )
        ),
        repository=repository,
    )


def read_document(content: bytes, kind: type[_T], what: str, name: str) -> _T:
    """Parse a document of the base image ``name``; ``what`` is its name in messages.

    :raises UserError: if it is not valid.
    """
    try:
        return read_json(content, kind)
    except DocumentError as error:
        raise malformed(name, f"its {what} {error}") from error


def index_entries(index: IndexDocument, name: str) -> list[EntryDocument]:
    """Return the entries of an index.

    :raises UserError: if there are too many.
    """
    entries = index.get("manifests") or []
    if len(entries) > INDEX_ENTRIES:
        raise malformed(name, f"its index has more than {INDEX_ENTRIES:,} entries")
    return entries


def layer_digests(config: ConfigDocument, count: int, name: str) -> list[str]:
    """Return the digests of the uncompressed layers, of which there must be ``count``.

    :raises UserError: if the configuration has others.
    """
    digests = (config.get("rootfs") or {}).get("diff_ids") or []
    if len(digests) != count:
        raise malformed(name, f"its configuration lists {len(digests)} layers instead of {count}")
    if count > LAYERS:
        raise malformed(name, f"it has more than {LAYERS:,} layers")
    for digest in digests:
        if not is_digest(digest):
            raise malformed(name, f"its configuration has the diff_id {quoted(digest)!r}")
    return digests


def base_record(base: BaseImage) -> dict[str, Any]:
    """Return the record of a base image whose layers are in the store."""
    return {
        "digest": base.digest,
        "architecture": base.architecture,
        "config": base.config,
        "layers": [layer.descriptor.as_json() for layer in base.layers],
    }


def base_from_record(record: object, *, name: str) -> BaseImage | None:
    """Return the base image of a record, or None for another value."""
    match record:
        case {
            "digest": str(digest),
            "architecture": str(architecture),
            "config": dict(config),
            "layers": [*layers],
        }:
            return base_image(
                name=name,
                digest=digest,
                config=typed(config, ConfigDocument),
                layers=[Descriptor.from_json(layer) for layer in layers],
                architecture=architecture,
            )
    return None


def malformed(name: str, what: str) -> UserError:
    """Return the error of a base image whose documents are not valid."""
    return UserError(
        f"the base image {name} is malformed: {what}",
        hint=_ANOTHER,
    )


def damaged(name: str, what: str) -> UserError:
    """Return the error of a base image whose content does not have its digests."""
    return UserError(
        f"the base image {name} is damaged: {what}",
        hint=_ANOTHER,
    )


def _image(
    manifest: Descriptor,
    read: Callable[[Descriptor], bytes],
    *,
    name: str,
    architecture: str,
    repository: str | None,
) -> BaseImage:
    document = _fetched(manifest, read, ManifestDocument, f"manifest {manifest.digest}", name)
    try:
        config = Descriptor.from_json(document.get("config"))
        layers = [Descriptor.from_json(layer) for layer in document.get("layers") or []]
    except DocumentError as error:
        raise malformed(name, f"a descriptor in its manifest {error}") from error
    try:
        # Docker's media types of layers have OCI equivalents with the same bytes.
        layers = [Descriptor(layer_media_type(x.media_type), x.digest, x.size) for x in layers]
    except ValueError as error:
        raise malformed(name, str(error)) from error
    return base_image(
        name=name,
        digest=manifest.digest,
        config=_fetched(config, read, ConfigDocument, "configuration", name),
        layers=layers,
        architecture=architecture,
        repository=repository,
    )


def _fetched(
    blob: Descriptor, read: Callable[[Descriptor], bytes], kind: type[_T], what: str, name: str
) -> _T:
    # Before it is fetched and held in memory.
    if blob.size > DOCUMENT:
        raise malformed(name, f"its {what} is longer than {DOCUMENT:,} bytes")
    return read_document(read(blob), kind, what, name)


def _for_platform(entries: Sequence[EntryDocument], name: str, architecture: str) -> Descriptor:
    wanted = f"linux/{architecture}"
    found = [_platform(entry) for entry in entries]
    # An index of a single image may omit the platform; the configuration has it.
    matching = [e for e, platform in zip(entries, found, strict=True) if platform == wanted] or [
        e for e, platform in zip(entries, found, strict=True) if platform is None
    ]
    if not matching:
        others = ", ".join(sorted({p for p in found if p and "unknown" not in p}))
        raise NoPlatformError(
            f"the base image {name} has no image for {wanted}; "
            f"it has {quoted(others) or 'no images'}",
            hint="name another base image, or build for one of its platforms",
        )
    try:
        return Descriptor.from_json(matching[0])
    except DocumentError as error:
        raise malformed(name, f"an entry of its index {error}") from error


def _platform(entry: EntryDocument) -> str | None:
    platform = entry.get("platform")
    return None if platform is None else f"{platform.get('os')}/{platform.get('architecture')}"


def _origins(config: ConfigDocument, count: int) -> list[str]:
    """Return the instruction of each layer, if the history has an entry for each."""
    made = [
        entry.get("created_by") or ""
        for entry in config.get("history") or []
        if not entry.get("empty_layer")
    ]
    return made if len(made) == count else [""] * count
