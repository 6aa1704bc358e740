"""The parts of a pod that ``operator_arguments`` may describe, as a Kubernetes manifest has them.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bigflow_backend.dags.file.literals import Call, airflow_text
from bigflow_backend.dags.rules.kubernetes import (
    is_dns_label,
    is_dns_subdomain,
    is_label_value,
    is_qualified_name,
    quantity,
)
from bigflow_backend.dags.rules.shapes import Fields, Items, Kind, Table
from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.dags.file.literals import Value
    from bigflow_backend.dags.rules.location import Place
    from bigflow_backend.dags.rules.shapes import Shape

_LARGEST = 2**63 - 1


def _words(*words: str) -> Kind:
    return Kind("one of " + ", ".join(words), lambda value: value in words)


def _whole(least: int, most: int) -> Kind:
    return Kind(
        f"a whole number, {least} to {most}",
        lambda v: isinstance(v, int) and not isinstance(v, bool) and least <= v <= most,
    )


# Airflow renders some of these fields as templates, each provider others: text that would change
# by it is refused, as it can be escaped for all or for none.
_TEXT = Kind(
    "one line of text without {{, {% and {#",
    lambda v: isinstance(v, str) and v.isprintable() and airflow_text(v) == v,
)
_PATH = Kind("a path, without {{, {% and {#", lambda v: bool(_TEXT.holds(v) and v and ":" not in v))
_FLAG = Kind("True or False", lambda v: isinstance(v, bool))
_NUMBER = _whole(0, _LARGEST)
_MODE = _whole(0, 0o777)
_LABEL = Kind(
    "a name of at most 63 small letters, digits and hyphens",
    lambda v: isinstance(v, str) and is_dns_label(v),
)
_NAME = Kind(
    "a name of small letters, digits, hyphens and dots",
    lambda v: isinstance(v, str) and is_dns_subdomain(v),
)
_KEY = Kind("a key such as example.com/name", lambda v: isinstance(v, str) and is_qualified_name(v))
_DATA_KEY = Kind(
    "a key of letters, digits, -, _ and .",
    lambda v: isinstance(v, str) and re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", v) is not None,
)
_LABEL_VALUE = Kind("a label's value", lambda v: isinstance(v, str) and is_label_value(v))
_QUANTITY = Kind(
    "a quantity such as 512Mi",
    lambda v: isinstance(v, str) and quantity(v) is not None,
)
_PREFIX = Kind(
    "letters, digits and _, no digit first",
    lambda v: (
        isinstance(v, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", v, re.ASCII) is not None
    ),
)

_EXPRESSIONS = Items(
    Fields(
        {
            "key": _KEY,
            "operator": _words("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"),
            "values": Items(_LABEL_VALUE),
        },
        required=("key", "operator"),
    )
)
_NODES = Fields({"matchExpressions": _EXPRESSIONS, "matchFields": _EXPRESSIONS})
_PODS = Fields(
    {"matchExpressions": _EXPRESSIONS, "matchLabels": Table(key=_KEY, value=_LABEL_VALUE)}
)
_POD_TERM = Fields(
    {
        "topologyKey": _KEY,
        "labelSelector": _PODS,
        "namespaces": Items(_LABEL),
        "namespaceSelector": _PODS,
    },
    required=("topologyKey",),
)
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_WEIGHT = _whole(1, 100)
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
    {"type": _words("RuntimeDefault", "Localhost", "Unconfined"), "localhostProfile": _TEXT},
    required=("type",),
)
_SECURITY: Mapping[str, Shape] = {
    "appArmorProfile": _PROFILE,
    "runAsGroup": _NUMBER,
    "runAsNonRoot": _FLAG,
    "runAsUser": _NUMBER,
    "seLinuxOptions": Fields(dict.fromkeys(("level", "role", "type", "user"), _TEXT)),
    "seccompProfile": _PROFILE,
}
_POD_SECURITY = Fields(
    {
        **_SECURITY,
        "fsGroup": _NUMBER,
        "fsGroupChangePolicy": _words("OnRootMismatch", "Always"),
        "supplementalGroups": Items(_NUMBER),
        "sysctls": Items(Fields({"name": _TEXT, "value": _TEXT}, required=("name", "value"))),
    }
)
_CONTAINER_SECURITY = Fields(
    {
        **_SECURITY,
        "allowPrivilegeEscalation": _FLAG,
        "capabilities": Fields({"add": Items(_TEXT), "drop": Items(_TEXT)}),
        "privileged": _FLAG,
        "procMount": _words("Default", "Unmasked"),
        "readOnlyRootFilesystem": _FLAG,
    }
)

_FILES = Items(
    Fields({"key": _DATA_KEY, "path": _PATH, "mode": _MODE}, required=("key", "path")),
)
_PROJECTION: Mapping[str, Shape] = {"name": _NAME, "items": _FILES, "optional": _FLAG}
_TOKEN = Fields(
    {"audience": _TEXT, "expirationSeconds": _whole(600, 2**32), "path": _PATH},
    required=("path",),
)
_SOURCES: Mapping[str, Fields] = {
    "configMap": Fields({**_PROJECTION, "defaultMode": _MODE}, required=("name",)),
    "csi": Fields(
        {
            "driver": _NAME,
            "fsType": _TEXT,
            "nodePublishSecretRef": Fields({"name": _NAME}, required=("name",)),
            "readOnly": _FLAG,
            "volumeAttributes": Table(key=_TEXT, value=_TEXT),
        },
        required=("driver",),
    ),
    "emptyDir": Fields({"medium": _words("", "Memory"), "sizeLimit": _QUANTITY}),
    "hostPath": Fields({"path": _PATH, "type": _TEXT}, required=("path",)),
    "nfs": Fields({"path": _PATH, "readOnly": _FLAG, "server": _TEXT}, required=("path", "server")),
    "persistentVolumeClaim": Fields(
        {"claimName": _NAME, "readOnly": _FLAG}, required=("claimName",)
    ),
    "projected": Fields(
        {
            "defaultMode": _MODE,
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
        {"defaultMode": _MODE, "items": _FILES, "optional": _FLAG, "secretName": _NAME},
        required=("secretName",),
    ),
}
_OBJECT = Fields({"name": _NAME, "optional": _FLAG}, required=("name",))

OBJECTS: Mapping[str, Shape] = {
    "affinity": _AFFINITY,
    "container_security_context": _CONTAINER_SECURITY,
    "dns_config": Fields(
        {
            "nameservers": Items(_TEXT),
            "options": Items(Fields({"name": _TEXT, "value": _TEXT}, required=("name",))),
            "searches": Items(_NAME),
        }
    ),
    "env_from": Items(
        Fields(
            {"configMapRef": _OBJECT, "prefix": _PREFIX, "secretRef": _OBJECT},
            one_of=("configMapRef", "secretRef"),
        )
    ),
    "host_aliases": Items(
        Fields({"hostnames": Items(_NAME), "ip": _TEXT}, required=("hostnames", "ip"))
    ),
    "security_context": _POD_SECURITY,
    "volume_mounts": Items(
        Fields(
            {
                "mountPath": _PATH,
                "mountPropagation": _words("None", "HostToContainer", "Bidirectional"),
                "name": _LABEL,
                "readOnly": _FLAG,
                "subPath": _PATH,
            },
            required=("mountPath", "name"),
        )
    ),
    "volumes": Items(
        Fields({"name": _LABEL, **_SOURCES}, required=("name",), one_of=tuple(_SOURCES))
    ),
}
"""The arguments that are objects of Kubernetes, or lists of them."""

_CLASSES = {
    "dns_config": "k8s.V1PodDNSConfig",
    "env_from": "k8s.V1EnvFromSource",
    "host_aliases": "k8s.V1HostAlias",
    "volume_mounts": "k8s.V1VolumeMount",
    "volumes": "k8s.V1Volume",
}
"""Those that the operator takes as objects of the client's classes alone."""


def check_mounts(arguments: Mapping[str, Any], place: Place) -> None:
    """Refuses volumes and mounts that do not go together."""
    volumes: Sequence[Mapping[str, Any]] = arguments.get("volumes", ())
    mounts: Sequence[Mapping[str, Any]] = arguments.get("volume_mounts", ())
    names = [volume["name"] for volume in volumes]
    paths = [mount["mountPath"] for mount in mounts]
    for field, values in (("volumes", names), ("volume_mounts", paths)):
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise UserError(
                f"{place.text}: operator_arguments[{field!r}] has {twice[0]!r} twice",
                hint="leave one of them out",
            )
    for mount in mounts:
        if mount["name"] not in names:
            raise UserError(
                f"{place.text}: operator_arguments['volume_mounts'] has {mount['name']!r}, which"
                " is none of its volumes",
                hint="add it to operator_arguments['volumes']",
            )


def object_argument(name: str, value: Any) -> Value:
    """A checked argument of :data:`OBJECTS` as it stands in the call of the operator."""
    function = _CLASSES.get(name)
    if function is None:
        return value  # type: ignore[no-any-return]
    if isinstance(value, (list, tuple)):
        return [_construction(function, item) for item in value]
    return _construction(function, value)


def _construction(function: str, manifest: Mapping[str, Value]) -> Call:
    # The client's classes have names of Python's style; within plain dicts it leaves keys alone.
    return Call(function, named={_attribute(key): part for key, part in manifest.items()})


def _attribute(key: str) -> str:
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", key)
