"""The further arguments of a KubernetesPodOperator that a job may set.

Listed is what every provider from 7.9 (Airflow 2.7) to 10.25 (Airflow 3.3) takes without a
warning, as plain data, and what no attribute of a job sets already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bigflow.describe.fields import JobAttributes, attributes_of
from bigflow_backend.dags.file.literals import Call
from bigflow_backend.dags.rules.kubernetes import is_dns_label, is_dns_subdomain
from bigflow_backend.dags.rules.pod_objects import OBJECTS, check_mounts, object_argument
from bigflow_backend.dags.rules.shapes import Kind, check_shape
from bigflow_backend.ground.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from bigflow_backend.dags.file.literals import Value
    from bigflow_backend.dags.rules.location import Place
    from bigflow_backend.dags.rules.shapes import Shape

_ON_FINISH_ACTIONS = ("delete_pod", "keep_pod", "delete_succeeded_pod")
"""Those of all providers; ``delete_active_pod`` came later."""

_IMAGE_PULL_POLICIES = ("IfNotPresent", "Always", "Never")

_LONGEST = 10**9
"""Seconds: some thirty years, which fits into every column and integer on the way."""


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_exit_code(value: object) -> bool:
    return _is_whole(value) and value in range(1, 256)


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple))


def _choice(*words: str) -> Kind:
    return Kind("one of " + ", ".join(words), lambda value: value in words)


_BOOLEAN = Kind("True or False", lambda value: isinstance(value, bool))
_SECONDS = Kind(
    f"a whole number of seconds, 1 to {_LONGEST}", lambda v: _is_whole(v) and 0 < v <= _LONGEST
)
_COUNT = Kind("a whole number from 1 on", lambda v: _is_whole(v) and 0 < v < 2**31)
_DURATION = Kind(
    f"a number of seconds above 0, at most {_LONGEST}",
    lambda v: _is_number(v) and 0 < v <= _LONGEST,
)
_EXIT_CODES = Kind(
    "an exit code, 1 to 255, or a list of some",
    lambda v: all(map(_is_exit_code, v)) and bool(v) if _is_list(v) else _is_exit_code(v),
)
_DNS_LABEL = Kind(
    "a name of small letters, digits and hyphens",
    lambda v: isinstance(v, str) and is_dns_label(v),
)
_DNS_SUBDOMAIN = Kind(
    "a name of small letters, digits, hyphens and dots",
    lambda v: isinstance(v, str) and is_dns_subdomain(v),
)
_QUEUE = Kind(
    "text of at most 256 characters",
    lambda v: isinstance(v, str) and v.isprintable() and 0 < len(v) <= 256,  # noqa: PLR2004
)

KINDS: Mapping[str, Shape] = {
    **OBJECTS,
    "active_deadline_seconds": _SECONDS,
    "base_container_name": _DNS_LABEL,
    "deferrable": _BOOLEAN,
    "dnspolicy": _choice("Default", "ClusterFirst", "ClusterFirstWithHostNet", "None"),
    "get_logs": _BOOLEAN,
    "hostname": _DNS_LABEL,
    "hostnetwork": _BOOLEAN,
    "ignore_first_depends_on_past": _BOOLEAN,
    "image_pull_policy": _choice(*_IMAGE_PULL_POLICIES),
    "log_events_on_failure": _BOOLEAN,
    "log_pod_spec_on_failure": _BOOLEAN,
    "max_active_tis_per_dag": _COUNT,
    "max_active_tis_per_dagrun": _COUNT,
    "max_retry_delay": _DURATION,
    "on_finish_action": _choice(*_ON_FINISH_ACTIONS),
    "poll_interval": _DURATION,
    "pool_slots": _COUNT,
    "priority_class_name": _DNS_SUBDOMAIN,
    "queue": _QUEUE,
    "retry_exponential_backoff": _BOOLEAN,
    "schedulername": _DNS_SUBDOMAIN,
    "skip_on_exit_code": _EXIT_CODES,
    "startup_check_interval_seconds": _SECONDS,
    "startup_timeout_seconds": _SECONDS,
    "subdomain": _DNS_LABEL,
    "termination_grace_period": _SECONDS,
    "termination_message_policy": _choice("File", "FallbackToLogsOnError"),
    "trigger_rule": _choice(
        "all_success", "all_failed", "all_done", "one_success", "one_failed", "one_done",
        "none_failed", "none_skipped", "none_failed_min_one_success", "all_skipped", "always",
    ),
    "wait_for_downstream": _BOOLEAN,
    "weight_rule": _choice("downstream", "upstream", "absolute"),
}  # fmt: skip

_NOT_EVERYWHERE = "not every Airflow from 2.7 to 3.3 takes it"
_CONNECTION = "the Airflow connection decides; see `target` in [tool.bigflow.dags]"
_TEMPLATE = "a template of your own can state it; see `template` in [tool.bigflow.dags]"
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
    "email": "Airflow 3 warns of it; set the workflow's `on_failure_callback`",
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
    "random_name_suffix": "each try of a task needs a pod of its own name",
    "reattach_on_restart": "newer providers warn of it",
    "resources": "set the job's `cpu_request`, `memory_limit`, ...",
    "retry_delay": "set the job's `retry_pause_sec`",
    "schedule_timeout_seconds": _NOT_EVERYWHERE,
    "secrets": "set the job's `secrets`",
    "sla": "Airflow 3 has none",
    "task_id": "the task's id is the job's id",
}


def check_arguments(arguments: Mapping[str, Any], place: Place) -> None:
    """Refuses an argument that is unknown, set elsewhere, or of another type."""
    if not isinstance(arguments, dict):
        raise place.fault(
            "operator_arguments", arguments, "not a dict", "write {name of the argument: value}"
        )
    for name, value in arguments.items():
        if name not in KINDS:
            raise UserError(
                f"{place.text}: operator_arguments has {name!r}, which cannot be set there",
                hint=_ELSEWHERE.get(name) or did_you_mean(str(name), KINDS),
            )
        check_shape(KINDS[name], value, f"operator_arguments[{name!r}]", place)
    check_mounts(arguments, place)


def operator_arguments(arguments: Mapping[str, Any]) -> dict[str, Value]:
    """Checked arguments as they stand in the call of the operator."""
    return {name: _argument(name, value) for name, value in arguments.items()}


def _argument(name: str, value: Any) -> Value:
    if name == "max_retry_delay":
        return Call("datetime.timedelta", named={"seconds": value})
    if name in OBJECTS:
        return object_argument(name, value)
    return value  # type: ignore[no-any-return]
