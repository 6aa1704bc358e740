"""The documents about a built image -> artifacts of its registry, as a build with a push makes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.ground.files import read_bounded
from bigflow_backend.ground.foreign.documents import DocumentError, read_json
from bigflow_backend.ground.limits import DOCUMENT
from bigflow_backend.image.imageinfo import ImageFiles
from bigflow_backend.image.materials.documents import CYCLONEDX, IN_TOTO
from bigflow_backend.image.materials.provenance import PREDICATE
from bigflow_backend.image.reference import remote_name
from bigflow_backend.image.registry import Artifact, attach, copy_documents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bigflow_backend.deployment.built import BuiltImage
    from bigflow_backend.image.oci import Descriptor
    from bigflow_backend.image.reference import RemoteName
    from bigflow_backend.image.session import Session

_BILL, _PROVENANCE = "cdx.json", "provenance.json"


class _Subject(TypedDict):
    digest: dict[str, str]


class _Statement(TypedDict):
    subject: list[_Subject]


def attach_built(
    root: Path, image: BuiltImage, manifests: Sequence[Descriptor], session: Session
) -> None:
    """Attach the documents in ``.image/`` of a project to the pushed image.

    ``manifests`` are those of its platforms. The image is complete without the documents, so a
    registry that refuses them gives a warning.
    """
    by_digest = {manifest.digest: manifest for manifest in manifests}
    files = ImageFiles(image.version)
    try:
        for path in sorted((root / files.info.parent).glob(f"image-*.{_PROVENANCE}")):
            stem = path.name.removesuffix(_PROVENANCE)
            if not stem.startswith(files.provenance().name.removesuffix(f".{_PROVENANCE}")):
                continue
            subject = by_digest.get(_digest(path))
            bill = path.with_name(f"{stem}{_BILL}")
            if subject is None or not bill.is_file():
                continue  # of another build
            predicate = {"in-toto.io/predicate-type": PREDICATE}
            attach(
                [
                    Artifact(bill.name, CYCLONEDX, read_bounded(bill, DOCUMENT)),
                    Artifact(path.name, IN_TOTO, read_bounded(path, DOCUMENT), predicate),
                ],
                subject,
                remote_name(image.name),
                store=session.store,
                registries=session.registries,
            )
    except UserError as error:
        _warn(error)


def copy_attached(
    manifests: Sequence[Descriptor], source: RemoteName, target: RemoteName, session: Session
) -> None:
    """Copy the documents that are attached to the images of a copied image."""
    try:
        for manifest in manifests:
            copy_documents(
                manifest, source, target, store=session.store, registries=session.registries
            )
    except (UserError, DocumentError) as error:
        _warn(error)


def _warn(error: Exception) -> None:
    warnings.warn(
        "the image is pushed, but the registry has no bill of materials and no provenance of it:"
        f" {str(error).partition(chr(10))[0]}",
        BigflowWarning,
        stacklevel=3,
    )


def _digest(path: Path) -> str:
    """Return the digest of the image that a provenance is about; an empty text if it has none."""
    try:
        subjects = read_json(read_bounded(path, DOCUMENT), _Statement)["subject"]
    except DocumentError as error:
        raise UserError(f"{path} {error}", hint="build again: bigflow build") from error
    return next((f"sha256:{one['digest'].get('sha256')}" for one in subjects), "")
