"""Checks of what a job says about its pod, and ``[tool.bigflow.dags]`` about all pods.

Kubernetes would refuse these values only when the pod is created.
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
from bigflow_backend.dags.rules.values import check_text, check_texts
from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.dags.rules.location import Location
    from bigflow_backend.project.workflows import JobDescription

OUR_ENVIRONMENT = ("BIGFLOW_IMAGE", "BIGFLOW_COMMIT")
"""The environment variables that the build adds to each pod."""

OUR_LABELS = ("bigflow-workflow", "bigflow-job", "bigflow-version")
"""The labels that the build adds to each pod."""

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
"""The labels by which the operator finds its pod again."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# Airflow 2.11 refuses other names; other releases accept more.
_POOL = re.compile(r"[A-Za-z0-9_.-]{1,250}", re.ASCII)
_ANNOTATIONS_SIZE = 256 * 1024
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


def check_pod(job: JobDescription, location: Location, *, secrets: Sequence[str]) -> None:
    """Check what a job says about its pod; ``secrets`` are those of its workflow."""
    check_pod_values(job, location)
    check_secrets("secrets", job.secrets, location)
    _check_secret_targets(job, location, [*secrets, *job.secrets])
    _check_tolerations(job.tolerations, location)
    check_texts("operator_arguments", job.operator_arguments, location)
    check_arguments(job, location)


def check_pod_values(values: PodValues, location: Location) -> None:
    """Check what jobs and settings have in common."""
    for resource in ("cpu", "memory"):
        _check_resource(values, resource, location)
    pool = values.pool
    if pool is not None and not _POOL.fullmatch(pool):
        raise location.error(
            "pool",
            pool,
            "which cannot name a pool on every Airflow",
            "use at most 250 letters a to z and A to Z, digits, _, - and .",
        )
    account = values.service_account
    if account is not None and not is_dns_subdomain(str(account)):
        raise location.error(
            "service_account",
            account,
            "which cannot name a service account",
            "use lower-case letters, digits, - and .",
        )
    _check_environment(values.environment, location)
    _check_annotations(values.annotations, location)
    for field in ("labels", "node_selector"):
        _check_labels(field, getattr(values, field), location)
    reserved = {*OUR_LABELS, *_AIRFLOW_LABELS}.intersection(values.labels)
    if reserved:
        raise _taken("labels", min(reserved), location)


def _check_resource(values: PodValues, resource: str, location: Location) -> None:
    sizes = {}
    for field in (f"{resource}_request", f"{resource}_limit"):
        value = getattr(values, field)
        if value is None:
            continue
        size = quantity(str(value))
        if not size:
            example = "500m or 2" if resource == "cpu" else "512Mi or 2Gi"
            raise location.error(
                field, value, "not a Kubernetes quantity", f"write a quantity such as {example}"
            )
        sizes[field] = size
    request, limit = sizes.get(f"{resource}_request"), sizes.get(f"{resource}_limit")
    if request is not None and limit is not None and request > limit:
        value = getattr(values, f"{resource}_request")
        most = getattr(values, f"{resource}_limit")
        raise location.error(
            f"{resource}_request",
            value,
            f"more than its limit {most!r}",
            f"raise {location.key(f'{resource}_limit')}, or lower the request",
        )


def _check_environment(environment: Mapping[str, str], location: Location) -> None:
    for name, value in environment.items():
        if not _VARIABLE.fullmatch(name):
            raise location.key_error(
                "environment",
                name,
                "which cannot name an environment variable",
                "use letters, digits and _, with a letter or _ first",
            )
        if name in OUR_ENVIRONMENT:
            raise _taken("environment", name, location)
        check_text(f"environment[{name!r}]", value, location)


def _check_labels(field: str, labels: Mapping[str, str], location: Location) -> None:
    for key, value in labels.items():
        if not is_qualified_name(key):
            raise _wrong_key(field, key, location)
        if not is_label_value(value):
            raise location.error(
                f"{field}[{key!r}]",
                value,
                "not a label value",
                "use at most 63 letters, digits, -, _ and ., with a letter or a digit at both ends",
            )


def _check_annotations(annotations: Mapping[str, str], location: Location) -> None:
    for key, value in annotations.items():
        if not is_qualified_name(key):
            raise _wrong_key("annotations", key, location)
        check_text(f"annotations[{key!r}]", value, location)
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > _ANNOTATIONS_SIZE:
        raise UserError(
            f"{location.text}: its annotations have {size} bytes",
            hint=f"Kubernetes accepts at most {_ANNOTATIONS_SIZE}",
        )


def check_secrets(field: str, secrets: Sequence[str], location: Location) -> None:
    """Check the names of secrets: each is an environment variable, an object and a key."""
    for name in secrets:
        if not _VARIABLE.fullmatch(name):
            raise location.error(
                field,
                name,
                "which cannot name an environment variable",
                "use letters, digits and _, as in 'db_password'",
            )
        if not is_dns_label(secret_name(name)):
            raise location.error(
                field,
                name,
                f"which cannot name a Kubernetes object: it would be {secret_name(name)!r}",
                "use at most 63 characters, with a letter or a digit at both ends",
            )


def secret_name(name: str) -> str:
    """Return the Kubernetes object of a secret: ``db-password`` for ``db_password``."""
    return name.replace("_", "-").lower()


def _check_secret_targets(job: JobDescription, location: Location, secrets: Sequence[str]) -> None:
    # The operator writes the name of the variable in upper case.
    targets: dict[str, str] = {}
    for name in secrets:
        other = targets.setdefault(name.upper(), name)
        if other != name:
            raise location.error(
                "secrets",
                name,
                f"which gives the pod the variable {name.upper()}, and so does {other!r}",
                "choose names that differ in more than case",
            )
    both = {*job.environment, *OUR_ENVIRONMENT}.intersection(targets)
    if both:
        raise location.error(
            "secrets",
            targets[min(both)],
            f"but the pod has another environment variable {min(both)}",
            "rename one of them",
        )


def _check_tolerations(tolerations: Sequence[Mapping[str, Any]], location: Location) -> None:
    for i, toleration in enumerate(tolerations):
        field = f"tolerations[{i}]"
        if not _TOLERATION_KEYS.issuperset(toleration):
            raise location.error(
                field,
                toleration,
                "not a toleration",
                "write a dict with these keys: " + ", ".join(sorted(_TOLERATION_KEYS)),
            )
        check_texts(field, dict(toleration), location)
        if wrong := _toleration_error(toleration):
            raise location.error(
                field, dict(toleration), wrong, "see the Kubernetes documentation of tolerations"
            )


def _toleration_error(toleration: Mapping[str, Any]) -> str | None:
    """https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/"""
    operator = toleration.get("operator") or "Equal"
    key, value = toleration.get("key") or "", toleration.get("value") or ""
    effect, seconds = toleration.get("effect"), toleration.get("tolerationSeconds")
    errors = {
        "whose operator is neither Equal nor Exists": operator not in {"Equal", "Exists"},
        f"whose effect is not one of {', '.join(_EFFECTS)}": bool(effect)
        and effect not in _EFFECTS,
        "whose key is not valid": bool(key) and not is_qualified_name(str(key)),
        "which has no key, but its operator is not Exists": not key and operator != "Exists",
        "whose value is not valid": not is_label_value(str(value)),
        "which has a value, but its operator is Exists": bool(value) and operator == "Exists",
        "whose tolerationSeconds is not a whole number of 64 bits": (
            seconds is not None and not (type(seconds) is int and abs(seconds) < 2**63)
        ),
        "which has tolerationSeconds, but its effect is not NoExecute": (
            seconds is not None and effect != "NoExecute"
        ),
    }
    return next((text for text, holds in errors.items() if holds), None)


def _wrong_key(field: str, key: object, location: Location) -> UserError:
    return location.key_error(
        field,
        key,
        "which Kubernetes refuses",
        "use at most 63 letters, digits, -, _ and ., after an optional prefix.example.com/",
    )


def _taken(field: str, name: str, location: Location) -> UserError:
    return UserError(
        f"{location.place(field)} has {name!r}, which the build or Airflow sets",
        hint="choose another name",
    )
