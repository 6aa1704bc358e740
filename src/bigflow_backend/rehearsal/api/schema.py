"""The fields of Pod and Secret that this server has, and the decoding by type.

A value of another type is an error with status 400, as in the decoder of Go. Other fields exist in
a real cluster, but not in this one. Unless they are empty, they are an error 501.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""

from __future__ import annotations

from typing import Any

from bigflow_backend.rehearsal.api.status import bad_request, not_implemented
from bigflow_backend.rehearsal.api.syntax import parse_quantity


class _Quantity:
    """The marker of a quantity: a string or a number."""


_KEY_REF = {"name": str, "key": str, "optional": bool}
_STRINGS = {"*": str}
_SECURITY = {"runAsUser": int, "runAsGroup": int, "runAsNonRoot": bool}

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
                "secretKeyRef": _KEY_REF,
                "fieldRef": {"apiVersion": str, "fieldPath": str},
            },
        }
    ],
    "envFrom": [{"prefix": str, "secretRef": {"name": str, "optional": bool}}],
    "resources": {"requests": {"*": _Quantity}, "limits": {"*": _Quantity}},
    "securityContext": _SECURITY,
    "terminationMessagePath": str,
    "terminationMessagePolicy": str,
}
POD: dict[str, Any] = {
    "apiVersion": str,
    "kind": str,
    "metadata": _META,
    "spec": {
        "containers": [_CONTAINER],
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
        "hostNetwork": bool,
        "imagePullSecrets": [{"name": str}],
        "securityContext": _SECURITY,
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
    if inner is None and value:
        raise not_implemented(f"{path}.{name} (here {value!r})")
    if inner is None or value is None:
        return None
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
