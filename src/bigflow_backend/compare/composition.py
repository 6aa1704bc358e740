"""An image -> its layers, each with the part of the image that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.oci import LAYER_TAR

if TYPE_CHECKING:
    from bigflow_backend.compare.content import ImageFacts
    from bigflow_backend.compare.side import Reader, Side
    from bigflow_backend.image.oci import BaseImage

PARTS = {
    "base": "the base image",
    "python": "the user, and the bytecode of Python's library",
    "dependencies": "the virtual environment with the dependencies",
    "project": "the project and its resources",
    "image": "another builder's image, whose parts are not known",
}
"""The parts of an image from the lowest upwards, and what each is."""
_OF_BUILDER = {
    "a user without rights": "python",
    "a virtual environment": "dependencies",
    "dependencies": "dependencies",
    "resources": "project",
    "project": "project",
}
"""The beginning of the instruction of a layer of our builder -> its part."""


@dataclass(frozen=True, kw_only=True)
class ComposedLayer:
    """A layer. Sizes are in bytes."""

    part: str
    """A key of :data:`PARTS`."""
    created_by: str
    size: int
    """Compressed, if ``is_compressed`` of the image is True."""
    unpacked_size: int | None
    digest: str
    """Of its unpacked content."""
    blob: str | None
    """The digest of the layer in a registry, if it is known."""


@dataclass(frozen=True, kw_only=True)
class Composition:
    """The layers of an image, and its facts."""

    name: str
    version: str | None
    commit: str | None
    digest: str | None
    platform: str | None
    platforms: tuple[str, ...]
    """All platforms of the build; empty if they are not known."""
    base_name: str | None
    base_digest: str | None
    created: str | None
    """A time in the form of RFC 3339."""
    size: int
    unpacked_size: int | None
    is_compressed: bool
    layers: tuple[ComposedLayer, ...]
    """From the lowest upwards."""
    missing: str | None
    """The reason why the compressed sizes are not known."""


def composition(side: Side, reader: Reader) -> Composition:
    """Return the layers of the image of ``side``.

    :raises UserError: if its image is not known.
    """
    facts = side.image
    if facts is None:
        reason = side.missing[0] if side.missing else f"{side.given} has no image"
        raise UserError(reason, hint="build the image, or give its archive, imageinfo or name")
    content, missing = _content(facts, reader)
    layers = _from_content(facts, content) if content is not None else _from_document(facts)
    unpacked = [layer.unpacked_size for layer in layers]
    config = {} if content is None else content.config
    created = config.get("created")
    return Composition(
        name=facts.name,
        version=side.version,
        commit=side.commit,
        digest=facts.digest,
        platform=f"{content.os}/{content.architecture}" if content else facts.platform,
        platforms=facts.platforms,
        base_name=facts.base_name,
        base_digest=facts.base,
        created=created if isinstance(created, str) else None,
        size=sum(layer.size for layer in layers),
        unpacked_size=None if None in unpacked else sum(filter(None, unpacked)),
        is_compressed=content is not None
        and all(layer.descriptor.media_type != LAYER_TAR for layer in content.layers),
        layers=layers,
        missing=missing,
    )


def _content(facts: ImageFacts, reader: Reader) -> tuple[BaseImage | None, str | None]:
    """Return the image in an archive, a layout or a registry, or else the reason."""
    if facts.content is not None:
        return facts.content, None
    if not facts.places:
        return None, "no archive, layout or registry has the image"
    try:
        return reader.image(facts.places[0]), None
    except UserError as error:
        return None, error.message


def _from_content(facts: ImageFacts, content: BaseImage) -> tuple[ComposedLayer, ...]:
    sizes = {} if facts.is_packed else {layer.digest: layer.size for layer in facts.layers}
    parts = parts_of([layer.created_by for layer in content.layers])
    return tuple(
        ComposedLayer(
            part=part,
            created_by=layer.created_by,
            size=layer.descriptor.size,
            unpacked_size=sizes.get(layer.diff_id),
            digest=layer.diff_id,
            blob=layer.descriptor.digest,
        )
        for part, layer in zip(parts, content.layers, strict=True)
    )


def _from_document(facts: ImageFacts) -> tuple[ComposedLayer, ...]:
    parts = parts_of([layer.created_by for layer in facts.layers])
    return tuple(
        ComposedLayer(
            part=part,
            created_by=layer.created_by,
            size=layer.size,
            unpacked_size=layer.size,
            digest=layer.digest,
            blob=None,
        )
        for part, layer in zip(parts, facts.layers, strict=True)
    )


def parts_of(instructions: list[str]) -> list[str]:
    """Return the part of each layer, from its instruction.

    The layers of our builder are the highest ones. Those below are the base, whatever they say.
    """
    parts: list[str] = []
    for text in reversed(instructions):
        part = _OF_BUILDER.get(text.partition(":")[0].partition(";")[0])
        if part is None or (parts and list(PARTS).index(part) > list(PARTS).index(parts[-1])):
            break
        parts.append(part)
    below = len(instructions) - len(parts)
    return ["base" if parts else "image"] * below + parts[::-1]
