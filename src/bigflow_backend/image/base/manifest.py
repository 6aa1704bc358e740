"""From a manifest, or an index of several platforms, to a base image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.text import parse_json
from bigflow_backend.image.oci import (
    INDEXES,
    MANIFESTS,
    BaseImage,
    Descriptor,
    Layer,
    layer_media_type,
)

_DEEPEST_INDEX = 4
_ANOTHER = "build or save it again, or name another one"


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
        document = json_object(read(manifest), name)
        if manifest.media_type in INDEXES:
            manifest = _for_platform(document, name, architecture)
        elif manifest.media_type in MANIFESTS:
            return _image(
                document,
                read,
                manifest=manifest,
                name=name,
                architecture=architecture,
                repository=repository,
            )
        else:
            break
    raise UserError(
        f"the base image {name} has a manifest of the type {manifest.media_type!r}",
        hint="supported are OCI manifests and indexes, and Docker's schema 2",
    )


def base_image(
    *,
    name: str,
    digest: str,
    config: Mapping[str, Any],
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
            f"the base image {name} is for {found}, not for linux/{architecture}",
            hint="name another base image, or build for its platform",
        )
    rootfs = config.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(diff_ids, list) or len(diff_ids) != len(layers):
        raise malformed(name, f"its configuration does not list its {len(layers)} layers")
    return BaseImage(
        reference=name,
        digest=digest,
        os="linux",
        architecture=architecture,
        config=config,
        layers=tuple(
            Layer(descriptor, str(diff_id), created_by)
            for descriptor, diff_id, created_by in zip(
                layers, diff_ids, _origins(config, len(layers), name), strict=True
            )
        ),
        repository=repository,
    )


def json_object(content: bytes, name: str) -> dict[str, Any]:
    """Parse a document of the base image ``name``.

    :raises UserError: if it is not a JSON object.
    """
    try:
        document = parse_json(content)
    except ValueError as error:
        raise malformed(name, f"not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise malformed(name, "a document is not a JSON object")
    return document


def _list(document: Mapping[str, Any], key: str, name: str) -> list[Any]:
    value = document.get(key)
    if value is not None and not isinstance(value, list):
        raise malformed(name, f"{key} is not a list")
    return value or []


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
                config=config,
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
    document: Mapping[str, Any],
    read: Callable[[Descriptor], bytes],
    *,
    manifest: Descriptor,
    name: str,
    architecture: str,
    repository: str | None,
) -> BaseImage:
    try:
        config = Descriptor.from_json(document.get("config"))
        layers = [Descriptor.from_json(layer) for layer in _list(document, "layers", name)]
        # Docker's media types of layers have OCI equivalents with the same bytes.
        layers = [Descriptor(layer_media_type(x.media_type), x.digest, x.size) for x in layers]
    except ValueError as error:
        raise malformed(name, str(error)) from error
    return base_image(
        name=name,
        digest=manifest.digest,
        config=json_object(read(config), name),
        layers=layers,
        architecture=architecture,
        repository=repository,
    )


def _for_platform(index: Mapping[str, Any], name: str, architecture: str) -> Descriptor:
    entries = [entry for entry in _list(index, "manifests", name) if isinstance(entry, dict)]
    wanted = f"linux/{architecture}"
    found = [_platform(entry) for entry in entries]
    # An index of a single image may omit the platform; the configuration has it.
    matching = [e for e, platform in zip(entries, found, strict=True) if platform == wanted] or [
        e for e, platform in zip(entries, found, strict=True) if platform is None
    ]
    if not matching:
        others = ", ".join(sorted({p for p in found if p and "unknown" not in p}))
        raise UserError(
            f"the base image {name} has no image for {wanted}; it has {others or 'no images'}",
            hint="name another base image, or build for one of its platforms",
        )
    try:
        return Descriptor.from_json(matching[0])
    except ValueError as error:
        raise malformed(name, str(error)) from error


def _platform(entry: Mapping[str, Any]) -> str | None:
    platform = entry.get("platform")
    if not isinstance(platform, dict):
        return None
    return f"{platform.get('os')}/{platform.get('architecture')}"


def _origins(config: Mapping[str, Any], count: int, name: str) -> list[str]:
    """Return the instruction of each layer, if the history has an entry for each."""
    made = [
        str(entry.get("created_by", ""))
        for entry in _list(config, "history", name)
        if isinstance(entry, dict) and not entry.get("empty_layer")
    ]
    return made if len(made) == count else [""] * count
