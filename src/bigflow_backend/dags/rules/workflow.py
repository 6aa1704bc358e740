"""Checks of workflows and jobs, so that errors show in the build and not at night.

The first error is raised; its message names the workflow, the job and the field.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from keyword import iskeyword
from typing import TYPE_CHECKING

from bigflow_backend.dags.rules.assets import check_assets
from bigflow_backend.dags.rules.cron import cron_error, cron_hint
from bigflow_backend.dags.rules.kubernetes import pod_name
from bigflow_backend.dags.rules.location import Location
from bigflow_backend.dags.rules.params import check_params
from bigflow_backend.dags.rules.pod import check_pod, check_secrets
from bigflow_backend.dags.rules.values import check_tags, check_text
from bigflow_backend.dags.rules.zones import find_zone
from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.project.workflows import WorkflowDescription

# Airflow also allows dots, but `--job workflow.job` is split at the dot. Airflow's own check uses
# Python's `\w`, too: letters and digits of every script.
_ID = re.compile(r"\w[\w-]*")
_ID_HINT = "use letters, digits, _ and -, with a letter or a digit first"
# Airflow 3 requests a Variable by a URL that contains the name as it is.
_VARIABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*", re.ASCII)
_VARIABLE_LENGTH = 250
_NOT_VARIABLES = ("get", "var")
_TASK_ID_LENGTH = 250
_OWNER_LENGTH = 500
_LONGEST = 10**9
_YEARS = range(1970, 2201)


def check_workflows(workflows: Sequence[WorkflowDescription]) -> None:
    """Check each workflow, and that their pods have different names."""
    seen: dict[str, WorkflowDescription] = {}
    for workflow in workflows:
        check_workflow(workflow)
        other = seen.setdefault(pod_name(workflow.id, "job"), workflow)
        if other is not workflow:
            raise UserError(
                f"the workflows {other.id!r} ({other.module}) and {workflow.id!r}"
                f" ({workflow.module}) would have equal pod names",
                hint="choose ids that differ in more than case, _ and -",
            )


def check_workflow(workflow: WorkflowDescription) -> None:
    """Check one workflow and its jobs.

    :raises UserError: for the first value that is not valid.
    """
    location = Location.workflow(workflow.id)
    _check_id(workflow.id, f"workflow {workflow.module}.{workflow.variable}")
    _check_schedule(workflow, location)
    _check_configuration(workflow, location)
    check_secrets("secrets", workflow.secrets, location)
    _check_callback(workflow.on_failure_callback, location)
    check_params(workflow, location)
    check_tags(workflow.tags, location)
    check_text("owner", workflow.owner, location, longest=_OWNER_LENGTH, lines=False)
    for field in ("description", "doc_md"):
        if (text := getattr(workflow, field)) is not None:
            check_text(field, text, location)
    _check_jobs(workflow, location)


def _check_id(value: str, owner: str, *, longest: int | None = None) -> None:
    if not _ID.fullmatch(value):
        raise Location(owner).error("id", value, "which cannot name a DAG or a task", _ID_HINT)
    if longest is not None and len(value) > longest:
        raise Location(owner).error(
            "id", value, f"{len(value)} characters long", f"Airflow accepts at most {longest}"
        )


def _is_whole_seconds(value: object) -> bool:
    # `value in range(...)` compares a fraction with each number of the range: for 25 seconds.
    return isinstance(value, (int, float)) and 1 <= value <= _LONGEST and value == int(value)


def _check_schedule(workflow: WorkflowDescription, location: Location) -> None:
    kind, value = workflow.schedule.kind, workflow.schedule.value
    field = "schedule_interval"
    if kind == "cron":
        expression = str(value)
        check_text(field, expression, location, lines=False)
        if wrong := cron_error(expression):
            raise location.error(
                field, value, f"not a valid schedule: {wrong}", cron_hint(expression)
            )
    elif kind == "timedelta" and not _is_whole_seconds(value):
        # The --runtime of a pod has whole seconds.
        why = f"not a whole number of seconds from 1 to {_LONGEST}"
        raise location.error(field, value, why, "write a timedelta of whole seconds in that range")
    if kind == "continuous" and workflow.max_active_runs not in (1, None):
        raise location.error(
            "max_active_runs",
            workflow.max_active_runs,
            "but its schedule is @continuous",
            "set max_active_runs=1, which Airflow requires for it",
        )
    if isinstance(value, tuple):
        check_assets(field, value, location)
    find_zone(workflow.timezone, location)
    _check_start_date(workflow.start_date, location)


def _check_start_date(start_date: str | None, location: Location) -> None:
    # A wrong factory could mean a century of runs to catch up with, or no run at all.
    if start_date is not None and datetime.fromisoformat(start_date).year not in _YEARS:
        raise location.error(
            "start_date",
            start_date,
            f"not in the years {_YEARS[0]} to {_YEARS[-1]}",
            "see --start-time and the workflow's start_time_factory",
        )


def _check_configuration(workflow: WorkflowDescription, location: Location) -> None:
    name = workflow.env_variable
    # Jinja reads `var.value[name]` as an attribute, and these attributes are methods.
    if name in _NOT_VARIABLES:
        raise location.error(
            "env_variable",
            name,
            "which has another meaning in Airflow's templates",
            "rename the Airflow Variable",
        )
    if len(name) > _VARIABLE_LENGTH:
        why = f"{len(name)} characters long"
        raise location.error(
            "env_variable", name, why, f"Airflow accepts at most {_VARIABLE_LENGTH}"
        )
    if not _VARIABLE.fullmatch(name):
        raise location.error(
            "env_variable",
            name,
            "which Airflow's templates cannot read safely",
            "use letters, digits, _, -, . and :, with a letter or a digit first",
        )
    default = workflow.env_default
    if default is not None:
        check_text("env_default", default, location, lines=False)
        if default.startswith("-"):
            why = "which the pod's command would read as an option"
            raise location.error("env_default", default, why, "rename the configuration")


def _check_callback(path: str | None, location: Location) -> None:
    # Imports from __future__ must come first in a file.
    if path is None:
        return
    if not is_dotted_name(path) or "." not in path or path.startswith("__future__."):
        raise location.error(
            "on_failure_callback",
            path,
            "not the import path of a function",
            "write 'package.module.function', which Airflow can import",
        )


def is_dotted_name(text: object) -> bool:
    """Return whether ``text`` is the name of a module, or of an object in one."""
    return isinstance(text, str) and all(
        part.isidentifier() and not iskeyword(part) for part in text.split(".")
    )


def _check_jobs(workflow: WorkflowDescription, location: Location) -> None:
    if not workflow.jobs:
        message = f"{location.text} has no jobs"
        raise UserError(message, hint="give its definition at least one job")
    names: dict[str, str] = {}
    for job in workflow.jobs:
        _check_id(job.id, f"{location.text}, a job", longest=_TASK_ID_LENGTH)
        other = names.setdefault(pod_name(workflow.id, job.id), job.id)
        if other != job.id:
            raise UserError(
                f"{location.text}: the jobs {other!r} and {job.id!r} would have equal pod names",
                hint="choose ids that differ in more than case, _ and -",
            )
        check_pod(job, location.job(job.id), secrets=workflow.secrets)
        check_assets("outlets", job.outlets, location.job(job.id))
