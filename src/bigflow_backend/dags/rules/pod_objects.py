"""The Kubernetes objects that ``operator_arguments`` can hold, as a manifest describes them.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bigflow_backend.dags.file.literals import Call
from bigflow_backend.dags.rules.shapes import (
    BOOLEAN,
    DATA_KEY,
    DNS_LABEL,
    DNS_NAME,
    KEY,
    LABEL_VALUE,
    MODE,
    NUMBER,
    PATH,
    PREFIX,
    QUANTITY,
    TEXT,
    Fields,
    Items,
    Shape,
    Table,
    choice,
    whole,
)
from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.dags.file.literals import Value
    from bigflow_backend.dags.rules.location import Location

_EXPRESSIONS = Items(
    Fields(
        {
            "key": KEY,
            "operator": choice("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"),
            "values": Items(LABEL_VALUE),
        },
        required=("key", "operator"),
    )
)
_NODES = Fields({"matchExpressions": _EXPRESSIONS, "matchFields": _EXPRESSIONS})
_PODS = Fields({"matchExpressions": _EXPRESSIONS, "matchLabels": Table(key=KEY, value=LABEL_VALUE)})
_POD_TERM = Fields(
    {
        "topologyKey": KEY,
        "labelSelector": _PODS,
        "namespaces": Items(DNS_LABEL),
        "namespaceSelector": _PODS,
    },
    required=("topologyKey",),
)
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_WEIGHT = whole(1, 100)
_AMONG_PODS = Fields(
    {
        _REQUIRED: Items(_POD_TERM),
        _PREFERRED: Items(
            Fields(
                {"weight": _WEIGHT, "podAffinityTerm": _POD_TERM},
                required=("weight", "podAffinityTerm"),
            )
        ),
    }
)
_AFFINITY = Fields(
    {
        "nodeAffinity": Fields(
            {
                _REQUIRED: Fields(
                    {"nodeSelectorTerms": Items(_NODES)}, required=("nodeSelectorTerms",)
                ),
                _PREFERRED: Items(
                    Fields(
                        {"weight": _WEIGHT, "preference": _NODES},
                        required=("weight", "preference"),
                    )
                ),
            }
        ),
        "podAffinity": _AMONG_PODS,
        "podAntiAffinity": _AMONG_PODS,
    }
)

_PROFILE = Fields(
    {"type": choice("RuntimeDefault", "Localhost", "Unconfined"), "localhostProfile": TEXT},
    required=("type",),
)
_SECURITY: Mapping[str, Shape] = {
    "appArmorProfile": _PROFILE,
    "runAsGroup": NUMBER,
    "runAsNonRoot": BOOLEAN,
    "runAsUser": NUMBER,
    "seLinuxOptions": Fields(dict.fromkeys(("level", "role", "type", "user"), TEXT)),
    "seccompProfile": _PROFILE,
}
_POD_SECURITY = Fields(
    {
        **_SECURITY,
        "fsGroup": NUMBER,
        "fsGroupChangePolicy": choice("OnRootMismatch", "Always"),
        "supplementalGroups": Items(NUMBER),
        "sysctls": Items(Fields({"name": TEXT, "value": TEXT}, required=("name", "value"))),
    }
)
_CONTAINER_SECURITY = Fields(
    {
        **_SECURITY,
        "allowPrivilegeEscalation": BOOLEAN,
        "capabilities": Fields({"add": Items(TEXT), "drop": Items(TEXT)}),
        "privileged": BOOLEAN,
        "procMount": choice("Default", "Unmasked"),
        "readOnlyRootFilesystem": BOOLEAN,
    }
)

_FILES = Items(
    Fields({"key": DATA_KEY, "path": PATH, "mode": MODE}, required=("key", "path")),
)
_PROJECTION: Mapping[str, Shape] = {"name": DNS_NAME, "items": _FILES, "optional": BOOLEAN}
_TOKEN = Fields(
    {"audience": TEXT, "expirationSeconds": whole(600, 2**32), "path": PATH},
    required=("path",),
)
_SOURCES: Mapping[str, Fields] = {
    "configMap": Fields({**_PROJECTION, "defaultMode": MODE}, required=("name",)),
    "csi": Fields(
        {
            "driver": DNS_NAME,
            "fsType": TEXT,
            "nodePublishSecretRef": Fields({"name": DNS_NAME}, required=("name",)),
            "readOnly": BOOLEAN,
            "volumeAttributes": Table(key=TEXT, value=TEXT),
        },
        required=("driver",),
    ),
    "emptyDir": Fields({"medium": choice("", "Memory"), "sizeLimit": QUANTITY}),
    "hostPath": Fields({"path": PATH, "type": TEXT}, required=("path",)),
    "nfs": Fields({"path": PATH, "readOnly": BOOLEAN, "server": TEXT}, required=("path", "server")),
    "persistentVolumeClaim": Fields(
        {"claimName": DNS_NAME, "readOnly": BOOLEAN}, required=("claimName",)
    ),
    "projected": Fields(
        {
            "defaultMode": MODE,
            "sources": Items(
                Fields(
                    {
                        "configMap": Fields(_PROJECTION, required=("name",)),
                        "secret": Fields(_PROJECTION, required=("name",)),
                        "serviceAccountToken": _TOKEN,
                    },
                    one_of=("configMap", "secret", "serviceAccountToken"),
                )
            ),
        },
        required=("sources",),
    ),
    "secret": Fields(
        {"defaultMode": MODE, "items": _FILES, "optional": BOOLEAN, "secretName": DNS_NAME},
        required=("secretName",),
    ),
}
_OBJECT = Fields({"name": DNS_NAME, "optional": BOOLEAN}, required=("name",))

OBJECTS: Mapping[str, Shape] = {
    "affinity": _AFFINITY,
    "container_security_context": _CONTAINER_SECURITY,
    "dns_config": Fields(
        {
            "nameservers": Items(TEXT),
            "options": Items(Fields({"name": TEXT, "value": TEXT}, required=("name",))),
            "searches": Items(DNS_NAME),
        }
    ),
    "env_from": Items(
        Fields(
            {"configMapRef": _OBJECT, "prefix": PREFIX, "secretRef": _OBJECT},
            one_of=("configMapRef", "secretRef"),
        )
    ),
    "host_aliases": Items(
        Fields({"hostnames": Items(DNS_NAME), "ip": TEXT}, required=("hostnames", "ip"))
    ),
    "security_context": _POD_SECURITY,
    "volume_mounts": Items(
        Fields(
            {
                "mountPath": PATH,
                "mountPropagation": choice("None", "HostToContainer", "Bidirectional"),
                "name": DNS_LABEL,
                "readOnly": BOOLEAN,
                "subPath": PATH,
            },
            required=("mountPath", "name"),
        )
    ),
    "volumes": Items(
        Fields({"name": DNS_LABEL, **_SOURCES}, required=("name",), one_of=tuple(_SOURCES))
    ),
}
"""The arguments that are Kubernetes objects, or lists of them."""

_CLASSES = {
    "dns_config": "k8s.V1PodDNSConfig",
    "env_from": "k8s.V1EnvFromSource",
    "host_aliases": "k8s.V1HostAlias",
    "volume_mounts": "k8s.V1VolumeMount",
    "volumes": "k8s.V1Volume",
}
"""The arguments that the operator accepts only as objects of the client's classes."""


def check_mounts(arguments: Mapping[str, Any], location: Location) -> None:
    """Check that volumes and mounts fit together."""
    volumes: Sequence[Mapping[str, Any]] = arguments.get("volumes", ())
    mounts: Sequence[Mapping[str, Any]] = arguments.get("volume_mounts", ())
    names = [volume["name"] for volume in volumes]
    paths = [mount["mountPath"] for mount in mounts]
    for field, values in (("volumes", names), ("volume_mounts", paths)):
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise UserError(
                f"{location.text}: operator_arguments[{field!r}] has {twice[0]!r} twice",
                hint="remove one of them",
            )
    for mount in mounts:
        if mount["name"] not in names:
            raise UserError(
                f"{location.text}: operator_arguments['volume_mounts'] has {mount['name']!r}, which"
                " is not one of its volumes",
                hint="add it to operator_arguments['volumes']",
            )


def object_argument(name: str, value: Any) -> Value:
    """Return a checked argument of :data:`OBJECTS` for the call of the operator."""
    function = _CLASSES.get(name)
    if function is None:
        return value  # type: ignore[no-any-return]
    if isinstance(value, (list, tuple)):
        return [_construction(function, item) for item in value]
    return _construction(function, value)


def _construction(function: str, manifest: Mapping[str, Value]) -> Call:
    # The client's classes have Python names; it keeps the keys of plain dicts.
    return Call(function, named={_attribute(key): part for key, part in manifest.items()})


def _attribute(key: str) -> str:
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", key)
