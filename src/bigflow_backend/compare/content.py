"""The layers of an image, and the distributions that are installed in them."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.compression import DamagedError, unpacked
from bigflow_backend.image.base.read import fetch_layers
from bigflow_backend.image.base.tar_reader import Names, TarReader

if TYPE_CHECKING:
    from bigflow_backend.image.imageinfo import InfoDocument, LayerDocument
    from bigflow_backend.image.oci import BaseImage, Layer
    from bigflow_backend.image.session import Session

# The directory of metadata has the name and the version; that of setuptools has parts of others.
_METADATA = re.compile(
    r"(?:^|/)(?:site|dist)-packages/(?P<removed>\.wh\.)?"
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._]*)-(?P<version>[A-Za-z0-9.!+_]+?)(?:-py[0-9.]+)?"
    r"\.(?:dist|egg)-info(?:/|$)"
)


_BUFFER = 1 << 18


@dataclass(frozen=True)
class LayerFacts:
    """A layer of an image."""

    digest: str
    """Of its unpacked content."""
    size: int
    """In bytes: unpacked if ``is_packed`` of its image is False."""
    created_by: str
    """The instruction that made it; it may be empty."""


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """An image, as its documents describe it."""

    name: str
    digest: str | None
    commit: str | None
    base: str | None
    """Its digest, or else its id or its name."""
    layers: tuple[LayerFacts, ...]
    """From the lowest upwards."""
    is_packed: bool
    """True if the sizes are those of the compressed layers."""
    base_name: str | None = None
    platform: str | None = None
    """Such as ``linux/amd64``, if it is known."""
    platforms: tuple[str, ...] = ()
    """All platforms of the build, if they are known."""
    dependencies: tuple[str, ...] | None = None
    """``name==version`` of each installed requirement, if a document lists them."""
    places: tuple[str, ...] = ()
    """Names that :func:`~bigflow_backend.image.base.read.read_base` knows, if ``content`` is
    not set."""
    content: BaseImage | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Installed:
    """The distributions that some layers of an image add and remove, as name and version."""

    added: frozenset[tuple[str, str]]
    removed: frozenset[tuple[str, str]]
    """Those of layers below that are not among these layers."""


def facts_of_info(info: InfoDocument, places: tuple[str, ...]) -> ImageFacts:
    """Return the facts of an imageinfo document."""
    base = info.get("base") or {}
    dependencies = info["dependencies"]
    return ImageFacts(
        name=info["tag"],
        digest=info["digest"],
        commit=info["commit"],
        base=base.get("digest") or base.get("id") or base.get("name"),
        layers=tuple(_layer(layer, i) for i, layer in enumerate(info["layers"])),
        is_packed=False,
        base_name=base.get("name"),
        platform=info.get("platform"),
        platforms=tuple(one["platform"] or "" for one in info.get("platforms") or ()),
        dependencies=None if dependencies is None else tuple(dependencies),
        places=places,
    )


def _layer(layer: LayerDocument, number: int) -> LayerFacts:
    digest = layer["digest"] or f"unknown {number}"
    return LayerFacts(digest, layer["size"], layer["created_by"])


def facts_of_image(image: BaseImage, name: str) -> ImageFacts:
    """Return the facts of an image whose configuration was read."""
    labels = (image.config.get("config") or {}).get("Labels") or {}
    return ImageFacts(
        name=name,
        digest=image.digest,
        commit=labels.get("org.opencontainers.image.revision") or None,
        base=labels.get("org.opencontainers.image.base.digest"),
        layers=tuple(
            LayerFacts(layer.diff_id, layer.descriptor.size, layer.created_by)
            for layer in image.layers
        ),
        is_packed=True,
        base_name=labels.get("org.opencontainers.image.base.name"),
        platform=f"{image.os}/{image.architecture}",
        content=image,
    )


def installed(
    image: BaseImage, shared: Collection[str], session: Session, *, deadline: float
) -> Installed:
    """Return the distributions of the layers that are not ``shared``, by their ``diff_id``.

    Only these layers are fetched, and read up to ``deadline``, a time of :func:`time.monotonic`.

    :raises UserError: if a layer cannot be fetched, or is damaged.
    """
    own = [layer for layer in image.layers if layer.diff_id not in shared]
    fetch_layers(
        dataclasses.replace(image, layers=tuple(own)),
        store=session.store,
        registries=session.registries,
    )
    names = Names()
    found: dict[str, tuple[str, str]] = {}
    removed = set()
    for layer in own:
        for path, distribution, is_removed in _metadata(
            layer, image, session, names=names, deadline=deadline
        ):
            if not is_removed:
                found[path] = distribution
            elif found.pop(path, None) is None:
                removed.add(distribution)
    return Installed(frozenset(found.values()), frozenset(removed))


def _metadata(
    layer: Layer, image: BaseImage, session: Session, *, names: Names, deadline: float
) -> list[tuple[str, tuple[str, str], bool]]:
    """Return path, name and version of the metadata in a layer, and True for what it removes.

    Removals come first: a layer hides only files of the layers below.
    """
    from packaging.utils import canonicalize_name

    found: dict[str, tuple[str, tuple[str, str], bool]] = {}
    with opened_layer(layer, image.reference, session, deadline=deadline) as entries:
        for entry in entries:
            match = _METADATA.search(entry.name)
            path = entry.name[: match.end()].rstrip("/") if match else ""
            if match and path not in found:
                names.add(path)
                distribution = (canonicalize_name(match["name"]), match["version"])
                found[path] = (path.replace("/.wh.", "/"), distribution, bool(match["removed"]))
    return sorted(found.values(), key=lambda one: not one[2])


@contextlib.contextmanager
def opened_layer(
    layer: Layer, name: str, session: Session, *, deadline: float
) -> Iterator[TarReader]:
    """Yield the entries of a layer, which the store has. ``name`` is that of its image.

    :raises UserError: if it is damaged, or is not the one of the image's configuration.
    """
    hint = "build or save the image again, or give another one"
    try:
        with (
            session.store.reader(layer.descriptor) as blob,
            unpacked(blob, layer.descriptor.media_type, deadline=deadline) as content,
            io.BufferedReader(content, _BUFFER) as buffered,
        ):
            yield TarReader(buffered, deadline=deadline)
            while buffered.read(_BUFFER):
                pass
            is_right = content.digest == layer.diff_id
    except DamagedError as error:
        raise UserError(
            f"the layer {layer.diff_id} of {name} is damaged: {error}", hint=hint
        ) from error
    if not is_right:
        raise UserError(
            f"a layer of {name} has another content than its configuration says", hint=hint
        )
