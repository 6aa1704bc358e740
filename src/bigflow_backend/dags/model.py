"""What a DAG file says, as plain data: from a workflow's description to the arguments of calls.

A template sees a :class:`Dag`; everything in it is a literal, or a call or a name that the file
imports. What no release of Airflow from 2.7 to 3.3 understands alike is settled here.
"""

from __future__ import annotations

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
from bigflow_backend.dags.rules.location import Place
from bigflow_backend.dags.rules.operator_arguments import operator_arguments
from bigflow_backend.dags.rules.pod import secret_name
from bigflow_backend.dags.rules.zones import find_zone, moment_call

if TYPE_CHECKING:
    from bigflow_backend.dags.file.literals import Value
    from bigflow_backend.project.settings import DagSettings
    from bigflow_backend.project.workflows import JobDescription, WorkflowDescription
    from bigflow_backend.version import ProjectVersion

_COMPOSER_NAMESPACE = "composer-user-workloads"
_COMPOSER_CONFIG_FILE = "/home/airflow/composer_kube_config"
"""https://cloud.google.com/composer/docs/composer-3/use-kubernetes-pod-operator"""

# `logical_date`, `ds` and `data_interval_start` are not there in a run of Airflow 3 that has no
# logical date (manual, asset), `run_after` is not there in Airflow 2.
_RUNTIME = '{{ (dag_run.logical_date or dag_run.run_after).strftime("%Y-%m-%d %H:%M:%S") }}'


@dataclass(frozen=True, kw_only=True)
class DagBuild:
    """What the DAGs of one build have in common."""

    package: str
    image: str
    """The reference by which Kubernetes pulls the image."""
    version: ProjectVersion
    start_time: datetime
    """UTC."""
    settings: DagSettings
    config: str | None = None
    """The configuration of all runs; None leaves it to each workflow's Airflow Variable."""

    def dag_id(self, workflow_id: str) -> str:
        return f"{workflow_id}{self._suffix}"

    @cached_property
    def _suffix(self) -> str:
        return f"__v{self.version.identifier}__{self.start_time:%Y_%m_%d_%H_%M_%S}"


@dataclass(frozen=True)
class Callback:
    """A function on the side of Airflow."""

    module: str
    function: str


@dataclass(frozen=True, kw_only=True)
class Task:
    """One KubernetesPodOperator."""

    task_id: str
    arguments: Mapping[str, Value]
    """The arguments of the operator but for those in :attr:`Dag.common`."""
    upstream: tuple[str, ...]
    """The tasks that it waits for."""


@dataclass(frozen=True, kw_only=True)
class Dag:
    """One file: a DAG and its tasks."""

    dag_id: str
    summary: str
    """One line that says what the file is."""
    workflow_id: str
    package: str
    version: str
    commit: str | None
    image: str
    runtime: str
    """The Airflow template of a run's ``--runtime``: the constant ``RUNTIME`` of the file."""
    config: str
    """That of its ``--config``: the constant ``CONFIG`` of the file."""
    arguments: Mapping[str, Value]
    """The arguments of ``DAG(...)``."""
    doc_md: str | None
    callback: Callback | None
    """What is imported under the name ``on_failure_callback``."""
    common: Mapping[str, Value]
    """The arguments that all operators share."""
    tasks: tuple[Task, ...]
    """In an order in which they could run."""

    @cached_property
    def calls(self) -> frozenset[str]:
        """The functions and classes that the arguments call."""
        values = [self.arguments, self.common, *(task.arguments for task in self.tasks)]
        return frozenset(calls_in(values))


def dag_model(workflow: WorkflowDescription, build: DagBuild) -> Dag:
    """The DAG of a workflow that has its defaults and has been checked."""
    arguments = {job.id: _operator(workflow, job, build) for job in workflow.jobs}
    common = _shared(arguments.values())
    callback = workflow.on_failure_callback
    module, _, function = (callback or "").rpartition(".")
    return Dag(
        dag_id=build.dag_id(workflow.id),
        summary=f"Airflow DAG of the workflow {workflow.id} of {build.package} {build.version}.",
        workflow_id=workflow.id,
        package=build.package,
        version=str(build.version),
        commit=build.version.commit,
        image=build.image,
        runtime=_RUNTIME,
        config=_config(workflow, build.config),
        arguments=_dag_arguments(workflow, build),
        doc_md=_doc_md(workflow.doc_md),
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


def _config(workflow: WorkflowDescription, config: str | None) -> str:
    if config is not None:
        return airflow_text(config)
    name = ascii(workflow.env_variable)
    if workflow.env_default is not None:
        return f"{{{{ var.value.get({name}, {workflow.env_default!a}) }}}}"
    # Not `.get(name)`: where the Variable is missing, that fails on Airflow 2 but renders as
    # "NOTSET" on 3. This fails on both and names the Variable.
    return f"{{{{ var.value[{name}] }}}}"


def _doc_md(text: str | None) -> str | None:
    # Airflow takes documentation that ends so for the path of a file.
    return text + "\n" if text is not None and text.endswith(".md") else text


def _dag_arguments(workflow: WorkflowDescription, build: DagBuild) -> dict[str, Value]:
    zone = find_zone(workflow.timezone, Place.workflow(workflow.id))
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
        "tags": list(dict.fromkeys(workflow.tags)),
        "default_args": default_args,
    }


def _unchanged(described: object, table: type) -> dict[str, Value]:
    """Return the attributes that are arguments of the same value, as the table says."""
    arguments: dict[str, Value] = {}
    for line in attributes_of(table):
        value = getattr(described, line.name)
        if line.argument and value not in (None, (), {}):
            arguments[line.argument] = list(value) if isinstance(value, tuple) else value
    return arguments


def _schedule(workflow: WorkflowDescription) -> Value:
    # A cron string or a timedelta would be a timetable of data intervals on Airflow 2 and a mere
    # trigger on 3, where a run's logical date is the end of its period ([scheduler]
    # create_cron_data_intervals); stated as a timetable it is the same on both.
    schedule = workflow.schedule
    if schedule.kind == "cron":
        return Call(
            "CronDataIntervalTimetable",
            positional=[str(schedule.value)],
            named={"timezone": workflow.timezone},
        )
    if schedule.kind == "timedelta":
        return Call("DeltaDataIntervalTimetable", positional=[_seconds(schedule.value)])
    return {"none": None, "once": "@once", "continuous": "@continuous"}[schedule.kind]


def _operator(
    workflow: WorkflowDescription, job: JobDescription, build: DagBuild
) -> dict[str, Value]:
    """All arguments of a job's operator. What a user wrote for ``operator_arguments`` comes last
    and wins."""
    arguments: dict[str, Value] = {
        "task_id": job.id,
        "name": pod_name(workflow.id, job.id),
        "image": build.image,
        "image_pull_policy": build.settings.image_pull_policy,
        **_cluster(build.settings),
        # The same for all jobs, so that it stands in the file once; then what tells them apart.
        "cmds": [
            *("python", "-m", "bigflow", "run"),
            *("--runtime", Name("RUNTIME")),
            *("--project-package", build.package),
            *("--module", workflow.module),
            *("--config", Name("CONFIG")),
        ],
        "arguments": ["--job", f"{workflow.id}.{job.id}"],
        "retry_delay": _seconds(job.retry_pause_sec),
        "env_vars": _environment(job, build),
        "labels": {
            **job.labels,
            "bigflow-workflow": label_value(workflow.id),
            "bigflow-job": label_value(job.id),
            "bigflow-version": label_value(build.version.image_tag),
        },
        "startup_timeout_seconds": build.settings.startup_timeout_seconds,
        "on_finish_action": build.settings.on_finish_action,
        "log_events_on_failure": True,
        "get_logs": True,
        "do_xcom_push": False,
        **_unchanged(job, JobAttributes),
    }
    optional: dict[str, Value] = {
        "execution_timeout": _seconds(job.execution_timeout_sec or None),
        "secrets": _secrets([*workflow.secrets, *job.secrets]),
        "annotations": {key: airflow_text(text) for key, text in job.annotations.items()},
        "container_resources": _resources(job),
    }
    arguments |= {name: value for name, value in optional.items() if value}
    return arguments | operator_arguments(job.operator_arguments)


def _cluster(settings: DagSettings) -> dict[str, Value]:
    """How an operator reaches the cluster."""
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


def _secrets(names: Sequence[str]) -> list[Value]:
    return [
        Call(
            "Secret",
            named={
                "deploy_type": "env",
                "deploy_target": name.upper(),
                "secret": secret_name(name),
                "key": name,
            },
        )
        for name in dict.fromkeys(names)
    ]


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
        # Kubernetes takes the limit of an extended resource for its request.
        limits["nvidia.com/gpu"] = str(job.gpu)
    given = {"requests": requests, "limits": limits}
    named = {name: table for name, table in given.items() if table}
    return Call("k8s.V1ResourceRequirements", named=named) if named else None


def _seconds(seconds: object) -> Value:
    """A timedelta; None for none, or for no seconds."""
    if not isinstance(seconds, (int, float)):
        return None
    return Call("datetime.timedelta", named={"seconds": seconds})


def _shared(tasks: Iterable[Mapping[str, Value]]) -> dict[str, Value]:
    """The arguments that are the same in all tasks, but for those that name one."""
    first, *others = tasks
    return {
        name: value
        for name, value in first.items()
        if name not in {"task_id", "name", "arguments"}
        and all(name in task and same(task[name], value) for task in others)
    }
