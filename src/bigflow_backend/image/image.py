"""What builds images: the seam between the steps of ``build_image`` and the kinds of builders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from bigflow_backend.image.options import ImageOptions
    from bigflow_backend.image.reference import ImageReference
    from bigflow_backend.project.project import Project
    from bigflow_backend.version import ProjectVersion


@dataclass(frozen=True)
class WheelFile:
    """The project's wheel, as its file name and content tell."""

    path: Path
    name: str
    """The distribution, normalised as PEP 503 says."""
    version: str
    sha256: str


@dataclass(frozen=True)
class BuildRequest:
    """Everything that an image is made of."""

    project: Project
    wheel: WheelFile
    reference: ImageReference
    version: ProjectVersion
    options: ImageOptions
    say: Callable[[str], None]
    """Gets the build's output, line by line, while it runs."""


@dataclass(frozen=True)
class ImageFiles:
    """Where a builder writes the image to; None where it is not wanted."""

    tar: Path | None
    layout: Path | None = None
    """A directory, which is not there yet."""


@dataclass(frozen=True)
class Layer:
    """A layer of an image."""

    size: int
    """In bytes, unpacked."""
    created_by: str
    """The instruction that made it."""
    digest: str | None
    """Of its unpacked content (the OCI specification's ``diff_id``), where it is known."""


@dataclass(frozen=True)
class BaseImage:
    """The image that the build started from."""

    name: str
    id: str | None
    digest: str | None
    """The digest of its manifest, where it came from a registry."""


@dataclass(frozen=True)
class BuiltImage:
    """An image, checked and tagged."""

    id: str
    digest: str | None
    """The digest of its manifest, where it has one already."""
    layers: tuple[Layer, ...]
    """From the base's upwards."""
    base: BaseImage | None
    builder: str
    """Which builder made it, in words, with its version."""
    leftovers: tuple[str, ...]
    """What else the build left in the engine: the ids of untagged images, kept as a cache."""
    in_engine: bool
    """Whether it is in the Docker Engine."""
    dependencies: tuple[str, ...] | None = None
    """What of the requirements is installed, as ``name==version``, where the builder knows."""


class Builder(Protocol):
    """A way to make the image."""

    def build(
        self, request: BuildRequest, *, files: ImageFiles, stale: tuple[str, ...]
    ) -> AbstractContextManager[BuiltImage]:
        """Builds, checks and tags the image, and writes its ``files``.

        It is a context manager because the image is not finished before its files are in place:
        when the block raises, the tag is given back to the image that had it before. When it ends
        well, the builder may remove ``stale``, which are the leftovers of the build before.

        :raises UserError: for everything that the user can mend.
        """
        ...
