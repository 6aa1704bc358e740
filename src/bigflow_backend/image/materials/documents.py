"""The documents about an image, as files of ``.image/`` and as artifacts of a registry."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.image.imageinfo import ImageFiles
from bigflow_backend.image.materials.bill import bill_of_materials
from bigflow_backend.image.materials.provenance import PREDICATE, provenance

if TYPE_CHECKING:
    from bigflow_backend.image.image import BuildRequest, Image, PublishedImage

CYCLONEDX = "application/vnd.cyclonedx+json"
IN_TOTO = "application/vnd.in-toto+json"


@dataclass(frozen=True)
class Document:
    """A document about an image."""

    path: Path
    """Relative to the project."""
    media_type: str
    text: str
    image: Image
    """The image that it is about: of several platforms, that of one."""
    annotations: dict[str, str] = field(default_factory=dict)
    """Annotations of its manifest in a registry."""


def image_documents(
    request: BuildRequest, image: Image, published: PublishedImage
) -> tuple[Document, ...]:
    """Return the bill of materials and the provenance of each platform."""
    if image.index is None:
        return _documents(request, image, published)
    several = [
        _documents(request, one, dataclasses.replace(published, digest=one.digest), one.platform)
        for one in image.variants
    ]
    return tuple(itertools.chain.from_iterable(several))


def _documents(
    request: BuildRequest, image: Image, published: PublishedImage, platform: str | None = None
) -> tuple[Document, ...]:
    files, platform = ImageFiles(published.version), platform or ""
    return (
        Document(files.bill(platform), CYCLONEDX, bill_of_materials(request, image), image),
        Document(
            files.provenance(platform),
            IN_TOTO,
            provenance(request, image, published),
            image,
            {"in-toto.io/predicate-type": PREDICATE},
        ),
    )
