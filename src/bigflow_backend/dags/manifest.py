"""``manifest.json``: the DAG files of a build, for tools, for a deployment and for the next build.

It has all that is needed to write a file again, so the next build can retire the DAG with it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from bigflow.errors import BigflowError
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import read_bounded
from bigflow_backend.ground.foreign.documents import DocumentError, parse_json, typed
from bigflow_backend.ground.foreign.text import quoted
from bigflow_backend.ground.limits import MANIFEST
from bigflow_backend.project.workflows import Schedule, read_schedule

if TYPE_CHECKING:
    from bigflow_backend.dags.model import DagBuild
    from bigflow_backend.project.workflows import WorkflowDescription

MANIFEST_SCHEMA = 2
NAME = "manifest.json"
_FILE = re.compile(r"\w[\w.-]*\.py")
_DAG_ID = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True, kw_only=True)
class Retirement:
    """The end of a DAG."""

    since: datetime
    """The time when a newer version takes over."""
    end_date: datetime | None
    """The last possible start of a data interval; None if only people start its runs."""
    by: str
    """The version of the build that retired it."""


@dataclass(frozen=True, kw_only=True)
class DagEntry:
    """A DAG file, and what is needed to write it again."""

    dag_id: str
    file: str
    """The name of the file."""
    workflow: str
    module: str
    schedule: Schedule
    timezone: str
    start_date: str
    config: Mapping[str, Any]
    """The Airflow Variable that names the configuration, and its default."""
    tasks: tuple[str, ...]
    version: str
    commit: str | None
    image: str
    source: str
    """The text of the file before the DAG retires."""
    retired: Retirement | None = None

    @property
    def start(self) -> datetime:
        return datetime.fromisoformat(self.start_date)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The DAG files of one build. Times are in UTC."""

    package: str
    version: str
    commit: str | None
    image: str
    start_time: datetime
    deploy_before: datetime | None
    """The time when a retired DAG would process an interval of its successor, if it still ran."""
    dags: tuple[DagEntry, ...]
    only: tuple[str, ...] = ()
    """The ids of the workflows that the build was for, if it was not for all."""

    def as_json(self, texts: Mapping[str, str]) -> str:
        """Return the document; ``texts`` has the content of each file by its name."""
        document = {
            "schema": MANIFEST_SCHEMA,
            **_plain(self),
            "dags": [
                {**_plain(dag), "sha256": hashlib.sha256(texts[dag.file].encode()).hexdigest()}
                for dag in self.dags
            ],
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def dag_entry(
    workflow: WorkflowDescription, build: DagBuild, *, file: str, source: str
) -> DagEntry:
    """Return the entry of a DAG that this build has made."""
    return DagEntry(
        dag_id=build.dag_id(workflow.id),
        file=file,
        workflow=workflow.id,
        module=workflow.module,
        schedule=workflow.schedule,
        timezone=workflow.timezone,
        start_date=str(workflow.start_date),
        config={"variable": workflow.env_variable, "default": workflow.env_default},
        tasks=tuple(job.id for job in workflow.jobs),
        version=str(build.version),
        commit=build.version.commit,
        image=build.image,
        source=source,
    )


class _Retired(TypedDict):
    since: str
    end_date: str | None
    by: str


class _Dag(TypedDict):
    dag_id: str
    file: str
    workflow: str
    module: str
    schedule: dict[str, Any]
    timezone: str
    start_date: str
    config: dict[str, Any]
    tasks: list[str]
    version: str
    commit: str | None
    image: str
    source: str
    retired: _Retired | None


class _Choice(TypedDict, total=False):
    only: list[str]


class _Document(_Choice):
    package: str
    version: str
    commit: str | None
    image: str
    start_time: str
    deploy_before: str | None
    dags: list[_Dag]


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a build: the file, or ``manifest.json`` in a directory.

    :raises UserError: if it cannot be read, or is not a manifest that this version can use.
    """
    if path.is_dir():
        path /= NAME
    try:
        return parse_manifest(read_bounded(path, MANIFEST))
    except (ValueError, BigflowError) as error:
        raise UserError(
            f"{path} {error}",
            hint="give the manifest.json that `bigflow build-dags` wrote for that deployment",
        ) from error


def manifest_of(document: object) -> Manifest:
    """Return the manifest in a document.

    :raises DocumentError: if it is not a manifest that this version can use.
    :raises BigflowError: for a schedule that is not valid.
    """
    schema = typed(document, dict[str, Any]).get("schema")
    if schema != MANIFEST_SCHEMA:
        raise DocumentError(f"has the schema {schema!r}, and this version reads 2")
    return _manifest(typed(document, _Document))


def parse_manifest(content: bytes | str) -> Manifest:
    """Return the manifest of a document.

    :raises ValueError: if it is not a manifest that this version can use.
    """
    return manifest_of(parse_json(content, limit=MANIFEST))


def _manifest(document: _Document) -> Manifest:
    dags = tuple(_entry(dag) for dag in document["dags"])
    for name in ("dag_id", "file"):
        if len({getattr(dag, name) for dag in dags}) < len(dags):
            raise DocumentError(f"has two DAGs with the same {name}")
    return Manifest(
        package=document["package"],
        version=document["version"],
        commit=document["commit"],
        image=document["image"],
        start_time=_moment(document["start_time"]),
        deploy_before=_optional_moment(document["deploy_before"]),
        dags=dags,
        only=tuple(document.get("only", ())),
    )


def _entry(document: _Dag) -> DagEntry:
    for text, form in ((document["dag_id"], _DAG_ID), (document["file"], _FILE)):
        if not form.fullmatch(text):  # the file is written to a path with this name
            raise DocumentError(f"has a name of a DAG that is not valid: {quoted(text)}")
    retired = document["retired"]
    return DagEntry(
        dag_id=document["dag_id"],
        file=document["file"],
        workflow=document["workflow"],
        module=document["module"],
        schedule=read_schedule(document["schedule"], f"has {document['dag_id']!r}, whose"),
        timezone=document["timezone"],
        start_date=_moment(document["start_date"]).isoformat(),
        config=document["config"],
        tasks=tuple(document["tasks"]),
        version=document["version"],
        commit=document["commit"],
        image=document["image"],
        source=document["source"],
        retired=retired
        and Retirement(
            since=_moment(retired["since"]),
            end_date=_optional_moment(retired["end_date"]),
            by=retired["by"],
        ),
    )


def _optional_moment(text: str | None) -> datetime | None:
    return None if text is None else _moment(text)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise DocumentError(f"has a time that is not valid: {quoted(text)}") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return f"{value.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(part) for part in value]
    return value
