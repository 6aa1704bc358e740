"""Describe workflows as plain data for JSON: ``schema.json`` is the form."""

from __future__ import annotations

import sys
from datetime import date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from bigflow.asset import Asset
from bigflow.describe.discovery import error_of_user_code, find_workflows
from bigflow.describe.fields import JobAttributes, WorkflowAttributes, attributes_of
from bigflow.describe.values import asset_uri, checked
from bigflow.errors import BigflowError, shown
from bigflow.start_time import daily_start_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Any

    from bigflow.describe.discovery import FoundWorkflow
    from bigflow.job import AnyJob

SCHEMA = 1
"""The version of the form. It changes when an old reader would misread a new description."""


def describe_workflows(
    packages: Sequence[str],
    start_time: datetime | None = None,
    report: Callable[[str], object] = lambda _step: None,
    only: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Return the workflows of ``packages`` as plain data, sorted by id.

    :param start_time: the argument of the start-time factories, naive and in UTC; without it the
        workflows have no start date.
    :param report: called with the next step, before code of the project runs.
    :param only: the ids of the workflows to return; without one, all of them.

    :raises BigflowError: for a module that cannot be imported, and for a value that no DAG can
        have; it names the workflow and the job.
    """
    described = []
    for found in find_workflows(packages, report, only):
        step = f"reading workflow {found.workflow.workflow_id!r}"
        report(f"{step} ({found.module})")
        try:
            described.append(_describe_workflow(found, start_time))
        except BigflowError:
            raise
        except BaseException as error:  # a property can raise anything
            raise error_of_user_code(error, found.module, step) from error
    return described


def _describe_workflow(found: FoundWorkflow, start_time: datetime | None) -> dict[str, Any]:
    workflow = found.workflow
    of = f"workflow {workflow.workflow_id!r} ({found.module})"
    if workflow.log_config is not None:
        print(
            f"bigflow: warning: {of}: log_config has no effect; the output of a pod is its log",
            file=sys.stderr,
        )
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
    jobs = {job.id: job for job in workflow.definition.jobs}
    if jobs.keys() != dependencies.keys():
        changed = ", ".join(map(shown, jobs.keys() ^ dependencies.keys()))
        raise BigflowError(
            f"{of}: the id of a job changed after the workflow was created: {changed}",
            hint="set the id first: Workflow(..., [Load(id='load')])",
        )
    described["jobs"] = [
        _describe_job(job, dependencies[job.id], f"job {job.id!r} of {of}") for job in jobs.values()
    ]
    zone = _zone(of, workflow.timezone)
    start = start_time and _start_date(found, start_time, zone)
    described["start_date"] = start and start.isoformat()
    described["start_from"] = (
        "start_date"
        if workflow.start_date is not None
        else "default"
        if workflow.start_time_factory is daily_start_time
        else "factory"
    )
    return described


def _describe_job(job: AnyJob, depends_on: tuple[str, ...], of: str) -> dict[str, Any]:
    described = {"id": job.id, "depends_on": list(depends_on)}
    for line in attributes_of(JobAttributes):
        value = getattr(job, line.name, line.default)
        try:
            described[line.name] = checked(line, f"{of}: {line.name}", value)
        except BigflowError as error:
            from bigflow.describe.own_attributes import error_of_own_attribute

            raise error_of_own_attribute(job, line, error) from error
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
    if isinstance(interval, Asset):
        interval = [interval]
    if isinstance(interval, (list, tuple)) and interval:
        place = f"{of}: schedule_interval"
        uris = [asset_uri(f"{place}[{i}]", asset) for i, asset in enumerate(interval)]
        return {"kind": "assets", "value": uris}
    raise BigflowError(
        f"{of}: schedule_interval cannot be {shown(interval)}",
        hint="give a cron expression or preset, a timedelta of a second or more, assets, or None",
    )


def _zone(of: str, name: object) -> tzinfo:
    if name == "UTC":  # a slim image can lack the database of time zones
        return timezone.utc
    try:
        return ZoneInfo(str(name))
    except (KeyError, ValueError, OSError) as error:  # unknown; not a file name; a directory
        raise BigflowError(
            f"{of}: unknown time zone {name!r}",
            hint="give an IANA name, such as Europe/Warsaw; if this machine has no database of"
            " time zones, install that of the operating system",
        ) from error


def _start_date(found: FoundWorkflow, start_time: datetime, zone: tzinfo) -> datetime:
    """Return the workflow's first runtime in its own time zone."""
    workflow = found.workflow
    if workflow.start_date is not None:
        return _in_zone(found, _fixed_start(found), zone)
    local = _in_zone(found, start_time.replace(tzinfo=timezone.utc), zone).replace(tzinfo=None)
    try:
        start = workflow.start_time_factory(local)
    except BaseException as error:  # the project's function can raise anything
        if error.__traceback__ and error.__traceback__.tb_next is None:  # the call itself failed
            raise BigflowError(
                f"workflow {workflow.workflow_id!r} ({found.module}): start_time_factory cannot be"
                f" called with the start time of the build: {error}",
                hint="give a function of one argument, a datetime, that returns a datetime",
            ) from error
        step = f"start_time_factory of workflow {workflow.workflow_id!r}"
        raise error_of_user_code(error, found.module, step) from error
    if not isinstance(start, datetime):
        raise BigflowError(
            f"workflow {workflow.workflow_id!r} ({found.module}): start_time_factory returned "
            f"{shown(start)}",
            hint="return a datetime",
        )
    if start.tzinfo is None:
        start = start.replace(tzinfo=zone)
    return _in_zone(found, start, zone)


def _fixed_start(found: FoundWorkflow) -> datetime:
    """Return the ``start_date`` of a workflow, with a time zone."""
    workflow = found.workflow
    value = workflow.start_date
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001
    if not isinstance(moment, datetime) or moment.microsecond:
        raise BigflowError(
            f"workflow {workflow.workflow_id!r} ({found.module}): start_date cannot be"
            f" {shown(value)}",
            hint="write a date or a time in whole seconds: '2026-01-31', '2026-01-31 06:00:00'",
        )
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=_zone(workflow.workflow_id, workflow.timezone))
    return moment


def _in_zone(found: FoundWorkflow, moment: datetime, zone: tzinfo) -> datetime:
    """Convert through UTC: a time that the clocks skipped becomes the time they showed instead."""
    try:
        return moment.astimezone(timezone.utc).astimezone(zone)
    except OverflowError as error:
        raise BigflowError(
            f"workflow {found.workflow.workflow_id!r} ({found.module}): the start date is out of"
            f" range: {moment.isoformat(' ')}",
            hint="check --start-time and the workflow's start_time_factory",
        ) from error
