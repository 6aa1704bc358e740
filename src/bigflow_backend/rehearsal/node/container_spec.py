"""Container of a pod -> what a runtime needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bigflow_backend.rehearsal.api.syntax import is_env_name, parse_quantity
from bigflow_backend.rehearsal.node.data import (
    CONFIG_MAP,
    SECRET,
    ContainerConfigError,
    read_data,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bigflow_backend.rehearsal.api.cluster import Cluster, Object

_LONGEST_HOSTNAME = 63
# https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
_REFERENCE = re.compile(r"\$\$|\$\((?P<name>[^()]*)\)")


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
    non_root: bool
    """The container must not start as root."""
    read_only: bool
    """The container cannot write into the files of the image."""
    dropped_capabilities: list[str]
    can_gain_rights: bool
    """Programs such as sudo get more rights than the program that starts them."""


def container_spec(pod: Object, cluster: Cluster) -> ContainerSpec:
    """Return the arguments of the only container of the pod, with the values of its variables.

    :raises ContainerConfigError: if a secret, a ConfigMap or a key does not exist.
    """
    (container,) = pod["spec"]["containers"]
    environment = dict(_environment(pod, container, cluster))
    limits = container.get("resources", {}).get("limits", {})
    security = {**pod["spec"].get("securityContext", {}), **container.get("securityContext", {})}
    user, group = security.get("runAsUser"), security.get("runAsGroup")
    return ContainerSpec(
        pod_uid=pod["metadata"]["uid"],
        hostname=pod["spec"].get("hostname") or pod["metadata"]["name"][:_LONGEST_HOSTNAME],
        image=container["image"],
        command=[expand(word, environment) for word in container.get("command", [])],
        arguments=[expand(word, environment) for word in container.get("args", [])],
        environment=environment,
        user=None if user is None else f"{user}" if group is None else f"{user}:{group}",
        working_directory=container.get("workingDir"),
        memory_bytes=int(parse_quantity(limits["memory"])) if "memory" in limits else None,
        nano_cpus=int(parse_quantity(limits["cpu"]) * 10**9) if "cpu" in limits else None,
        host_network=pod["spec"].get("hostNetwork", False),
        non_root=security.get("runAsNonRoot", False),
        read_only=security.get("readOnlyRootFilesystem", False),
        dropped_capabilities=security.get("capabilities", {}).get("drop", []),
        can_gain_rights=security.get("allowPrivilegeEscalation", True),
    )


def check_user(spec: ContainerSpec, image_user: str) -> None:
    """Check that a container which must not be root is not root, as a kubelet does.

    :raises ContainerConfigError: if it is root, or if only the image knows the number of its user.
    """
    user = (spec.user or image_user or "0").partition(":")[0]
    if spec.non_root and not user.isdecimal():
        raise ContainerConfigError(
            f"container has runAsNonRoot and image has non-numeric user ({user}), cannot verify"
            " user is non-root"
        )
    if spec.non_root and int(user) == 0:
        raise ContainerConfigError("container has runAsNonRoot and image will run as root")


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
        kind = SECRET if "secretRef" in source else CONFIG_MAP
        prefix = source.get("prefix", "")
        values = read_data(cluster, kind, namespace, source[f"{kind.field}Ref"])
        for key, text in values.items():
            if is_env_name(prefix + key):  # a kubelet skips the others
                known[prefix + key] = text.decode()
                yield prefix + key, known[prefix + key]
    for variable in container.get("env", []):
        name, source = variable["name"], variable.get("valueFrom")
        if source is None:
            value = expand(variable.get("value", ""), known)
        elif "fieldRef" in source:
            value = pod["metadata"][source["fieldRef"]["fieldPath"].removeprefix("metadata.")]
        else:
            kind = SECRET if "secretKeyRef" in source else CONFIG_MAP
            reference = source[f"{kind.field}KeyRef"]
            values, key = read_data(cluster, kind, namespace, reference), reference["key"]
            if key not in values:
                if reference.get("optional"):
                    continue
                where = f"{namespace}/{reference['name']}"
                raise ContainerConfigError(f"couldn't find key {key} in {kind.name} {where}")
            value = values[key].decode()
        known[name] = value
        yield name, value
