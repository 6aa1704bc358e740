"""The seam to the build: workflows and deployment as plain data, then JSON.

``python -m bigflow describe`` prints what ``describe()`` returns. ``schema.json`` says
what that is; ``SCHEMA`` is its version.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from functools import partial
from zoneinfo import ZoneInfo

from bigflow.describe.discovery import fault_of_user_code, find_workflows
from bigflow.errors import BigflowError, shown
from bigflow.job import Job

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from bigflow.describe.discovery import FoundWorkflow
    from bigflow.job import AnyJob
    from bigflow.workflow import Workflow

    Check = Callable[[str, object], Any]

__all__ = ["SCHEMA", "describe_workflows"]

_INTEGERS = 2**63
"""What JSON's readers, Kubernetes and databases have in common."""

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
    for name, check in _WORKFLOW_ATTRIBUTES.items():
        described[name] = check(f"{of}: {name}", getattr(workflow, name))
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
    for name, check in _JOB_ATTRIBUTES.items():
        value = getattr(job, name, getattr(Job, name))
        described[name] = check(f"{of}: {name}", value)
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


def _refuse(what: str, value: object, wanted: str) -> BigflowError:
    return BigflowError(f"{what} cannot be {shown(value)}", hint=f"give {wanted}")


def _text(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise _refuse(what, value, "a string")
    return str(value)


def _flag(what: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _refuse(what, value, "True or False")
    return value


def _integer(what: str, value: object, *, least: int | None = None) -> int:
    wanted = "a whole number" if least is None else f"a whole number from {least} on"
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= _INTEGERS:
        raise _refuse(what, value, wanted)
    if least is not None and value < least:
        raise _refuse(what, value, wanted)
    return int(value)


def _seconds(what: str, value: object) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value < float("inf"):  # type: ignore[operator]
        raise _refuse(what, value, "a finite number of seconds, 0 or more")
    return value  # type: ignore[return-value]


def _timeout(what: str, value: object) -> float:
    # BigFlow means its default by 0 or None. To Airflow 0 would be a timeout of no time at all.
    return _seconds(what, value or Job.execution_timeout_sec)


def _quantity(what: str, value: object) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return _text(what, value)


def _texts(what: str, value: object) -> list[str]:
    if not isinstance(value, (list, tuple)):
        raise _refuse(what, value, "a list of strings")
    return [_text(f"{what}[{i}]", item) for i, item in enumerate(value)]


def _text_map(what: str, value: object) -> dict[str, str]:
    return {key: _text(f"{what}[{key!r}]", item) for key, item in _mapping(what, value).items()}


def _mapping(what: str, value: object) -> Mapping[str, object]:
    if type(value) is dict and not value:  # as most are, and checking takes time
        return value
    from collections.abc import Mapping

    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _refuse(what, value, "a dict whose keys are strings")
    return value


def _mappings(what: str, value: object) -> list[dict[str, Any]]:
    if not isinstance(value, (list, tuple)):
        raise _refuse(what, value, "a list of dicts")
    return [_plain_map(f"{what}[{i}]", item) for i, item in enumerate(value)]


def _plain_map(what: str, value: object) -> dict[str, Any]:
    return {key: _plain(f"{what}[{key!r}]", item) for key, item in _mapping(what, value).items()}


def _plain(what: str, value: object) -> Any:
    """Data that JSON can carry and that means the same as a Python literal."""
    if value is None or type(value) in {str, bool}:
        return value
    if type(value) is int and abs(value) < _INTEGERS:
        return value
    if type(value) is float and abs(value) < float("inf"):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(f"{what}[{i}]", item) for i, item in enumerate(value)]
    if isinstance(value, dict):
        return _plain_map(what, value)
    raise _refuse(what, value, "strings, numbers, True, False, None, lists and dicts of these")


def _optional(check: Check) -> Check:
    return lambda what, value: None if value is None else check(what, value)


_WORKFLOW_ATTRIBUTES: dict[str, Check] = {
    "timezone": _text,
    "catchup": _flag,
    "depends_on_past": _flag,
    "max_active_runs": partial(_integer, least=1),
    "env_variable": _text,
    "env_default": _optional(_text),
    "secrets": _texts,
    "on_failure_callback": _optional(_text),
    "tags": _texts,
    "owner": _text,
    "description": _optional(_text),
    "doc_md": _optional(_text),
}
_JOB_ATTRIBUTES: dict[str, Check] = {
    "retry_count": partial(_integer, least=0),
    "retry_pause_sec": _seconds,
    "execution_timeout_sec": _timeout,
    "cpu_request": _optional(_quantity),
    "cpu_limit": _optional(_quantity),
    "memory_request": _optional(_quantity),
    "memory_limit": _optional(_quantity),
    "gpu": _optional(partial(_integer, least=1)),
    "pool": _optional(_text),
    "priority_weight": _optional(_integer),
    "environment": _text_map,
    "secrets": _texts,
    "labels": _text_map,
    "annotations": _text_map,
    "service_account": _optional(_text),
    "node_selector": _text_map,
    "tolerations": _mappings,
    "operator_arguments": _plain_map,
}
