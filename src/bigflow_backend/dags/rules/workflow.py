"""What can be wrong with a workflow is found at build, not by Airflow or Kubernetes at night.

The rules are those of the systems that read the value: Airflow's keys and columns, Kubernetes'
names (see ``kubernetes.py``), cron (see ``cron.py``). The first fault is raised, and its message
names the workflow, the job and the field.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from bigflow_backend.dags.rules.cron import cron_fault, cron_hint
from bigflow_backend.dags.rules.kubernetes import pod_name
from bigflow_backend.dags.rules.location import Place
from bigflow_backend.dags.rules.pod import check_pod, check_secrets
from bigflow_backend.dags.rules.values import check_tags, check_text, check_whole
from bigflow_backend.dags.rules.zones import find_zone
from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.project.workflows import JobDescription, WorkflowDescription

# Airflow allows dots as well, but `--job workflow.job` is taken apart at one. Python's `\w` is
# that of Airflow's own check: letters and digits of every script.
_ID = re.compile(r"\w[\w-]*")
_ID_HINT = "use letters, digits, _ and -; a letter or a digit comes first"
# Airflow 3 fetches a Variable by a URL, of which the name becomes a part as it is.
_VARIABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*", re.ASCII)
_VARIABLE_LENGTH = 250
_NOT_VARIABLES = ("get", "var")
_TASK_ID_LENGTH = 250
_OWNER_LENGTH = 500
_LARGEST = 2**31 - 1
_LONGEST = 10**9
_YEARS = range(1970, 2201)


def check_workflows(workflows: Sequence[WorkflowDescription]) -> None:
    """Checks each workflow, and that no two of them get in each other's way."""
    seen: dict[str, WorkflowDescription] = {}
    for workflow in workflows:
        check_workflow(workflow)
        other = seen.setdefault(pod_name(workflow.id, "job"), workflow)
        if other is workflow:
            continue
        if other.id == workflow.id:
            raise UserError(
                f"two workflows have the id {workflow.id!r}: {other.module}.{other.variable} and"
                f" {workflow.module}.{workflow.variable}",
                hint="give each workflow an id of its own",
            )
        raise UserError(
            f"the workflows {other.id!r} ({other.module}) and {workflow.id!r} ({workflow.module})"
            " would name their pods alike",
            hint="let their ids differ in more than case, _ and -",
        )


def check_workflow(workflow: WorkflowDescription) -> None:
    """Checks one workflow and its jobs.

    :raises UserError: for the first value that is wrong.
    """
    place = Place.workflow(workflow.id)
    _check_id(workflow.id, f"workflow {workflow.module}.{workflow.variable}")
    _check_schedule(workflow, place)
    for field in ("catchup", "depends_on_past"):
        _check_boolean(field, getattr(workflow, field), place)
    _check_configuration(workflow, place)
    check_secrets("secrets", workflow.secrets, place)
    _check_callback(workflow.on_failure_callback, place)
    check_tags(workflow.tags, place)
    check_text("owner", workflow.owner, place, longest=_OWNER_LENGTH, lines=False)
    for field in ("description", "doc_md"):
        if getattr(workflow, field) is not None:
            check_text(field, getattr(workflow, field), place)
    _check_jobs(workflow, place)


def _check_id(value: object, owner: str, *, longest: int | None = None) -> None:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise Place(owner).fault("id", value, "which cannot name a DAG or a task", _ID_HINT)
    if longest is not None and len(value) > longest:
        raise Place(owner).fault(
            "id", value, f"{len(value)} characters long", f"Airflow takes at most {longest}"
        )


def _check_boolean(field: str, value: object, place: Place) -> None:
    if not isinstance(value, bool):
        raise place.fault(field, value, "not a boolean", "write True or False")


def _check_schedule(workflow: WorkflowDescription, place: Place) -> None:
    kind, value = workflow.schedule.kind, workflow.schedule.value
    field = "schedule_interval"
    if kind == "cron":
        check_text(field, value, place, lines=False)
        wrong = cron_fault(str(value))
        if wrong:
            raise place.fault(field, value, f"no schedule: {wrong}", cron_hint(str(value)))
    elif kind == "timedelta" and not _is_interval(value):
        why = f"not a whole number of seconds from 1 to {_LONGEST}"
        raise place.fault(field, value, why, "write a timedelta of whole seconds in that range")
    check_whole("max_active_runs", workflow.max_active_runs, place, least=1, most=_LARGEST)
    if kind == "continuous" and workflow.max_active_runs != 1:
        raise place.fault(
            "max_active_runs",
            workflow.max_active_runs,
            "but its schedule is @continuous",
            "Airflow wants max_active_runs=1 for it",
        )
    find_zone(workflow.timezone, place)
    _check_start_date(workflow.start_date, place)


def _is_interval(value: Any) -> bool:
    """Whole seconds, because a pod's ``--runtime`` has no fractions."""
    return type(value) is int and 1 <= value <= _LONGEST


def _check_start_date(start_date: str | None, place: Place) -> None:
    # A factory's slip would otherwise be a century of runs to catch up with, or none ever.
    if start_date is not None and datetime.fromisoformat(start_date).year not in _YEARS:
        raise place.fault(
            "start_date",
            start_date,
            f"not in the years {_YEARS[0]} to {_YEARS[-1]}",
            "see --start-time and the workflow's start_time_factory",
        )


def _check_seconds(field: str, value: Any, place: Place) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LONGEST:
        why = f"not a number of seconds from 0 to {_LONGEST}"
        raise place.fault(field, value, why, "write a number in that range")


def _check_configuration(workflow: WorkflowDescription, place: Place) -> None:
    name = workflow.env_variable
    # The template takes `var.value[name]`, which Jinja reads as an attribute: these are others.
    if name in _NOT_VARIABLES:
        raise place.fault(
            "env_variable",
            name,
            "which means something else in Airflow's templates",
            "give the Airflow Variable another name",
        )
    if len(name) > _VARIABLE_LENGTH:
        why = f"{len(name)} characters long"
        raise place.fault("env_variable", name, why, f"Airflow takes at most {_VARIABLE_LENGTH}")
    if not _VARIABLE.fullmatch(name):
        raise place.fault(
            "env_variable",
            name,
            "which no template of Airflow can read safely",
            "name the Airflow Variable with letters, digits, _, -, . and :, no sign first",
        )
    default = workflow.env_default
    if default is not None:
        check_text("env_default", default, place, lines=False)
        if default.startswith("-"):
            why = "which the pod's command would take for an option"
            raise place.fault("env_default", default, why, "give the configuration another name")


def _check_callback(path: Any, place: Place) -> None:
    # Imports of __future__ have a place of their own, before all else in a file.
    is_function = is_dotted_name(path) and "." in path and not path.startswith("__future__.")
    if path is not None and not is_function:
        raise place.fault(
            "on_failure_callback",
            path,
            "not the import path of a function",
            "write it as 'package.module.function', importable where Airflow runs",
        )


def is_dotted_name(text: object) -> bool:
    """Whether ``text`` is a module's name, or that of something in one."""
    return isinstance(text, str) and all(
        part.isidentifier() and not iskeyword(part) for part in text.split(".")
    )


def _check_jobs(workflow: WorkflowDescription, place: Place) -> None:
    if not workflow.jobs:
        raise UserError(f"{place.text} has no jobs", hint="give its definition at least one job")
    known: dict[str, JobDescription] = {}
    names: dict[str, str] = {}
    for job in workflow.jobs:
        _check_id(job.id, f"{place.text}, a job", longest=_TASK_ID_LENGTH)
        if known.setdefault(job.id, job) is not job:
            raise UserError(
                f"{place.text}: two jobs have the id {job.id!r}",
                hint="give each job an id of its own",
            )
        other = names.setdefault(pod_name(workflow.id, job.id), job.id)
        if other != job.id:
            raise UserError(
                f"{place.text}: the jobs {other!r} and {job.id!r} would name their pods alike",
                hint="let their ids differ in more than case, _ and -",
            )
        _check_job(job, workflow, place.job(job.id))
    _check_graph(workflow, place)


def _check_job(job: JobDescription, workflow: WorkflowDescription, place: Place) -> None:
    check_whole("retry_count", job.retry_count, place, least=0, most=_LARGEST)
    _check_seconds("retry_pause_sec", job.retry_pause_sec, place)
    if job.execution_timeout_sec is not None:
        _check_seconds("execution_timeout_sec", job.execution_timeout_sec, place)
    if job.priority_weight is not None:
        check_whole("priority_weight", job.priority_weight, place, least=-_LARGEST, most=_LARGEST)
    check_pod(job, place, secrets=workflow.secrets)


def _check_graph(workflow: WorkflowDescription, place: Place) -> None:
    graph = {job.id: job.depends_on for job in workflow.jobs}
    for job in workflow.jobs:
        for upstream in job.depends_on:
            if upstream not in graph:
                raise place.job(job.id).fault(
                    "depends_on", upstream, "which is no job of the workflow", "add that job"
                )
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise UserError(
            f"{place.text}: its jobs wait for each other: {' -> '.join(error.args[1])}",
            hint="take one of these arrows out",
        ) from None
