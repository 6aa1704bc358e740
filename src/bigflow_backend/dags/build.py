"""Check the workflows, and write a DAG file for each of them into ``.dags/``."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.project.workflows import Schedule

if TYPE_CHECKING:
    from bigflow_backend.dags.manifest import DagEntry
    from bigflow_backend.dags.model import DagBuild
    from bigflow_backend.dags.takeover import Deployed
    from bigflow_backend.ground.files import Outputs
    from bigflow_backend.project.project import Project
    from bigflow_backend.project.settings import DagSettings
    from bigflow_backend.project.workflows import WorkflowDescription

_DAG_ID_LENGTH = 250
_FILE_NAME_BYTES = 255
_BY_HAND = Schedule(kind="none", value=None)


@dataclass(frozen=True, kw_only=True)
class DagFile:
    """One generated file."""

    path: Path
    dag_id: str
    workflow_id: str
    schedule: str
    """The schedule in words: a cron expression, an interval, or another trigger."""
    tasks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DagFiles:
    """The result of a build of DAGs. Paths are relative to the project."""

    directory: Path
    files: tuple[DagFile, ...]
    """In the order of the workflows."""
    image: str
    version: str
    start_time: datetime
    """UTC."""
    seconds: float
    retired: tuple[DagEntry, ...] = ()
    """The retired DAGs, whose files are written again."""
    left_out: tuple[DagEntry, ...] = ()
    """The retired DAGs that are not needed any more."""
    deploy_before: datetime | None = None
    """UTC. After this time, a retired DAG may run an interval of its successor, too."""


def build_dags(
    project: Project,
    workflows: Sequence[WorkflowDescription],
    *,
    image: str,
    start_time: datetime,
    outputs: Outputs,
    deployed: Deployed | None = None,
    only: Collection[str] = (),
) -> DagFiles:
    """Write ``.dags/`` of ``outputs``: the DAG files, ``image_version.txt`` and ``manifest.json``.

    With ``deployed``, it also has the DAGs that retire. ``only`` has the ids of the workflows that
    the build is for, if it is not for all.

    ``image`` is the name by which Kubernetes pulls the image, with a tag or a digest.
    ``start_time`` is the ``<start>`` of the DAG ids, in UTC if it has no zone; the workflows were
    described with it. Equal arguments give equal bytes.

    :raises UserError: for a workflow, a setting or a template that is not valid.
    """
    from bigflow_backend.dags.file.template import renderer
    from bigflow_backend.dags.manifest import NAME as MANIFEST
    from bigflow_backend.dags.manifest import Manifest, dag_entry
    from bigflow_backend.dags.model import DagBuild, dag_model
    from bigflow_backend.dags.retired import retired_text
    from bigflow_backend.dags.takeover import Takeover, take_over

    began = time.monotonic()
    if start_time.tzinfo is None:
        start_time = start_time.replace(tzinfo=timezone.utc)
    settings = project.settings.dags
    build = DagBuild(
        package=project.package,
        image=image,
        version=project.version,
        start_time=start_time.astimezone(timezone.utc),
        settings=settings,
    )
    workflows = checked_workflows(workflows, settings)
    takeover = Takeover(workflows=workflows)
    if deployed is not None:
        if deployed.manifest.package != build.package:
            raise UserError(
                f"the deployed DAGs are those of the package {deployed.manifest.package!r},"
                f" and this project has {build.package!r}",
                hint="give --deployed the manifest of this project",
            )
        takeover = take_over(
            workflows, deployed, dag_id=build.dag_id, by=str(build.version), only=only
        )
    template = renderer(project.root, settings.template)
    files, entries, texts = [], [], {}
    for workflow in takeover.workflows:
        dag_id = _dag_id(workflow, build)
        name = f"{dag_id}_dag.py"
        texts[name] = template.render(
            dag_model(
                replace(workflow, schedule=_BY_HAND) if workflow.id in takeover.done else workflow,
                build,
                succeeds=workflow.id in takeover.successors,
            )
        )
        entries.append(dag_entry(workflow, build, file=name, source=texts[name]))
        files.append(
            DagFile(
                path=Path(".dags") / name,
                dag_id=dag_id,
                workflow_id=workflow.id,
                schedule=schedule_in_words(workflow.schedule),
                tasks=tuple(job.id for job in workflow.jobs),
            )
        )
    texts |= {dag.file: dag.source for dag in takeover.kept}
    texts |= {dag.file: retired_text(dag) for dag in takeover.retired}
    manifest = Manifest(
        package=build.package,
        version=str(build.version),
        commit=build.version.commit,
        image=image,
        start_time=build.start_time,
        deploy_before=takeover.deploy_before,
        dags=(*entries, *takeover.kept, *takeover.retired),
        only=tuple(only),
    )
    # BigFlow's `deploy-dags` reads the image from image_version.txt.
    _write(
        outputs.dags,
        {**texts, "image_version.txt": f"{image}\n", MANIFEST: manifest.as_json(texts)},
    )
    return DagFiles(
        directory=Path(".dags"),
        files=tuple(files),
        image=image,
        version=str(project.version),
        start_time=build.start_time,
        seconds=time.monotonic() - began,
        retired=takeover.retired,
        left_out=takeover.left_out,
        deploy_before=takeover.deploy_before,
    )


def _write(directory: Path, texts: Mapping[str, str]) -> None:
    # A build writes them again if it has pushed the image since, with its digest.
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for name, text in texts.items():
        (directory / name).write_bytes(text.encode())


def checked_workflows(
    workflows: Sequence[WorkflowDescription], settings: DagSettings
) -> list[WorkflowDescription]:
    """Check the workflows, and return them with the project's defaults.

    :raises UserError: for the first error of a setting or a workflow.
    """
    from bigflow_backend.dags.rules.defaults import check_settings, with_defaults
    from bigflow_backend.dags.rules.workflow import check_workflows

    check_settings(settings)
    workflows = [with_defaults(workflow, settings) for workflow in workflows]
    check_workflows(workflows)
    return workflows


def _dag_id(workflow: WorkflowDescription, build: DagBuild) -> str:
    dag_id = build.dag_id(workflow.id)
    too_long = len(dag_id) - _DAG_ID_LENGTH
    too_long = max(too_long, len(f"{dag_id}_dag.py".encode()) - _FILE_NAME_BYTES)
    if too_long > 0:
        raise UserError(
            f"workflow {workflow.id!r}: the id of its DAG, {dag_id}, is {too_long} characters"
            " too long",
            hint="give the workflow a shorter id",
        )
    return dag_id


def schedule_in_words(schedule: Schedule) -> str:
    """Return the schedule in words: a cron expression, an interval, or another trigger."""
    kind, value = schedule.kind, schedule.value
    if kind == "cron":
        return str(value)
    if kind == "timedelta" and isinstance(value, (int, float)):
        return f"every {timedelta(seconds=value)}"
    if isinstance(value, tuple):
        return f"after {', '.join(value)}"
    return {"none": "only by hand", "once": "@once", "continuous": "@continuous"}[kind]
