"""The documents about an image, as files of ``.image/`` and as artifacts of a registry."""

from __future__ import annotations

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
    annotations: dict[str, str] = field(default_factory=dict)
    """Annotations of its manifest in a registry."""


def image_documents(
    request: BuildRequest, image: Image, published: PublishedImage
) -> tuple[Document, ...]:
    """Return the bill of materials and the provenance."""
    files = ImageFiles(published.version)
    return (
        Document(files.bill, CYCLONEDX, bill_of_materials(request, image)),
        Document(
            files.provenance,
            IN_TOTO,
            provenance(request, image, published),
            {"in-toto.io/predicate-type": PREDICATE},
        ),
    )
