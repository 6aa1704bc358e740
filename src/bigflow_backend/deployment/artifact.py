"""A deployment -> an artifact in a registry, which Airflow's DAG bundle reads.

The first layer has the DAG files, the second one the record of the deployment. ``bigflow_airflow``
reads the first one inside Airflow. docs/decisions/0015-dag-bundle.md has the reasons.
https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypedDict

from bigflow_backend.dags.manifest import NAME
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.documents import DocumentError, read_json
from bigflow_backend.ground.limits import MIB
from bigflow_backend.image.oci import (
    EMPTY,
    LAYER_TAR,
    MANIFEST,
    Descriptor,
    DescriptorDocument,
    canonical_json,
)

if TYPE_CHECKING:
    from bigflow_backend.deployment.record import Deployment
    from bigflow_backend.image.store.blobs import BlobStore

ARTIFACT_TYPE = "application/vnd.bigflow.dags.v1"
RECORD = "application/vnd.bigflow.deployment.v1+json"
LARGEST = 256 * MIB
"""Bytes of all files. The bundle reads no more."""
_TITLE = "org.opencontainers.image.title"


class _Document(TypedDict, total=False):
    artifactType: str
    layers: list[DescriptorDocument]


def store_artifact(
    deployment: Deployment, subject: Descriptor | None, store: BlobStore
) -> Descriptor:
    """Store the artifact of a deployment; return its descriptor.

    ``subject`` is the manifest of the image, if it is in the same repository.

    :raises UserError: if the files are too large.
    """
    manifest = deployment.manifest
    annotations = {
        "org.opencontainers.image.created": f"{deployment.when:%Y-%m-%dT%H:%M:%SZ}",
        _TITLE: manifest.package,
        "org.opencontainers.image.version": manifest.version,
        **({"org.opencontainers.image.revision": manifest.commit} if manifest.commit else {}),
    }
    files = {**deployment.texts, NAME: manifest.as_json(deployment.texts)}
    layers = [
        {**store.add(_archive(files), LAYER_TAR).as_json(), "annotations": {_TITLE: "dags.tar"}},
        {
            **store.add(deployment.as_json(), RECORD).as_json(),
            "annotations": {_TITLE: "deployment.json"},
        },
    ]
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": ARTIFACT_TYPE,
        "config": store.add(b"{}", EMPTY).as_json(),
        "layers": layers,
        **({} if subject is None else {"subject": subject.as_json()}),
        "annotations": annotations,
    }
    return store.add(canonical_json(document), MANIFEST)


def record_of(manifest: bytes) -> Descriptor:
    """Return the record of the deployment in the manifest of an artifact.

    :raises DocumentError: if it is not the manifest of a deployment.
    """
    document = read_json(manifest, _Document)
    if document.get("artifactType") == ARTIFACT_TYPE:
        for layer in map(Descriptor.from_json, document.get("layers", [])):
            if layer.media_type == RECORD:
                return layer
    raise DocumentError("is not an artifact of DAG files")


def _archive(files: Mapping[str, str]) -> bytes:
    """Return a tar archive. Equal files give equal bytes."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, text in sorted(files.items()):
            content = text.encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    if len(output.getbuffer()) > LARGEST:
        raise UserError(
            f"the DAG files have {len(output.getbuffer())} bytes; an artifact has {LARGEST}",
            hint="deploy to a directory or a bucket: --dags-folder",
        )
    return output.getvalue()
