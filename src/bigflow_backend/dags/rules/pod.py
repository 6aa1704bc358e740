"""What a job says of its pod, or ``[tool.bigflow.dags]`` of all pods: checked as Kubernetes would.

Kubernetes refuses a wrong value when the pod is created, which is when the job should have run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from bigflow_backend.dags.rules.kubernetes import (
    is_dns_label,
    is_dns_subdomain,
    is_label_value,
    is_qualified_name,
    quantity,
)
from bigflow_backend.dags.rules.operator_arguments import check_arguments
from bigflow_backend.dags.rules.values import check_plain_data, check_text, check_whole
from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.dags.rules.location import Place
    from bigflow_backend.project.workflows import JobDescription

OUR_ENVIRONMENT = ("BIGFLOW_IMAGE", "BIGFLOW_COMMIT")
"""The environment variables that each pod gets from us."""

OUR_LABELS = ("bigflow-workflow", "bigflow-job", "bigflow-version")
"""The labels that each pod gets from us."""

_AIRFLOW_LABELS = frozenset(
    {
        "airflow_kpo_in_cluster",
        "airflow_version",
        "already_checked",
        "dag_id",
        "kubernetes_pod_operator",
        "map_index",
        "parent_dag_id",
        "run_id",
        "task_id",
        "try_number",
    }
)
"""Those by which the operator finds its pod again."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# Airflow 2.11 refuses tasks whose pool is no such key; other releases take more.
_POOL = re.compile(r"[A-Za-z0-9_.-]{1,250}", re.ASCII)
_ANNOTATIONS_SIZE = 256 * 1024
_MOST_GPUS = 1024
_TOLERATION_KEYS = frozenset({"key", "operator", "value", "effect", "tolerationSeconds"})
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


class PodValues(Protocol):
    """The fields that jobs and settings share."""

    @property
    def cpu_request(self) -> str | float | None: ...
    @property
    def cpu_limit(self) -> str | float | None: ...
    @property
    def memory_request(self) -> str | float | None: ...
    @property
    def memory_limit(self) -> str | float | None: ...
    @property
    def pool(self) -> str | None: ...
    @property
    def service_account(self) -> str | None: ...
    @property
    def environment(self) -> Mapping[str, str]: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def annotations(self) -> Mapping[str, str]: ...
    @property
    def node_selector(self) -> Mapping[str, str]: ...


def check_pod(job: JobDescription, place: Place, *, secrets: Sequence[str]) -> None:
    """Checks what a job says of its pod; ``secrets`` are those of its workflow."""
    check_pod_values(job, place)
    if job.gpu is not None:
        check_whole("gpu", job.gpu, place, least=1, most=_MOST_GPUS)
    check_secrets("secrets", job.secrets, place)
    _check_secret_targets(job, place, [*secrets, *job.secrets])
    _check_tolerations(job.tolerations, place)
    check_plain_data("operator_arguments", job.operator_arguments, place)
    check_arguments(job.operator_arguments, place)


def check_pod_values(values: PodValues, place: Place) -> None:
    """Checks what jobs and settings have in common."""
    for resource in ("cpu", "memory"):
        _check_resource(values, resource, place)
    pool = values.pool
    if pool is not None and not _POOL.fullmatch(pool):
        raise place.fault(
            "pool",
            pool,
            "which cannot name a pool on every Airflow",
            "use letters a to z and A to Z, digits, _, - and .; at most 250 of them",
        )
    account = values.service_account
    if account is not None and not is_dns_subdomain(str(account)):
        raise place.fault(
            "service_account",
            account,
            "which cannot name a service account",
            "use small letters, digits, - and .",
        )
    _check_environment(values.environment, place)
    _check_annotations(values.annotations, place)
    for field in ("labels", "node_selector"):
        _check_labels(field, getattr(values, field), place)
    reserved = {*OUR_LABELS, *_AIRFLOW_LABELS}.intersection(values.labels)
    if reserved:
        raise _taken("labels", min(reserved), place)


def _check_resource(values: PodValues, resource: str, place: Place) -> None:
    sizes = {}
    for field in (f"{resource}_request", f"{resource}_limit"):
        value = getattr(values, field)
        if value is None:
            continue
        size = None if isinstance(value, bool) else quantity(str(value))
        if not size:
            example = "500m or 2" if resource == "cpu" else "512Mi or 2Gi"
            raise place.fault(
                field, value, "not a quantity of Kubernetes", f"write one such as {example}"
            )
        sizes[field] = size
    request, limit = sizes.get(f"{resource}_request"), sizes.get(f"{resource}_limit")
    if request is not None and limit is not None and request > limit:
        value = getattr(values, f"{resource}_request")
        most = getattr(values, f"{resource}_limit")
        raise place.fault(
            f"{resource}_request",
            value,
            f"more than its limit {most!r}",
            f"raise {place.key(f'{resource}_limit')}, or request less",
        )


def _check_table(field: str, table: Any, place: Place) -> None:
    if not isinstance(table, Mapping):
        raise place.fault(field, table, "not a dict", "write {name: text}")


def _check_environment(environment: Any, place: Place) -> None:
    _check_table("environment", environment, place)
    for name, value in environment.items():
        if not (isinstance(name, str) and _VARIABLE.fullmatch(name)):
            raise place.key_fault(
                "environment",
                name,
                "which cannot name an environment variable",
                "use letters, digits and _, no digit first",
            )
        if name in OUR_ENVIRONMENT:
            raise _taken("environment", name, place)
        check_text(f"environment[{name!r}]", value, place)


def _check_labels(field: str, labels: Any, place: Place) -> None:
    _check_table(field, labels, place)
    for key, value in labels.items():
        if not (isinstance(key, str) and is_qualified_name(key)):
            raise _wrong_key(field, key, place)
        if not (isinstance(value, str) and is_label_value(value)):
            raise place.fault(
                f"{field}[{key!r}]",
                value,
                "not a label's value",
                "use at most 63 letters, digits, -, _ and .; the first and last no sign",
            )


def _check_annotations(annotations: Any, place: Place) -> None:
    _check_table("annotations", annotations, place)
    for key, value in annotations.items():
        if not (isinstance(key, str) and is_qualified_name(key)):
            raise _wrong_key("annotations", key, place)
        check_text(f"annotations[{key!r}]", value, place)
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > _ANNOTATIONS_SIZE:
        raise UserError(
            f"{place.text}: its annotations have {size} bytes",
            hint=f"Kubernetes takes at most {_ANNOTATIONS_SIZE}",
        )


def check_secrets(field: str, secrets: Any, place: Place) -> None:
    """Checks names of secrets, each of which is an environment variable, an object and a key."""
    for name in secrets:
        if not (isinstance(name, str) and _VARIABLE.fullmatch(name)):
            raise place.fault(
                field,
                name,
                "which cannot name an environment variable",
                "use letters, digits and _, as in 'db_password'",
            )
        if not is_dns_label(secret_name(name)):
            raise place.fault(
                field,
                name,
                f"which cannot name an object of Kubernetes: it would be {secret_name(name)!r}",
                "let it begin and end with a letter or a digit; at most 63 characters",
            )


def secret_name(name: str) -> str:
    """The Kubernetes object that holds a secret: ``db_password`` is in ``db-password``."""
    return name.replace("_", "-").lower()


def _check_secret_targets(job: JobDescription, place: Place, secrets: Sequence[str]) -> None:
    # The operator writes the variable's name in capitals.
    targets: dict[str, str] = {}
    for name in secrets:
        other = targets.setdefault(name.upper(), name)
        if other != name:
            raise place.fault(
                "secrets",
                name,
                f"which would be {name.upper()} in the pod, as {other!r} is",
                "let them differ in more than case",
            )
    both = {*job.environment, *OUR_ENVIRONMENT}.intersection(targets)
    if both:
        raise place.fault(
            "secrets",
            targets[min(both)],
            f"and the pod has another environment variable {min(both)}",
            "give one of them another name",
        )


def _check_tolerations(tolerations: Any, place: Place) -> None:
    for i, toleration in enumerate(tolerations):
        field = f"tolerations[{i}]"
        if not isinstance(toleration, Mapping) or not _TOLERATION_KEYS.issuperset(toleration):
            raise place.fault(
                field,
                toleration,
                "not a toleration",
                "write a dict with some of: " + ", ".join(sorted(_TOLERATION_KEYS)),
            )
        check_plain_data(field, dict(toleration), place)
        wrong = _toleration_fault(toleration)
        if wrong:
            raise place.fault(
                field, dict(toleration), wrong, "see the Kubernetes documentation of tolerations"
            )


def _toleration_fault(toleration: Mapping[str, Any]) -> str | None:
    """https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/"""
    operator = toleration.get("operator") or "Equal"
    key, value = toleration.get("key") or "", toleration.get("value") or ""
    effect, seconds = toleration.get("effect"), toleration.get("tolerationSeconds")
    faults = {
        "whose operator is neither Equal nor Exists": operator not in {"Equal", "Exists"},
        f"whose effect is none of {', '.join(_EFFECTS)}": bool(effect) and effect not in _EFFECTS,
        "whose key is no key of a taint": bool(key) and not is_qualified_name(str(key)),
        "which has no key, and its operator is not Exists": not key and operator != "Exists",
        "whose value is no value of a taint": not is_label_value(str(value)),
        "which has a value, and its operator is Exists": bool(value) and operator == "Exists",
        "whose tolerationSeconds is no whole number of 64 bits": (
            seconds is not None and not (type(seconds) is int and abs(seconds) < 2**63)
        ),
        "which has tolerationSeconds, and its effect is not NoExecute": (
            seconds is not None and effect != "NoExecute"
        ),
    }
    return next((fault for fault, holds in faults.items() if holds), None)


def _wrong_key(field: str, key: object, place: Place) -> UserError:
    return place.key_fault(
        field,
        key,
        "which Kubernetes does not take",
        "write at most 63 letters, digits, -, _ and ., or prefix.example.com/ before them",
    )


def _taken(field: str, name: str, place: Place) -> UserError:
    return UserError(
        f"{place.text}: {place.key(field)} has {name!r}, which the build or Airflow sets",
        hint="take another name",
    )
