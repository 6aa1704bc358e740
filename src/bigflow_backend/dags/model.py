"""The content of a DAG file as plain data: from a workflow's description to arguments of calls.

A template gets a :class:`Dag`. Its values are literals, and calls or names that the file imports.
This module handles the differences between the releases of Airflow, 2.7 to 3.4.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from bigflow.describe.fields import JobAttributes, WorkflowAttributes, attributes_of
from bigflow_backend.dags.file.literals import (
    Call,
    Name,
    airflow_text,
    calls_in,
    kubernetes_text,
    same,
)
from bigflow_backend.dags.rules.kubernetes import label_value, pod_name
from bigflow_backend.dags.rules.location import Location
from bigflow_backend.dags.rules.operator_arguments import operator_arguments
from bigflow_backend.dags.rules.pod import secret_name
from bigflow_backend.dags.rules.values import TAG_LENGTH
from bigflow_backend.dags.rules.zones import find_zone, moment_call
from bigflow_backend.project.workflows import package_of

if TYPE_CHECKING:
    from bigflow_backend.dags.file.literals import Value
    from bigflow_backend.project.settings import DagSettings
    from bigflow_backend.project.workflows import JobDescription, Schedule, WorkflowDescription
    from bigflow_backend.version import ProjectVersion

_COMPOSER_NAMESPACE = "composer-user-workloads"
_COMPOSER_CONFIG_FILE = "/home/airflow/composer_kube_config"
"""https://cloud.google.com/composer/docs/composer-3/use-kubernetes-pod-operator"""

_DEADLINE_MARGIN = 300
"""Seconds in which Airflow reacts to its own timeout, before Kubernetes ends the pod."""

# A run of Airflow 3 without a logical date (manual, asset) has no data interval, and no
# `logical_date`, `ds` and `data_interval_start`. Airflow 2 has no `run_after`.
_INFERRED = "dag.timetable.infer_manual_data_interval(run_after=dag_run.run_after)"
_TIME = '{{ (%s).strftime("%%Y-%%m-%%d %%H:%%M:%%S") }}'


def _interval(schedule: Schedule, bound: str) -> str:
    """Return Airflow's template for the ``start`` or the ``end`` of a run's data interval."""
    interval = f"dag_run.data_interval_{bound}"
    if schedule.kind in {"cron", "timedelta"}:
        moment = f"{interval} or {_INFERRED}.{bound}"
    elif schedule.kind == "assets":
        # Airflow 2 has the interval of the runs that updated the assets, and Airflow 3 has none.
        moment = "dag_run.logical_date or dag_run.run_after"
    else:
        moment = f"{interval} or dag_run.run_after"
    return _TIME % moment


def _of_run(schedule: Schedule) -> list[Value]:
    """Return the options of ``bigflow run`` that give a job the facts of its run.

    Each is one word, because a value can begin with a hyphen. Kubernetes expands ``$(NAME)``.
    """
    return [
        f"--interval-end={_interval(schedule, 'end')}",
        "--run-id={{ run_id | replace('$', '$$') }}",
        "--try-number={{ ti.try_number }}",
        "--params={{ params | tojson | replace('$', '$$') }}",
    ]


@dataclass(frozen=True, kw_only=True)
class DagBuild:
    """The values that the DAGs of one build share."""

    package: str
    image: str
    """The name by which Kubernetes pulls the image, with a tag or a digest."""
    version: ProjectVersion
    start_time: datetime
    """UTC."""
    settings: DagSettings

    def dag_id(self, workflow_id: str) -> str:
        if self.has_stable_ids:
            return workflow_id
        return f"{workflow_id}{self._suffix}"

    @property
    def has_stable_ids(self) -> bool:
        """True if the DAG of a workflow has the same id in each version."""
        return self.settings.dag_id == "workflow"

    @property
    def facts(self) -> dict[str, str]:
        """The version, the commit and the image, by their names."""
        facts = {"version": str(self.version), "commit": self.version.commit, "image": self.image}
        return {name: value for name, value in facts.items() if value}

    @cached_property
    def _suffix(self) -> str:
        return f"__v{self.version.identifier}__{self.start_time:%Y_%m_%d_%H_%M_%S}"


@dataclass(frozen=True)
class Callback:
    """A function that Airflow imports."""

    module: str
    function: str


@dataclass(frozen=True, kw_only=True)
class Task:
    """One KubernetesPodOperator."""

    task_id: str
    arguments: Mapping[str, Value]
    """The arguments of the operator that are not in :attr:`Dag.common`."""
    upstream: tuple[str, ...]
    """The tasks that it waits for."""


@dataclass(frozen=True, kw_only=True)
class Dag:
    """One file: a DAG and its tasks."""

    dag_id: str
    summary: str
    """One line that describes the file."""
    workflow_id: str
    package: str
    version: str
    commit: str | None
    image: str
    runtime: str
    """The Airflow template of a run's ``--runtime``: the constant ``RUNTIME`` of the file."""
    config: str
    """The Airflow template of a run's ``--config``: the constant ``CONFIG`` of the file."""
    arguments: Mapping[str, Value]
    """The arguments of ``DAG(...)``."""
    doc_md: str | None
    succeeds: bool
    """True if it takes over from a deployed DAG, so it must not wait until somebody unpauses it."""
    callback: Callback | None
    """The function that the file imports as ``on_failure_callback``."""
    common: Mapping[str, Value]
    """The arguments that all operators share."""
    tasks: tuple[Task, ...]
    """In a valid order of execution."""

    @cached_property
    def calls(self) -> frozenset[str]:
        """The functions and classes that the arguments call, which the file imports."""
        values = [self.arguments, self.common, *(task.arguments for task in self.tasks)]
        return frozenset(calls_in(values))


def dag_model(workflow: WorkflowDescription, build: DagBuild, *, succeeds: bool = False) -> Dag:
    """Return the DAG of a checked workflow with its defaults.

    ``succeeds`` is true if it takes over from a deployed DAG.
    """
    arguments = {job.id: _operator(workflow, job, build) for job in workflow.jobs}
    common = _shared(arguments.values())
    callback = workflow.on_failure_callback
    module, _, function = (callback or "").rpartition(".")
    return Dag(
        dag_id=build.dag_id(workflow.id),
        summary=f"Airflow DAG of the workflow {workflow.id} of {build.package} {build.version}.",
        workflow_id=workflow.id,
        package=package_of(workflow),
        version=str(build.version),
        commit=build.version.commit,
        image=build.image,
        runtime=_interval(workflow.schedule, "start"),
        config=_config(workflow),
        arguments=_dag_arguments(workflow, build),
        doc_md=_doc_md(workflow.doc_md, build),
        succeeds=succeeds,
        callback=Callback(module, function) if callback else None,
        common=common,
        tasks=tuple(
            Task(
                task_id=job.id,
                arguments={k: v for k, v in arguments[job.id].items() if k not in common},
                upstream=tuple(job.depends_on),
            )
            for job in workflow.jobs
        ),
    )


def _config(workflow: WorkflowDescription) -> str:
    name = ascii(workflow.env_variable)
    if workflow.env_default is not None:
        return f"{{{{ var.value.get({name}, {workflow.env_default!a}) }}}}"
    # If the Variable is missing, this fails and names it. `.get(name)` fails on Airflow 2, but
    # gives "NOTSET" on Airflow 3.
    return f"{{{{ var.value[{name}] }}}}"


def _doc_md(text: str | None, build: DagBuild) -> str | None:
    if build.has_stable_ids:  # the id does not say which version this is
        lines = [f"- {name}: `{value}`" for name, value in build.facts.items()]
        return "\n".join([*([text, ""] if text else []), *lines]) + "\n"
    # Airflow reads text with this ending as the path of a file.
    return text + "\n" if text is not None and text.endswith(".md") else text


def _dag_arguments(workflow: WorkflowDescription, build: DagBuild) -> dict[str, Value]:
    zone = find_zone(workflow.timezone, Location.workflow(workflow.id))
    if workflow.start_date is None:
        raise ValueError(f"{workflow.id} was described without a start time")
    start = datetime.fromisoformat(workflow.start_date)
    default_args: dict[str, Value] = {
        "owner": workflow.owner,
        "depends_on_past": workflow.depends_on_past,
    }
    if workflow.on_failure_callback:
        default_args["on_failure_callback"] = Name("on_failure_callback")
    return {
        "dag_id": build.dag_id(workflow.id),
        "schedule": _schedule(workflow),
        "start_date": moment_call(start.astimezone(zone), workflow.timezone),
        **_unchanged(workflow, WorkflowAttributes),
        **({"params": _params(workflow)} if workflow.params else {}),
        "tags": list(dict.fromkeys([*workflow.tags, *_tags(build)])),
        "default_args": default_args,
    }


def _params(workflow: WorkflowDescription) -> dict[str, Value]:
    params: dict[str, Value] = {}
    for name, param in workflow.params.items():
        described = {} if param["description"] is None else {"description": param["description"]}
        default = [param["default"]] if param["has_default"] else []
        params[name] = Call("Param", positional=default, named={**described, **param["limits"]})
    return params


def _tags(build: DagBuild) -> list[str]:
    if not build.has_stable_ids:
        return []
    # A tag has at most 100 characters, and a name of an image can be longer.
    short = {**build.facts, "image": build.image.rpartition("/")[2]}
    return [f"{name}:{value}"[:TAG_LENGTH] for name, value in short.items()]


def _unchanged(described: object, table: type) -> dict[str, Value]:
    """Return the attributes that are arguments of the same value, as the table says."""
    arguments: dict[str, Value] = {}
    for line in attributes_of(table):
        value = getattr(described, line.name)
        if line.argument and value not in (None, (), {}):
            arguments[line.argument] = list(value) if isinstance(value, tuple) else value
    return arguments


def _schedule(workflow: WorkflowDescription) -> Value:
    # A cron string or a timedelta means data intervals on Airflow 2, but only a trigger on 3, where
    # the logical date is the end of the period ([scheduler] create_cron_data_intervals). A
    # timetable means the same on both.
    schedule = workflow.schedule
    if schedule.kind == "cron":
        return Call(
            "CronDataIntervalTimetable",
            positional=[str(schedule.value)],
            named={"timezone": workflow.timezone},
        )
    if schedule.kind == "timedelta":
        return Call("DeltaDataIntervalTimetable", positional=[_seconds(schedule.value)])
    if isinstance(schedule.value, tuple):
        return _assets(schedule.value)
    return {"none": None, "once": "@once", "continuous": "@continuous"}[schedule.kind]


def _assets(uris: Sequence[str]) -> list[Value]:
    return [Call("Asset", positional=[uri]) for uri in uris]


def _operator(
    workflow: WorkflowDescription, job: JobDescription, build: DagBuild
) -> dict[str, Value]:
    """Return all arguments of a job's operator; ``operator_arguments`` has priority."""
    arguments: dict[str, Value] = {
        "task_id": job.id,
        "name": pod_name(workflow.id, job.id),
        "image": build.image,
        "image_pull_policy": build.settings.image_pull_policy,
        **_cluster(build.settings),
        # Equal for all jobs, so the file has it once. `arguments` is different for each job.
        "cmds": [
            *("python", "-m", "bigflow", "run"),
            *("--runtime", Name("RUNTIME")),
            *_of_run(workflow.schedule),
            *("--project-package", package_of(workflow)),
            *("--module", workflow.module),
            *("--config", Name("CONFIG")),
        ],
        "arguments": _job_arguments(workflow, job),
        "retry_delay": _seconds(job.retry_pause_sec),
        "execution_timeout": _seconds(job.execution_timeout_sec),
        "env_vars": _environment(job, build),
        "labels": _labels(workflow, job, build),
        "startup_timeout_seconds": build.settings.startup_timeout_seconds,
        # Newer providers look at a starting pod every 5 seconds by default.
        "startup_check_interval_seconds": 1,
        "active_deadline_seconds": _deadline(job, build.settings),
        "on_finish_action": build.settings.on_finish_action,
        "termination_message_policy": "FallbackToLogsOnError",
        # With the pod, a failure logs the environment variables, three times on Airflow 2.
        "log_pod_spec_on_failure": False,
        "log_events_on_failure": True,
        "get_logs": True,
        "do_xcom_push": False,
        **_unchanged(job, JobAttributes),
    }
    optional: dict[str, Value] = {
        "pod_runtime_info_envs": _secret_variables(_secrets(workflow, job)),
        "annotations": {key: airflow_text(text) for key, text in job.annotations.items()},
        "container_resources": _resources(job),
        "outlets": _assets(job.outlets),
    }
    arguments |= {name: value for name, value in optional.items() if value}
    return arguments | operator_arguments(job.operator_arguments)


def _labels(workflow: WorkflowDescription, job: JobDescription, build: DagBuild) -> dict[str, str]:
    labels = {
        **job.labels,
        "bigflow-workflow": label_value(workflow.id),
        "bigflow-job": label_value(job.id),
        "bigflow-version": label_value(build.version.image_tag),
    }
    if build.has_stable_ids:
        labels["bigflow-image"] = label_value(build.image.rpartition("/")[2])
        if build.version.commit:
            labels["bigflow-commit"] = build.version.commit
    return labels


def _cluster(settings: DagSettings) -> dict[str, Value]:
    """Return the arguments by which an operator connects to the cluster."""
    arguments: dict[str, Value] = {"kubernetes_conn_id": settings.kubernetes_conn_id}
    composer = settings.target == "composer"
    namespace = settings.namespace or (_COMPOSER_NAMESPACE if composer else None)
    if namespace:
        arguments["namespace"] = namespace
    if composer:
        arguments["config_file"] = _COMPOSER_CONFIG_FILE
    if settings.image_pull_secrets:
        arguments["image_pull_secrets"] = ",".join(settings.image_pull_secrets)
    return arguments


def _environment(job: JobDescription, build: DagBuild) -> dict[str, Value]:
    environment: dict[str, Value] = {
        name: airflow_text(kubernetes_text(text)) for name, text in job.environment.items()
    }
    environment["BIGFLOW_IMAGE"] = build.image
    if build.version.commit:
        environment["BIGFLOW_COMMIT"] = build.version.commit
    return environment


def _secrets(workflow: WorkflowDescription, job: JobDescription) -> list[str]:
    return list(dict.fromkeys([*workflow.secrets, *job.secrets]))


def _job_arguments(workflow: WorkflowDescription, job: JobDescription) -> list[Value]:
    arguments: list[Value] = ["--job", f"{workflow.id}.{job.id}"]
    if secrets := _secrets(workflow, job):
        arguments += ["--secrets", ",".join(secrets)]
    return arguments


def _secret_variables(names: Sequence[str]) -> list[Value]:
    """Return the environment variables of secrets.

    They are optional: for a secret that does not exist, the pod would wait until its startup
    timeout. `bigflow run --secrets` fails at once. Airflow's ``Secret`` cannot be optional.
    """
    return [
        Call(
            "k8s.V1EnvVar",
            named={
                "name": name.upper(),
                "value_from": Call(
                    "k8s.V1EnvVarSource",
                    named={
                        "secret_key_ref": Call(
                            "k8s.V1SecretKeySelector",
                            named={"name": secret_name(name), "key": name, "optional": True},
                        )
                    },
                ),
            },
        )
        for name in names
    ]


def _deadline(job: JobDescription, settings: DagSettings) -> int:
    """Return the seconds after which Kubernetes ends the pod, whatever Airflow does.

    They begin when a node takes the pod. Airflow's timeout comes first.
    """
    startup: int = job.operator_arguments.get(
        "startup_timeout_seconds", settings.startup_timeout_seconds
    )
    return math.ceil(job.execution_timeout_sec + startup) + _DEADLINE_MARGIN


def _resources(job: JobDescription) -> Value:
    requests: dict[str, Value] = {}
    limits: dict[str, Value] = {}
    for resource in ("cpu", "memory"):
        for kind, table in (("request", requests), ("limit", limits)):
            field = f"{resource}_{kind}"
            value = getattr(job, field)
            if value is not None:
                table[resource] = str(value)
    if job.gpu is not None:
        # For an extended resource, Kubernetes uses the limit as the request, too.
        limits["nvidia.com/gpu"] = str(job.gpu)
    given = {"requests": requests, "limits": limits}
    named = {name: table for name, table in given.items() if table}
    return Call("k8s.V1ResourceRequirements", named=named) if named else None


def _seconds(seconds: object) -> Value:
    """Return a timedelta, or None if ``seconds`` is not a number."""
    if not isinstance(seconds, (int, float)):
        return None
    return Call("datetime.timedelta", named={"seconds": seconds})


def _shared(tasks: Iterable[Mapping[str, Value]]) -> dict[str, Value]:
    """Return the arguments that are equal in all tasks, except those that name a task."""
    first, *others = tasks
    return {
        name: value
        for name, value in first.items()
        if name not in {"task_id", "name", "arguments"}
        and all(name in task and same(task[name], value) for task in others)
    }
