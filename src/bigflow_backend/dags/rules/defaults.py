"""``[tool.bigflow.dags]``: its checks, and how it fills in workflows and jobs."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bigflow_backend.dags.rules.kubernetes import is_dns_label, is_dns_subdomain, quantity
from bigflow_backend.dags.rules.location import Location, SettingsLocation
from bigflow_backend.dags.rules.pod import check_pod_values
from bigflow_backend.dags.rules.values import check_tags, check_whole
from bigflow_backend.dags.rules.zones import find_zone
from bigflow_backend.ground.errors import BigflowWarning, UserError

if TYPE_CHECKING:
    from bigflow_backend.project.settings import DagSettings
    from bigflow_backend.project.workflows import JobDescription, WorkflowDescription

_LOCATION = SettingsLocation()
_CONNECTION = re.compile(r"[A-Za-z0-9_.-]{1,250}", re.ASCII)
_A_DAY = 24 * 60 * 60
_DAYS = 100_000

_PLACES = 100
"""The default of ``max_active_runs`` with ``depends_on_past``.

The jobs of a run that follows a failed one wait, and the run holds its place meanwhile. Without
another place, Airflow never starts the failed run again: apache/airflow#18304. Each job still runs
one at a time, because it waits for its own past.
"""

_SIZES = ("cpu_request", "cpu_limit", "memory_request", "memory_limit")
_VALUES = (*_SIZES, "pool", "service_account")
_TABLES = ("environment", "labels", "annotations", "node_selector")


def check_settings(settings: DagSettings) -> None:
    """Refuse settings that a pod or a DAG cannot have."""
    namespace = settings.namespace
    if namespace is not None and not is_dns_label(namespace):
        raise _LOCATION.error(
            "namespace",
            namespace,
            "which cannot name a namespace",
            "use lower-case letters, digits and -",
        )
    connection = settings.kubernetes_conn_id
    if not _CONNECTION.fullmatch(connection):
        raise _LOCATION.error(
            "kubernetes_conn_id",
            connection,
            "which cannot name an Airflow connection",
            "use letters, digits, _, - and .",
        )
    for secret in settings.image_pull_secrets:
        if not is_dns_subdomain(secret):
            raise _LOCATION.error(
                "image_pull_secrets",
                secret,
                "which cannot name a secret",
                "use lower-case letters, digits, - and .",
            )
    check_whole(
        "startup_timeout_seconds", settings.startup_timeout_seconds, _LOCATION, least=1, most=_A_DAY
    )
    check_whole("keep_retired_days", settings.keep_retired_days, _LOCATION, least=0, most=_DAYS)
    if settings.start_date is not None:
        _check_start_date(settings.start_date)
    check_tags(settings.tags, _LOCATION)
    check_pod_values(settings, _LOCATION)


def with_defaults(workflow: WorkflowDescription, settings: DagSettings) -> WorkflowDescription:
    """Return the workflow with the project's values for what it and its jobs do not set.

    :raises UserError: if the project's values contradict those of a job.
    """
    if settings.environment or any(getattr(settings, name) is not None for name in _SIZES):
        location = Location.workflow(workflow.id)
        for job in workflow.jobs:
            _check_sizes(job, settings, location.job(job.id))
            _check_variables(job, workflow, settings, location.job(job.id))
    workflow = _with_start(workflow, settings)
    return replace(
        workflow,
        **_runs(workflow),
        tags=tuple(dict.fromkeys([*settings.tags, *workflow.tags])),
        jobs=tuple(_job_with_defaults(job, settings) for job in workflow.jobs),
    )


def _with_start(workflow: WorkflowDescription, settings: DagSettings) -> WorkflowDescription:
    if settings.start_date is not None and workflow.start_from == "default":
        zone = find_zone(workflow.timezone, Location.workflow(workflow.id))
        start = datetime.fromisoformat(settings.start_date)
        start = start.astimezone(zone) if start.tzinfo else start.replace(tzinfo=zone)
        workflow = replace(workflow, start_date=start.isoformat(), start_from="start_date")
    if settings.dag_id == "workflow" and workflow.start_from != "start_date":
        now = "a start_time_factory" if workflow.start_from == "factory" else "no start_date"
        raise UserError(
            f"{Location.workflow(workflow.id).text} has {now}, so its first runtime moves with each"
            ' build; with dag-id = "workflow", Airflow would skip the runs in between',
            hint='write start_date="2026-01-31" on the workflow, or start-date in'
            " [tool.bigflow.dags]",
        )
    return workflow


def _check_start_date(text: str) -> None:
    try:
        fraction = datetime.fromisoformat(text).microsecond
    except ValueError:
        fraction = 1
    if fraction:
        raise _LOCATION.error(
            "start_date",
            text,
            "not a date or a time in whole seconds",
            'write "2026-01-31" or "2026-01-31 06:00:00"',
        )


def _runs(workflow: WorkflowDescription) -> dict[str, Any]:
    """Return ``max_active_runs`` and ``depends_on_past``. Warn if the runs can block each other."""
    given = workflow.max_active_runs
    if not workflow.depends_on_past:
        return {"max_active_runs": given or 1}
    location = Location.workflow(workflow.id).text
    if workflow.schedule.kind == "continuous":
        # Airflow requires max_active_runs=1 for it.
        _warn(
            f"{location}: depends_on_past has no effect with @continuous, where a failed run would"
            " block all others; set depends_on_past=False"
        )
        return {"max_active_runs": given or 1, "depends_on_past": False}
    if given is not None and given < _PLACES:
        runs = "run" if given == 1 else f"{given} runs"
        _warn(
            f"{location}: with depends_on_past and max_active_runs={given}, the {runs} after a"
            " failed one can keep it from running again; remove max_active_runs, or set"
            " depends_on_past=False"
        )
    return {"max_active_runs": given or _PLACES}


def _warn(message: str) -> None:
    warnings.warn(message, BigflowWarning, stacklevel=2)


def _check_sizes(job: JobDescription, settings: DagSettings, location: Location) -> None:
    """Compare a request and a limit if one is the job's and the other the project's."""
    for resource in ("cpu", "memory"):
        request, limit = f"{resource}_request", f"{resource}_limit"
        for own, other, wrong in ((request, limit, "more"), (limit, request, "less")):
            value, default = getattr(job, own), getattr(settings, other)
            if value is None or default is None or getattr(job, other) is not None:
                continue
            size, default_size = quantity(str(value)), quantity(str(default))
            if size is None or default_size is None:
                continue  # another check refuses it
            if size > default_size if wrong == "more" else size < default_size:
                raise location.error(
                    own,
                    value,
                    f"{wrong} than {_LOCATION.key(other)} = {default!r} in {_LOCATION.text}",
                    f"set the job's {other}, or change pyproject.toml",
                )


def _check_variables(
    job: JobDescription, workflow: WorkflowDescription, settings: DagSettings, location: Location
) -> None:
    secrets = {name.upper() for name in (*workflow.secrets, *job.secrets)}
    both = secrets & (settings.environment.keys() - job.environment.keys())
    if both:
        raise UserError(
            f"{_LOCATION.place('environment')} has {min(both)!r},"
            f" which is a secret of {location.text}",
            hint="rename one of them",
        )


def _job_with_defaults(job: JobDescription, settings: DagSettings) -> JobDescription:
    changes: dict[str, Any] = {}
    for name in _VALUES:
        default = getattr(settings, name)
        if default is not None and getattr(job, name) is None:
            changes[name] = default
    for name in _TABLES:
        default = getattr(settings, name)
        if default:
            changes[name] = {**default, **getattr(job, name)}
    return replace(job, **changes) if changes else job
