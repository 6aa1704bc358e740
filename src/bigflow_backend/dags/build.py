"""DAGs: each workflow becomes one file that means the same on every Airflow from 2.7 to 3.3."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.dags.model import DagBuild
    from bigflow_backend.ground.files import Outputs
    from bigflow_backend.project.project import Project
    from bigflow_backend.project.settings import DagSettings
    from bigflow_backend.project.workflows import WorkflowDescription

MANIFEST_SCHEMA = 1
_DAG_ID_LENGTH = 250
_FILE_NAME_BYTES = 255


@dataclass(frozen=True, kw_only=True)
class DagFile:
    """One generated file."""

    path: Path
    dag_id: str
    workflow_id: str
    schedule: str
    """The schedule in words: a cron expression, an interval, or when else it runs."""
    tasks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DagFiles:
    """What a build of DAGs made."""

    directory: Path
    files: tuple[DagFile, ...]
    """In the order of the workflows."""
    image: str
    version: str
    start_time: datetime
    """UTC."""
    seconds: float


def build_dags(
    project: Project,
    workflows: Sequence[WorkflowDescription],
    *,
    image: str,
    start_time: datetime,
    outputs: Outputs,
    config: str | None = None,
) -> DagFiles:
    """Writes ``.dags/`` anew: a file per workflow, ``image_version.txt`` and ``manifest.json``.

    ``image`` is the reference by which Kubernetes pulls the image, with a tag or a digest.
    ``start_time``, in UTC where it has no zone, is the ``<start>`` of the DAG ids, and the one from
    which the workflows were described. ``config`` is the configuration that all jobs run with;
    without it the Airflow Variable of each workflow decides at run time. Equal arguments give
    equal bytes.

    :raises UserError: for a workflow, a setting or a template that is wrong; what was in ``.dags/``
        is still there then.
    """
    from bigflow_backend.dags.file.template import renderer
    from bigflow_backend.dags.model import DagBuild, dag_model

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
        config=config,
    )
    _check_build(build, workflows)
    workflows = checked_workflows(workflows, settings)
    template = renderer(project.root, settings.template)
    files = []
    directory = outputs.dags
    # A build may write them again, with the digest of the image that was pushed since.
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for workflow in workflows:
        dag_id = _dag_id(workflow, build)
        name = f"{dag_id}_dag.py"
        text = template.render(dag_model(workflow, build))
        (directory / name).write_bytes(text.encode())
        files.append(
            DagFile(
                path=Path(".dags") / name,
                dag_id=dag_id,
                workflow_id=workflow.id,
                schedule=schedule_in_words(workflow),
                tasks=tuple(job.id for job in workflow.jobs),
            )
        )
    # BigFlow's `deploy-dags` looks the image up in the registry by this file.
    (directory / "image_version.txt").write_bytes(f"{image}\n".encode())
    manifest = _manifest(build, workflows, files)
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (directory / "manifest.json").write_bytes(text.encode())
    return DagFiles(
        directory=Path(".dags"),
        files=tuple(files),
        image=image,
        version=str(project.version),
        start_time=build.start_time,
        seconds=time.monotonic() - began,
    )


def checked_workflows(
    workflows: Sequence[WorkflowDescription], settings: DagSettings
) -> list[WorkflowDescription]:
    """The workflows with the project's defaults, when nothing in them is wrong.

    :raises UserError: for the first fault of a setting or a workflow.
    """
    from bigflow_backend.dags.rules.defaults import check_settings, with_defaults
    from bigflow_backend.dags.rules.workflow import check_workflows

    check_settings(settings)
    workflows = [with_defaults(workflow, settings) for workflow in workflows]
    check_workflows(workflows)
    return workflows


def _check_build(build: DagBuild, workflows: Sequence[WorkflowDescription]) -> None:
    from bigflow_backend.dags.rules.location import Place
    from bigflow_backend.dags.rules.values import check_text

    if not workflows:
        raise UserError(
            f"there is no workflow in {build.package}",
            hint="bind a bigflow.Workflow to a name in one of its modules",
        )
    if build.config is not None:
        check_text("config", build.config, Place("the build"), lines=False)


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


def schedule_in_words(workflow: WorkflowDescription) -> str:
    """A cron expression, an interval, or when else it runs."""
    kind, value = workflow.schedule.kind, workflow.schedule.value
    if kind == "cron":
        return str(value)
    if kind == "timedelta" and isinstance(value, (int, float)):
        return f"every {timedelta(seconds=value)}"
    return {"none": "only by hand", "once": "@once", "continuous": "@continuous"}[kind]


def _manifest(
    build: DagBuild, workflows: Sequence[WorkflowDescription], files: Sequence[DagFile]
) -> dict[str, Any]:
    """What was built, for tools: nothing in it depends on when or where."""
    return {
        "schema": MANIFEST_SCHEMA,
        "package": build.package,
        "version": str(build.version),
        "commit": build.version.commit,
        "image": build.image,
        "start_time": f"{build.start_time:%Y-%m-%d %H:%M:%S}",
        "dags": [
            {
                "dag_id": file.dag_id,
                "file": file.path.name,
                "workflow": workflow.id,
                "module": workflow.module,
                "schedule": {"kind": workflow.schedule.kind, "value": workflow.schedule.value},
                "timezone": workflow.timezone,
                "start_date": workflow.start_date,
                "config": _config_source(workflow, build),
                "tasks": list(file.tasks),
            }
            for workflow, file in zip(workflows, files, strict=True)
        ],
    }


def _config_source(workflow: WorkflowDescription, build: DagBuild) -> dict[str, Any]:
    if build.config is not None:
        return {"fixed": build.config}
    return {"variable": workflow.env_variable, "default": workflow.env_default}
