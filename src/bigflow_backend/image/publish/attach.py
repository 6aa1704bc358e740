"""Attach the documents about an image to it in its registry."""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.image.image import StoredImage
from bigflow_backend.image.reference import remote_name
from bigflow_backend.image.registry import Artifact, attach, fetch_manifest

if TYPE_CHECKING:
    from bigflow_backend.image.image import BuildRequest, Image, PublishedImage
    from bigflow_backend.image.materials.documents import Document
    from bigflow_backend.image.oci import Descriptor


def attach_documents(
    request: BuildRequest, published: PublishedImage, documents: Sequence[Document]
) -> dict[Path, str]:
    """Attach the documents to a pushed image; return the digest of each by its path.

    The image is complete without them. So a registry that refuses them gives a warning.
    """
    session = request.session
    attached: dict[Path, str] = {}
    try:
        for _image, group in itertools.groupby(documents, key=lambda d: d.image.id):
            of_image = list(group)
            digests = attach(
                [
                    Artifact(d.path.name, d.media_type, d.text.encode(), d.annotations)
                    for d in of_image
                ],
                _subject(request, of_image[0].image, published),
                remote_name(published.tag),
                store=session.store,
                registries=session.registries,
            )
            attached |= zip((d.path for d in of_image), digests, strict=True)
    except UserError as error:
        warnings.warn(
            "the image is pushed, but the registry has no bill of materials and no provenance of"
            f" it: {error.message}",
            BigflowWarning,
            stacklevel=2,
        )
    return attached


def _subject(request: BuildRequest, image: Image, published: PublishedImage) -> Descriptor:
    """Return the manifest of the image in the registry.

    :raises UserError: if an engine has pushed it, and its digest is not known.
    """
    if isinstance(image.content, StoredImage):
        return image.content.manifest
    if published.digest is None:
        raise UserError(
            "the engine does not report the digest of the image",
            hint="push it with another version of the engine",
        )
    name = dataclasses.replace(remote_name(published.tag), digest=published.digest)
    session = request.session
    return fetch_manifest(name, store=session.store, registries=session.registries)
