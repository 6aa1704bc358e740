"""Container of a pod -> what a runtime needs."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bigflow_backend.rehearsal.api.status import ApiError
from bigflow_backend.rehearsal.api.syntax import parse_quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bigflow_backend.rehearsal.api.cluster import Cluster, Object

_LONGEST_HOSTNAME = 63
# https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
_REFERENCE = re.compile(r"\$\$|\$\((?P<name>[^()]*)\)")


class ContainerConfigError(Exception):
    """The container cannot be created. Its pod waits with CreateContainerConfigError."""


@dataclass(frozen=True)
class ContainerSpec:
    """The arguments of one container."""

    pod_uid: str
    hostname: str
    image: str
    command: list[str]
    """Replaces the entrypoint of the image, unless it is empty."""
    arguments: list[str]
    """Replace the command of the image, unless both lists are empty."""
    environment: dict[str, str]
    user: str | None
    working_directory: str | None
    memory_bytes: int | None
    nano_cpus: int | None
    host_network: bool


def container_spec(pod: Object, cluster: Cluster) -> ContainerSpec:
    """Return the arguments of the only container of the pod, with the values of its secrets.

    :raises ContainerConfigError: if a secret or its key does not exist.
    """
    (container,) = pod["spec"]["containers"]
    environment = dict(_environment(pod, container, cluster))
    limits = container.get("resources", {}).get("limits", {})
    security = {**pod["spec"].get("securityContext", {}), **container.get("securityContext", {})}
    ids = [str(security[key]) for key in ("runAsUser", "runAsGroup") if key in security]
    return ContainerSpec(
        pod_uid=pod["metadata"]["uid"],
        hostname=pod["spec"].get("hostname") or pod["metadata"]["name"][:_LONGEST_HOSTNAME],
        image=container["image"],
        command=[expand(word, environment) for word in container.get("command", [])],
        arguments=[expand(word, environment) for word in container.get("args", [])],
        environment=environment,
        user=":".join(ids) or None,
        working_directory=container.get("workingDir"),
        memory_bytes=int(parse_quantity(limits["memory"])) if "memory" in limits else None,
        nano_cpus=int(parse_quantity(limits["cpu"]) * 10**9) if "cpu" in limits else None,
        host_network=pod["spec"].get("hostNetwork", False),
    )


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Replace each ``$(NAME)`` of an existing variable, and each ``$$`` by ``$``."""

    def replacement(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return environment.get(match["name"], match[0])

    return _REFERENCE.sub(replacement, text)


def _environment(
    pod: Object, container: Mapping[str, Any], cluster: Cluster
) -> Iterator[tuple[str, str]]:
    namespace = pod["metadata"]["namespace"]
    known: dict[str, str] = {}
    for source in container.get("envFrom", []):
        reference = source["secretRef"]
        prefix = source.get("prefix", "")
        for key, value in _secret(cluster, namespace, reference).items():
            known[prefix + key] = value
            yield prefix + key, value
    for variable in container.get("env", []):
        name, source = variable["name"], variable.get("valueFrom")
        if source is None:
            value = expand(variable.get("value", ""), known)
        elif "fieldRef" in source:
            value = pod["metadata"][source["fieldRef"]["fieldPath"].removeprefix("metadata.")]
        else:
            reference = source["secretKeyRef"]
            secret, key = _secret(cluster, namespace, reference), reference["key"]
            if key not in secret:
                if reference.get("optional"):
                    continue
                where = f"{namespace}/{reference['name']}"
                raise ContainerConfigError(f"couldn't find key {key} in Secret {where}")
            value = secret[key]
        known[name] = value
        yield name, value


def _secret(cluster: Cluster, namespace: str, reference: Mapping[str, Any]) -> dict[str, str]:
    try:
        secret = cluster.get("secrets", namespace, reference["name"])
    except ApiError as missing:
        if reference.get("optional"):
            return {}
        raise ContainerConfigError(str(missing)) from missing
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
