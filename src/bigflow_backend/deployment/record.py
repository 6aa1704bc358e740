"""A deployment as a JSON document in the DAGs folder. These documents are its history.

They belong to whoever can write into the folder, so each of them is checked.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypedDict

from bigflow.errors import BigflowError
from bigflow_backend.dags.manifest import Manifest, manifest_of
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.documents import DocumentError, parse_json, typed
from bigflow_backend.ground.foreign.text import one_line, quoted
from bigflow_backend.ground.limits import MANIFEST

SCHEMA = 1
_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """The DAG files of a project in a DAGs folder, and their origin."""

    id: str
    """It begins with the time, so ids are in the order of the deployments."""
    when: datetime
    """UTC."""
    by: str
    """``user@host``"""
    action: str
    """The command: ``deploy``, ``rollback`` or ``promote``."""
    previous: str | None
    """The id of the deployment before."""
    manifest: Manifest
    texts: Mapping[str, str]
    """The content of each file by its name."""

    @property
    def digest(self) -> str:
        """The digest of the image, or an empty text."""
        return self.manifest.image.partition("@")[2]

    def as_json(self) -> bytes:
        document = {
            "schema": SCHEMA,
            "id": self.id,
            "when": f"{self.when:%Y-%m-%d %H:%M:%S}",
            "by": self.by,
            "action": self.action,
            "previous": self.previous,
            "manifest": json.loads(self.manifest.as_json(self.texts)),
            "files": dict(self.texts),
        }
        return json.dumps(document, indent=1, ensure_ascii=False).encode()


class _Document(TypedDict):
    schema: int
    id: str
    when: str
    by: str
    action: str
    previous: str | None
    manifest: dict[str, Any]
    files: dict[str, str]


def new_id(now: datetime) -> str:
    """Return the id of a deployment at that time."""
    return f"{now.astimezone(timezone.utc):%Y%m%dT%H%M%SZ}-{os.urandom(4).hex()}"


def is_id(text: str) -> bool:
    """Return whether the text is the id of a deployment: it becomes the name of a file."""
    return _ID.fullmatch(text) is not None


def checked_id(text: str) -> str:
    """Return the text.

    :raises DocumentError: if it is not the id of a deployment.
    """
    if not is_id(text):
        raise DocumentError(f"has {quoted(text)!r}, which is not the id of a deployment")
    return text


def read_deployment(content: bytes, *, deployment_id: str, package: str, where: str) -> Deployment:
    """Return the deployment of a document.

    ``where`` is its place, for the message.

    :raises UserError: if it is not the document of that deployment of that package.
    """
    try:
        document = typed(parse_json(content, limit=MANIFEST), _Document)
        if document["schema"] != SCHEMA:
            raise DocumentError(f"has the schema {document['schema']}, and this version reads 1")
        manifest = manifest_of(document["manifest"])
        if (document["id"], manifest.package) != (deployment_id, package):
            raise DocumentError("is the document of another deployment")
        if sorted(document["files"]) != sorted(dag.file for dag in manifest.dags):
            raise DocumentError("has other files than its manifest")
        previous = document["previous"] and checked_id(document["previous"])
        when = datetime.fromisoformat(document["when"]).replace(tzinfo=timezone.utc)
    except (ValueError, BigflowError) as error:
        raise UserError(
            f"{where} {error}",
            hint="restore that file, or move it out of the folder to deploy without it",
        ) from error
    return Deployment(
        id=document["id"],
        when=when,
        by=one_line(document["by"]),
        action=one_line(document["action"]),
        previous=previous or None,
        manifest=manifest,
        texts=document["files"],
    )
