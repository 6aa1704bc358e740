"""A manifest and its layer -> the DAG files of one version.

``bigflow deploy --to oci`` writes the artifact: an image manifest with ``artifactType``. Its first
layer is a tar archive without compression, with files only, in no directories. Other layers are
not read.
"""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_airflow.errors import RegistryError
from bigflow_airflow.registry import is_digest

if TYPE_CHECKING:
    from bigflow_airflow.registry import Repository

ARTIFACT_TYPE = "application/vnd.bigflow.dags.v1"
LARGEST_LAYER = 256 * 1024 * 1024
"""Bytes: 10,000 DAG files and their manifest take 200 MB."""
MOST_FILES = 20_000
_NAME = re.compile(r"\w[\w.-]{0,254}")


def fetch(repository: Repository, digest: str, directory: Path) -> None:
    """Write the DAG files of the artifact with this digest into an empty directory.

    :raises RegistryError: if the registry does not give them, or they are not valid.
    :raises OSError: if a file cannot be written.
    """
    layer, size = _layer(repository.manifest(digest))
    _unpack(repository.blob(layer, size), directory)


def _layer(manifest: bytes) -> tuple[str, int]:
    """Return digest and size of the layer."""
    try:
        document = json.loads(manifest)
        kind, layer = document["artifactType"], document["layers"][0]
        digest, size = layer["digest"], layer["size"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        raise RegistryError(
            "the tag names something that is not an artifact of DAG files"
        ) from None
    if kind != ARTIFACT_TYPE:
        raise RegistryError(
            f"the tag names an artifact that does not have the type {ARTIFACT_TYPE}"
        )
    if not is_digest(digest) or type(size) is not int or not 0 <= size <= LARGEST_LAYER:
        raise RegistryError(f"the layer must have a digest and at most {LARGEST_LAYER} bytes")
    return digest, size


def _unpack(archive: bytes, directory: Path) -> None:
    names = set[str]()
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as files:
            for member in files:
                is_file = member.type == tarfile.REGTYPE and not member.issparse()
                if not is_file or not _NAME.fullmatch(member.name) or member.name in names:
                    raise RegistryError("the artifact has an entry that is not a DAG file")
                names.add(member.name)
                if len(names) > MOST_FILES:
                    raise RegistryError(f"the artifact has more than {MOST_FILES} files")
                content = files.extractfile(member)
                _write(directory / member.name, b"" if content is None else content.read())
    except (tarfile.TarError, ValueError, OverflowError, RecursionError, EOFError) as error:
        raise RegistryError(
            f"the artifact is not a valid archive: {type(error).__name__}"
        ) from None


def _write(path: Path, content: bytes) -> None:
    """Write a file to the disk, so that a version is complete after a power failure, too."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
