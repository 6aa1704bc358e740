"""The data of secrets and ConfigMaps, as a node reads them for its pods."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bigflow_backend.rehearsal.api.status import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bigflow_backend.rehearsal.api.cluster import Cluster


class ContainerConfigError(Exception):
    """The container cannot be created. Its pod waits with CreateContainerConfigError."""


@dataclass(frozen=True)
class DataKind:
    """A kind of object that has data."""

    name: str
    resource: str
    field: str
    """The beginning of the fields of a pod that name such an object."""
    is_encoded: bool


SECRET = DataKind("Secret", "secrets", "secret", is_encoded=True)
CONFIG_MAP = DataKind("ConfigMap", "configmaps", "configMap", is_encoded=False)


def read_data(
    cluster: Cluster, kind: DataKind, namespace: str, reference: Mapping[str, Any]
) -> dict[str, bytes]:
    """Return key -> value of the object that a field of a pod names; nothing if it is optional.

    :raises ContainerConfigError: if it does not exist.
    """
    name = reference.get("name") or reference["secretName"]
    try:
        found = cluster.get(kind.resource, namespace, name)
    except ApiError as missing:
        if reference.get("optional"):
            return {}
        raise ContainerConfigError(str(missing)) from missing
    if kind.is_encoded:
        return {key: base64.b64decode(value) for key, value in found["data"].items()}
    return {key: value.encode() for key, value in found["data"].items()}
