"""The seam to the build: workflows and deployment as plain data, then JSON.

``python -m bigflow describe`` prints what ``describe()`` returns. ``schema.json`` says
what that is; ``SCHEMA`` is its version.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from bigflow.describe.discovery import fault_of_user_code, find_workflows
from bigflow.describe.fields import JobAttributes, WorkflowAttributes, attributes_of
from bigflow.describe.values import checked
from bigflow.errors import BigflowError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from bigflow.describe.discovery import FoundWorkflow
    from bigflow.job import AnyJob
    from bigflow.workflow import Workflow

SCHEMA = 1
"""The version of the form; it changes when a reader of the old form would misread the new one."""


def describe_workflows(
    package: str,
    start_time: datetime | None = None,
    tell: Callable[[str], object] = lambda _doing: None,
) -> list[dict[str, Any]]:
    """The workflows of ``package`` as plain data, sorted by id.

    ``start_time``, naive and UTC, is what the start-time factories are given; without it the
    workflows have no start date. ``tell`` is called with words for what is done next, before code
    of the project runs.

    :raises BigflowError: for a module that cannot be imported, and for a value that no DAG can
        have; it names the workflow and the job.
    """
    described = []
    for found in find_workflows(package, tell):
        tell(f"reading workflow {found.workflow.workflow_id!r} ({found.module})")
        described.append(_describe(found, start_time))
    return described


def _describe(found: FoundWorkflow, start_time: datetime | None) -> dict[str, Any]:
    try:
        return _describe_workflow(found, start_time)
    except BigflowError:
        raise
    except BaseException as error:  # what a property raises, or an attribute that is not there
        doing = f"reading workflow {found.workflow.workflow_id!r}"
        raise fault_of_user_code(error, found.module, doing) from error


def _describe_workflow(found: FoundWorkflow, start_time: datetime | None) -> dict[str, Any]:
    workflow = found.workflow
    of = f"workflow {workflow.workflow_id!r} ({found.module})"
    described: dict[str, Any] = {
        "id": workflow.workflow_id,
        "module": found.module,
        "variable": found.variable,
        "schedule": _schedule(of, workflow.schedule_interval),
    }
    for line in attributes_of(WorkflowAttributes):
        value = getattr(workflow, line.name)
        described[line.name] = checked(line, f"{of}: {line.name}", value)
    dependencies = workflow.definition.dependencies
    for job in workflow.definition.jobs:
        if job.id not in dependencies:
            raise BigflowError(
                f"{of}: a job has the id {shown(job.id)}, and had another when the workflow was"
                " made",
                hint="set it before",
            )
    described["jobs"] = [
        _describe_job(job, dependencies[job.id], f"job {job.id!r} of {of}")
        for job in workflow.definition.jobs
    ]
    zone = _zone(of, workflow.timezone)
    start = start_time and _start_date(found, start_time, zone)
    described["start_date"] = start and start.isoformat()
    return described


def _describe_job(job: AnyJob, depends_on: tuple[str, ...], of: str) -> dict[str, Any]:
    described = {"id": job.id, "depends_on": list(depends_on)}
    for line in attributes_of(JobAttributes):
        value = getattr(job, line.name, line.default)
        described[line.name] = checked(line, f"{of}: {line.name}", value)
    return described


def _schedule(of: str, interval: object) -> dict[str, Any]:
    if interval is None:
        return {"kind": "none", "value": None}
    if isinstance(interval, str) and interval in {"@once", "@continuous"}:
        return {"kind": interval[1:], "value": None}
    if isinstance(interval, str):
        return {"kind": "cron", "value": interval}
    if isinstance(interval, timedelta) and interval > timedelta(0):
        seconds = interval.total_seconds()
        return {"kind": "timedelta", "value": int(seconds) if seconds.is_integer() else seconds}
    hint = "give a cron expression or preset, a timedelta or None"
    if isinstance(interval, timedelta):
        hint = "give a timedelta of a second or more"
    raise BigflowError(f"{of}: schedule_interval cannot be {shown(interval)}", hint=hint)


def _zone(of: str, name: object) -> tzinfo:
    if name == "UTC":  # needs no database, and a slim image may lack one
        return timezone.utc
    try:
        return ZoneInfo(str(name))
    except (KeyError, ValueError, OSError) as error:  # unknown; no name of a file; a directory
        raise BigflowError(
            f"{of}: there is no time zone {name!r}",
            hint="give an IANA name, such as Europe/Warsaw (a machine without any needs `tzdata`)",
        ) from error


def _start_date(found: FoundWorkflow, start_time: datetime, zone: tzinfo) -> datetime:
    """The workflow's first runtime, on the clock of its own time zone."""
    workflow: Workflow = found.workflow
    local = _in_zone(found, start_time.replace(tzinfo=timezone.utc), zone).replace(tzinfo=None)
    try:
        start = workflow.start_time_factory(local)
    except BaseException as error:  # whatever a project's function raises
        if error.__traceback__ and error.__traceback__.tb_next is None:  # it was not even entered
            raise BigflowError(
                f"workflow {workflow.workflow_id!r} ({found.module}): start_time_factory cannot be"
                f" called with the start time of the build: {error}",
                hint="give a function of one argument, a datetime, that returns a datetime",
            ) from error
        doing = f"start_time_factory of workflow {workflow.workflow_id!r}"
        raise fault_of_user_code(error, found.module, doing) from error
    if not isinstance(start, datetime):
        raise BigflowError(
            f"workflow {workflow.workflow_id!r} ({found.module}): start_time_factory returned "
            f"{shown(start)}",
            hint="it must return a datetime",
        )
    if start.tzinfo is None:
        start = start.replace(tzinfo=zone)
    return _in_zone(found, start, zone)


def _in_zone(found: FoundWorkflow, moment: datetime, zone: tzinfo) -> datetime:
    """``moment`` on the clock of a zone; by way of UTC, so that a time which the clocks skipped
    becomes the one they showed instead."""
    try:
        return moment.astimezone(timezone.utc).astimezone(zone)
    except OverflowError as error:
        raise BigflowError(
            f"workflow {found.workflow.workflow_id!r} ({found.module}): no calendar has its start"
            f" date, {moment.isoformat(' ')}",
            hint="see --start-time and the workflow's start_time_factory",
        ) from error
