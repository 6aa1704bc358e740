"""The fields of Pod, Secret and ConfigMap that this server has, and the decoding by type.

A value of another type is an error with status 400, as in the decoder of Go. Other fields exist in
a real cluster, but not in this one. Unless they are empty, they are an error 501, with a reason
where a job can ask for them.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bigflow_backend.rehearsal.api.status import bad_request, not_implemented
from bigflow_backend.rehearsal.api.syntax import parse_quantity


class _Quantity:
    """The marker of a quantity: a string or a number."""


@dataclass(frozen=True)
class _Refused:
    """The marker of a field that a job can have, and a rehearsal cannot."""

    reason: str


_KEY_REF = {"name": str, "key": str, "optional": bool}
_REFERENCE = {"name": str, "optional": bool}
_STRINGS = {"*": str}
_ANY = {"*": object}
_SECURITY = {
    "runAsUser": int,
    "runAsGroup": int,
    "runAsNonRoot": bool,
    "appArmorProfile": _ANY,
    "seccompProfile": _ANY,
    "seLinuxOptions": _ANY,
}
_POD_SECURITY = {
    **_SECURITY,
    "fsGroup": int,
    "fsGroupChangePolicy": str,
    "supplementalGroups": _Refused("the users of pods have one group"),
    "sysctls": _Refused("they belong to the kernel of a node"),
}
_NO_RIGHTS = _Refused("pods have no rights on this machine")
_CONTAINER_SECURITY = {
    **_SECURITY,
    "allowPrivilegeEscalation": bool,
    "capabilities": {"add": _NO_RIGHTS, "drop": [str]},
    "privileged": _NO_RIGHTS,
    "procMount": str,
    "readOnlyRootFilesystem": bool,
}
_FILES = [{"key": str, "path": str, "mode": int}]
_PROJECTION = {"name": str, "items": _FILES, "optional": bool}
_NO_STORAGE = "the storage of the cluster is not here; use emptyDir for a rehearsal"
_VOLUME = {
    "name": str,
    "configMap": {**_PROJECTION, "defaultMode": int},
    "csi": _Refused(_NO_STORAGE),
    "emptyDir": {"medium": str, "sizeLimit": _Quantity},
    "hostPath": _Refused("the files of a node are not here; use emptyDir for a rehearsal"),
    "nfs": _Refused(_NO_STORAGE),
    "persistentVolumeClaim": _Refused(_NO_STORAGE),
    "projected": {
        "defaultMode": int,
        "sources": [
            {
                "configMap": _PROJECTION,
                "secret": _PROJECTION,
                "serviceAccountToken": _Refused("there are no service accounts"),
            }
        ],
    },
    "secret": {"secretName": str, "items": _FILES, "optional": bool, "defaultMode": int},
}

_META = {
    "name": str,
    "generateName": str,
    "namespace": str,
    "labels": _STRINGS,
    "annotations": _STRINGS,
    "uid": str,
    "resourceVersion": str,
    "creationTimestamp": str,
    "deletionTimestamp": str,
    "deletionGracePeriodSeconds": int,
    "generation": int,
}
_CONTAINER = {
    "name": str,
    "image": str,
    "imagePullPolicy": str,
    "command": [str],
    "args": [str],
    "workingDir": str,
    "env": [
        {
            "name": str,
            "value": str,
            "valueFrom": {
                "configMapKeyRef": _KEY_REF,
                "secretKeyRef": _KEY_REF,
                "fieldRef": {"apiVersion": str, "fieldPath": str},
            },
        }
    ],
    "envFrom": [{"prefix": str, "configMapRef": _REFERENCE, "secretRef": _REFERENCE}],
    "resources": {"requests": {"*": _Quantity}, "limits": {"*": _Quantity}},
    "securityContext": _CONTAINER_SECURITY,
    "terminationMessagePath": str,
    "terminationMessagePolicy": str,
    "volumeMounts": [
        {
            "name": str,
            "mountPath": str,
            "mountPropagation": str,
            "readOnly": bool,
            "subPath": str,
        }
    ],
}
POD: dict[str, Any] = {
    "apiVersion": str,
    "kind": str,
    "metadata": _META,
    "spec": {
        "containers": [_CONTAINER],
        "initContainers": _Refused("a pod has one container"),
        "affinity": _ANY,
        "dnsConfig": _ANY,
        "hostAliases": [{"ip": str, "hostnames": [str]}],
        "restartPolicy": str,
        "activeDeadlineSeconds": int,
        "terminationGracePeriodSeconds": int,
        "nodeName": str,
        "nodeSelector": _STRINGS,
        "tolerations": [
            {"key": str, "operator": str, "value": str, "effect": str, "tolerationSeconds": int}
        ],
        "serviceAccountName": str,
        "automountServiceAccountToken": bool,
        "priorityClassName": str,
        "schedulerName": str,
        "dnsPolicy": str,
        "hostname": str,
        "subdomain": str,
        "hostNetwork": bool,
        "imagePullSecrets": [{"name": str}],
        "securityContext": _POD_SECURITY,
        "volumes": [_VOLUME],
    },
    "status": {"*": object},
}
SECRET: dict[str, Any] = {
    "apiVersion": str,
    "kind": str,
    "metadata": _META,
    "type": str,
    "data": _STRINGS,
    "stringData": _STRINGS,
}
CONFIG_MAP: dict[str, Any] = {
    "apiVersion": str,
    "kind": str,
    "metadata": _META,
    "data": _STRINGS,
}
DELETE_OPTIONS: dict[str, Any] = {
    "apiVersion": str,
    "kind": str,
    "gracePeriodSeconds": int,
    "propagationPolicy": str,
    "preconditions": {"uid": str, "resourceVersion": str},
}


def decode(value: object, schema: Any, path: str) -> Any:
    """Return ``value`` without its nulls, which mean "absent".

    :raises ApiError: 400 for a value of a wrong type, 501 for a field that this server does not
        have.
    """
    if isinstance(schema, list):
        if not isinstance(value, list):
            raise _wrong_type(value, path, "array")
        return [decode(item, schema[0], path) for item in value]
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            raise _wrong_type(value, path, "object")
        fields = {name: decode_field(name, item, schema, path) for name, item in value.items()}
        return {name: item for name, item in fields.items() if item is not None}
    if schema is _Quantity:
        return _decode_quantity(value, path)
    if not isinstance(value, schema) or (schema is int and isinstance(value, bool)):
        raise _wrong_type(value, path, _GO_NAMES[schema])
    return value


def decode_field(name: str, value: object, schema: dict[str, Any], path: str) -> Any:
    inner = schema.get(name, schema.get("*"))
    if value is None or (not value and (inner is None or isinstance(inner, _Refused))):
        return None
    if isinstance(inner, _Refused):
        raise not_implemented(f"{path}.{name}: {inner.reason}")
    if inner is None:
        raise not_implemented(f"{path}.{name} (here {value!r})")
    return decode(value, inner, f"{path}.{name}".lstrip("."))


def _decode_quantity(value: object, path: str) -> str:
    text = str(value) if isinstance(value, str | int | float) else ""
    try:
        parse_quantity(text)
    except ValueError:
        raise bad_request(
            f"{path}: {value!r}: quantities must match the regular expression "
            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        ) from None
    return text


_GO_NAMES = {str: "string", int: "int64", bool: "bool", object: "object"}


def _wrong_type(value: object, path: str, wanted: str) -> Exception:
    found = {str: "string", bool: "bool", int: "number", float: "number", list: "array"}.get(
        type(value), "object"
    )
    return bad_request(
        f"the object provided is unrecognized: json: cannot unmarshal {found} into field "
        f"{path} of type {wanted}"
    )
