"""The table of arguments of a KubernetesPodOperator that a job may set.

Every provider from 7.9 (Airflow 2.7) to 10.25 (Airflow 3.4) accepts these arguments, as plain data
and without a warning. An attribute of a job can set one too: then its value has the same shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bigflow.describe.fields import JobAttributes, attributes_of
from bigflow_backend.dags.file.literals import Call
from bigflow_backend.dags.rules.pod_objects import OBJECTS, check_mounts, object_argument
from bigflow_backend.dags.rules.shapes import (
    BOOLEAN,
    COUNT,
    DNS_LABEL,
    DNS_NAME,
    DURATION,
    QUEUE,
    SECONDS,
    Kind,
    check_shape,
    choice,
    whole,
)
from bigflow_backend.ground.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from bigflow_backend.dags.file.literals import Value
    from bigflow_backend.dags.rules.location import Location
    from bigflow_backend.dags.rules.shapes import Shape
    from bigflow_backend.project.workflows import JobDescription

_ON_FINISH_ACTIONS = ("delete_pod", "keep_pod", "delete_succeeded_pod")
"""The actions of all providers; ``delete_active_pod`` is newer."""

_IMAGE_PULL_POLICIES = ("IfNotPresent", "Always", "Never")

_EXIT_CODE = whole(1, 255)
_EXIT_CODES = Kind(
    "an exit code, 1 to 255, or a list of exit codes",
    lambda v: (
        bool(v) and all(map(_EXIT_CODE.holds, v))
        if isinstance(v, (list, tuple))
        else _EXIT_CODE.holds(v)
    ),
)

KINDS: Mapping[str, Shape] = {
    **OBJECTS,
    "active_deadline_seconds": SECONDS,
    "base_container_name": DNS_LABEL,
    "deferrable": BOOLEAN,
    "dnspolicy": choice("Default", "ClusterFirst", "ClusterFirstWithHostNet", "None"),
    "get_logs": BOOLEAN,
    "hostname": DNS_LABEL,
    "hostnetwork": BOOLEAN,
    "ignore_first_depends_on_past": BOOLEAN,
    "image_pull_policy": choice(*_IMAGE_PULL_POLICIES),
    "log_events_on_failure": BOOLEAN,
    "log_pod_spec_on_failure": BOOLEAN,
    "max_active_tis_per_dag": COUNT,
    "max_active_tis_per_dagrun": COUNT,
    "max_retry_delay": DURATION,
    "on_finish_action": choice(*_ON_FINISH_ACTIONS),
    "poll_interval": DURATION,
    "pool_slots": COUNT,
    "priority_class_name": DNS_NAME,
    "queue": QUEUE,
    "retry_exponential_backoff": BOOLEAN,
    "schedulername": DNS_NAME,
    "skip_on_exit_code": _EXIT_CODES,
    "startup_check_interval_seconds": SECONDS,
    "startup_timeout_seconds": SECONDS,
    "subdomain": DNS_LABEL,
    "termination_grace_period": SECONDS,
    "termination_message_policy": choice("File", "FallbackToLogsOnError"),
    "trigger_rule": choice(
        "all_success", "all_failed", "all_done", "one_success", "one_failed", "one_done",
        "none_failed", "none_skipped", "none_failed_min_one_success", "all_skipped", "always",
    ),
    "wait_for_downstream": BOOLEAN,
    "weight_rule": choice("downstream", "upstream", "absolute"),
}  # fmt: skip

_NOT_EVERYWHERE = "remove it: not every Airflow from 2.7 to 3.4 accepts it"
_CONNECTION = "the Airflow connection decides; see `target` in [tool.bigflow.dags]"
_TEMPLATE = "set it in a template of your own; see `template` in [tool.bigflow.dags]"
_ELSEWHERE: Mapping[str, str] = {
    **{
        line.argument: f"set the job's `{line.name}`"
        for line in attributes_of(JobAttributes)
        if line.argument
    },
    "annotations": "set the job's `annotations`",
    "arguments": "the pod's command is made from the job's id",
    "automount_service_account_token": _NOT_EVERYWHERE,
    "cluster_context": _CONNECTION,
    "cmds": "the pod's command is made from the job's id",
    "configmaps": "set `env_from`: [{'configMapRef': {'name': ...}}]",
    "config_file": "see `target` in [tool.bigflow.dags]",
    "container_resources": "set the job's `cpu_request`, `memory_limit`, ...",
    "depends_on_past": "set the workflow's `depends_on_past`",
    "do_xcom_push": "a job passes no data through Airflow",
    "durable": _NOT_EVERYWHERE,
    "email": "Airflow 3 warns about it; set the workflow's `on_failure_callback`",
    "env_vars": "set the job's `environment`",
    "execution_timeout": "set the job's `execution_timeout_sec`",
    "full_pod_spec": _TEMPLATE,
    "image": "the image is the one that this build made",
    "image_pull_secrets": "set `image-pull-secrets` in [tool.bigflow.dags]",
    "in_cluster": _CONNECTION,
    "init_containers": _TEMPLATE,
    "is_delete_operator_pod": "newer providers ignore it; set `on_finish_action`",
    "kubernetes_conn_id": "set `kubernetes-conn-id` in [tool.bigflow.dags]",
    "labels": "set the job's `labels`",
    "log_events_on_startup": _NOT_EVERYWHERE,
    "log_formatter": _NOT_EVERYWHERE,
    "logging_interval": _NOT_EVERYWHERE,
    "name": "the pod's name is made from the ids",
    "namespace": "set `namespace` in [tool.bigflow.dags]",
    "on_failure_callback": "set the workflow's `on_failure_callback`",
    "on_kill_action": _NOT_EVERYWHERE,
    "owner": "set the workflow's `owner`",
    "pod_template_dict": _TEMPLATE,
    "pod_template_file": _TEMPLATE,
    "ports": _TEMPLATE,
    "random_name_suffix": "each try of a task needs its own pod name",
    "reattach_on_restart": "newer providers warn about it",
    "resources": "set the job's `cpu_request`, `memory_limit`, ...",
    "retry_delay": "set the job's `retry_pause_sec`",
    "schedule_timeout_seconds": _NOT_EVERYWHERE,
    "secrets": "set the job's `secrets`",
    "sla": "Airflow 3 does not have it",
    "task_id": "the task's id is the job's id",
}


def check_arguments(job: JobDescription, location: Location) -> None:
    """Refuse an argument that is unknown, set elsewhere, of another type, or set twice."""
    arguments = job.operator_arguments
    for name, value in arguments.items():
        if name not in KINDS:
            raise UserError(
                f"{location.text}: operator_arguments has {name!r}, which cannot be set there",
                hint=_ELSEWHERE.get(name) or did_you_mean(str(name), KINDS),
            )
        check_shape(KINDS[name], value, f"operator_arguments[{name!r}]", location)
    check_mounts(arguments, location)
    for line in attributes_of(JobAttributes):
        argument, value = line.argument, getattr(job, line.name)
        if argument and argument in KINDS and value != line.default:
            check_shape(KINDS[argument], value, line.name, location)
            if argument in arguments:
                raise UserError(
                    f"{location.text}: {line.name} and operator_arguments both set {argument!r}",
                    hint="remove it from operator_arguments",
                )


def operator_arguments(arguments: Mapping[str, Any]) -> dict[str, Value]:
    """Return checked arguments for the call of the operator."""
    return {name: _argument(name, value) for name, value in arguments.items()}


def _argument(name: str, value: Any) -> Value:
    if name == "max_retry_delay":
        return Call("datetime.timedelta", named={"seconds": value})
    if name in OBJECTS:
        return object_argument(name, value)
    return value  # type: ignore[no-any-return]
