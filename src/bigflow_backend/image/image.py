"""The values of the chain: what an image is built from, what it is, and where it was published."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bigflow_backend.ground.transaction import Transaction
    from bigflow_backend.image import oci
    from bigflow_backend.image.dependencies.requirements import ImageRequirements
    from bigflow_backend.image.materials.packages import Materials
    from bigflow_backend.image.reference import ImageReference
    from bigflow_backend.image.session import Session
    from bigflow_backend.project.project import Project
    from bigflow_backend.project.settings import ImageSettings
    from bigflow_backend.wheel.isolated import Wheel


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """Everything that an image is built from."""

    project: Project
    wheel: Wheel
    reference: ImageReference
    """The name that the image gets when it is published."""
    settings: ImageSettings
    transaction: Transaction
    session: Session
    say: Callable[[str], None]
    """Receives the output of the build, line by line, while it runs."""
    base_digests: Mapping[str, str] = field(default_factory=dict)
    """A platform -> the digest of its base image, also if the tag of the base has moved. Without an
    entry, the tag decides."""
    started: float = field(default_factory=time.perf_counter)

    @cached_property
    def requirements(self) -> ImageRequirements:
        """The requirements that the image installs, besides the wheel.

        :raises UserError: if two lists differ, or a lock is stale or not valid.
        """
        from bigflow_backend.image.dependencies.requirements import image_requirements

        staging = self.transaction.outputs.root / ".requirements"
        return image_requirements(self.project, self.settings, staging, self.say)

    @cached_property
    def references(self) -> tuple[ImageReference, ...]:
        """All names that the image gets. The first one is ``reference``.

        :raises UserError: if a tag in the settings is not valid.
        """
        from bigflow_backend.image.reference import all_references

        return all_references(self.reference, self.settings.tags)

    @property
    def wheel_file(self) -> Path:
        """The path of the wheel in the staging directory."""
        return self.transaction.outputs.root / self.wheel.path


@dataclass(frozen=True)
class LayerInfo:
    """A layer of an image, as imageinfo.json describes it."""

    size: int
    """In bytes, unpacked."""
    created_by: str
    """The instruction that made it."""
    digest: str | None
    """Of its unpacked content (``diff_id`` in the OCI specification), if it is known."""


@dataclass(frozen=True)
class BaseInfo:
    """The base image, as imageinfo.json describes it."""

    name: str
    id: str | None
    digest: str | None
    """The digest of its manifest, if it came from a registry."""


@dataclass(frozen=True)
class StoredImage:
    """The content of an image in the store."""

    manifest: oci.Descriptor
    config: oci.Descriptor
    layers: tuple[oci.Layer, ...]
    """From the lowest layer of the base upwards."""
    base: oci.BaseImage


@dataclass(frozen=True)
class StoredImages:
    """The images of all platforms of an image."""

    top: oci.Descriptor
    """Of the index, or of the only manifest."""
    each: tuple[StoredImage, ...]
    """The image of this machine's platform is the first one, if there is one."""


@dataclass(frozen=True)
class EngineImage:
    """The content of an image in an engine, under its id; it has no name yet."""

    id: str


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that is built and checked. Nothing points to it yet: it has no tag."""

    id: str
    digest: str | None
    """Of its manifest or its index, if it has one before it is pushed."""
    layers: tuple[LayerInfo, ...]
    """From the lowest layer of the base upwards."""
    base: BaseInfo | None
    builder: str
    """The name of the builder, with its version."""
    content: StoredImage | EngineImage
    dependencies: tuple[str, ...] | None = None
    """The installed requirements as ``name==version``, if the builder knows them."""
    materials: Materials | None = None
    """The contents of the base image, if the builder knows them."""
    compression: str | None = None
    """The format and the library of the layers over the base, if the builder knows them."""
    platform: str | None = None
    """Such as ``linux/amd64``, if the builder knows it."""
    index: ImageIndex | None = None
    """The images of all platforms, if there are several. ``digest`` is that of the index then, and
    the other values are those of this machine's platform, else of the first."""

    @property
    def variants(self) -> tuple[Image, ...]:
        """The image of each platform."""
        return (self,) if self.index is None else self.index.images

    @property
    def stored(self) -> StoredImages | None:
        """The content of all platforms; None for an image that is in an engine."""
        if not isinstance(self.content, StoredImage):
            return None
        top = self.content.manifest if self.index is None else self.index.descriptor
        others = [i.content for i in self.variants if i.content != self.content]
        each = (self.content, *(x for x in others if isinstance(x, StoredImage)))
        return StoredImages(top, each)

    @property
    def size(self) -> int:
        """In bytes, unpacked."""
        return sum(layer.size for layer in self.layers)


@dataclass(frozen=True)
class ImageIndex:
    """The images of several platforms under one digest."""

    descriptor: oci.Descriptor
    images: tuple[Image, ...]
    """Sorted by their platforms."""


@dataclass(frozen=True, kw_only=True)
class PublishedImage:
    """An image and the places where it is now. Paths are relative to the project."""

    tag: str
    """The full name, ``repository:tag``, for ``docker run`` and the DAGs."""
    tags: tuple[str, ...]
    """All full names; the first one is ``tag``."""
    id: str
    digest: str | None
    """Of its manifest, if it is known."""
    version: str
    size: int
    """In bytes, unpacked."""
    tar: Path | None
    """``.image/image-<version>.tar``, for ``docker load``."""
    layout: Path | None
    """``.image/oci-layout-<version>``, an OCI layout."""
    in_engine: bool
    pushed: bool
    platforms: tuple[str, ...]
    """Such as ``linux/amd64``; none if the builder does not know it."""
    info: Path
    """``.image/imageinfo-<version>.json``"""
    builder: str
    seconds: float
