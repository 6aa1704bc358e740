"""The DAGs folder of an Airflow: a directory, or a prefix of an object store.

It has the files of a project in ``<package>/``. The state of its deployments is in
``.bigflow/state/<package>/``: one JSON document for each deployment, ``current.json`` that names
one of them, ``journal.json`` while a deployment is under way, and locks. Airflow reads none of
these, because their names do not end with ``.py``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.urls import redacted

if TYPE_CHECKING:
    from bigflow_backend.project.settings import ImageSettings

STATE = ".bigflow/state"
REGISTRY = "oci"
"""The scheme of a registry. Alone, it means the repository of the image."""
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,221}")
_SCHEMES = ("gs", "s3", "az", "abfs")
_EXAMPLES = (
    "a directory, or a URL such as gs://BUCKET/dags, s3://BUCKET/dags or az://CONTAINER/dags"
)


class Folder(Protocol):
    """A DAGs folder. Paths are relative to it, with ``/`` as the separator.

    All methods raise UserError if the folder does not answer, or refuses.
    """

    @property
    def url(self) -> str:
        """The place, for messages."""

    def read(self, path: str, limit: int) -> bytes | None:
        """Return the content of a file of at most ``limit`` bytes; None if it does not exist."""

    def write(self, path: str, content: bytes) -> None:
        """Write a file: a reader sees the old content or the new one."""

    def remove(self, path: str) -> None:
        """Remove a file, if it exists."""

    def names(self, directory: str) -> list[str]:
        """Return the names of the files in a directory, sorted. It may not exist."""

    def place(
        self, package: str, deployment_id: str, texts: Mapping[str, str], *, old: Collection[str]
    ) -> None:
        """Make the files live, together if the folder can do that.

        ``old`` has the names of the project's files before; they may stay. Files of other people
        stay. A second call with the same arguments completes the first.
        """

    def clear(self, package: str, deployment_id: str, *, old: Collection[str]) -> None:
        """Remove the files ``old``, and what else only earlier deployments need."""


def open_folder(place: str, root: Path, settings: ImageSettings | None = None) -> Folder:
    """Return the DAGs folder that ``dags_bucket`` or ``--dags-folder`` names.

    The name of a bucket alone means ``gs://BUCKET/dags``, as in BigFlow. A relative path is
    relative to ``root``. ``settings`` are those of registries.

    :raises UserError: if it is not a valid place, or a library for it is not installed.
    """
    scheme, colon, rest = place.partition("://")
    if not colon and _BUCKET.fullmatch(place) and not (root / place).is_dir():
        scheme, colon, rest = "gs", "://", f"{place}/dags"
    if scheme == REGISTRY and colon and settings is not None:
        from bigflow_backend.deployment.registry import open_registry

        return open_registry(rest, settings)
    if colon and scheme in _SCHEMES and rest.strip("/"):
        from bigflow_backend.deployment.objects import open_objects

        return open_objects(scheme, rest.strip("/"))
    if colon and scheme != "file":
        raise UserError(
            f"the DAGs folder must be {_EXAMPLES}: got {redacted(place)!r}",
            hint="correct dags_bucket in deployment_config.py, or --dags-folder",
        )
    from bigflow_backend.deployment.directory import DirectoryFolder

    return DirectoryFolder(
        Path(os.path.normpath(root / Path(rest if colon else place).expanduser()))
    )
