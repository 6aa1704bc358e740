"""The checks of a Kubernetes API server before it stores an object. An error is a 422."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from bigflow_backend.rehearsal.api.schema import CONFIG_MAP, POD, SECRET, decode
from bigflow_backend.rehearsal.api.status import invalid, not_implemented
from bigflow_backend.rehearsal.api.syntax import (
    is_config_key,
    is_dns_label,
    is_env_name,
    is_label_value,
    is_qualified_name,
    is_subdomain,
    parse_quantity,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.',"
    " and must start and end with an alphanumeric character"
)
_LABEL_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.',"
    " and must start and end with an alphanumeric character, at most 63"
)
_NAME_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end"
    " with an alphanumeric character, at most 63"
)
_ANNOTATIONS_LIMIT = 256 * 1024
_LARGEST_INT32 = 2**31 - 1
_FIELD_PATHS = {"metadata.name", "metadata.namespace", "metadata.uid"}


def checked_pod(body: object) -> dict[str, Any]:
    """Decode and check a pod.

    :raises ApiError: 400, 422 or 501.
    """
    pod: dict[str, Any] = decode(body, POD, "")
    pod.setdefault("metadata", {})
    spec = pod.setdefault("spec", {})
    errors = [*_kind_errors(pod, "Pod"), *_meta_errors(pod["metadata"]), *_spec_errors(spec)]
    names = [container.get("name") for container in spec.get("containers", [])]
    if not names:
        errors.append("spec.containers: Required value")
    for index, container in enumerate(spec.get("containers", [])):
        at = f"spec.containers[{index}]"
        errors += _container_errors(container, at)
        errors += _mount_errors(container, spec.get("volumes", []), at)
        if container.get("name") in names[:index]:
            errors.append(f"{at}.name: Duplicate value: {_quoted(container['name'])}")
    if errors:
        raise invalid("Pod", pod["metadata"].get("name", ""), errors)
    if len(names) > 1:
        raise not_implemented(f"pods of several containers (here {', '.join(names)})")
    if spec.get("restartPolicy") != "Never":
        raise not_implemented(f"restartPolicy {spec.get('restartPolicy', 'Always')}")
    return pod


def checked_secret(body: object) -> dict[str, Any]:
    """Decode and check a secret. All its values are then in ``data``.

    :raises ApiError: 400 or 422.
    """
    secret: dict[str, Any] = decode(body, SECRET, "")
    meta, data = secret.setdefault("metadata", {}), secret.setdefault("data", {})
    for key, text in secret.pop("stringData", {}).items():
        data[key] = base64.b64encode(text.encode()).decode()
    errors = [*_kind_errors(secret, "Secret"), *_meta_errors(meta), *_key_errors(data)]
    errors += [
        f"data[{key}]: Invalid value: it is not base64"
        for key, value in data.items()
        if not _is_base64(value)
    ]
    if errors:
        raise invalid("Secret", meta.get("name", ""), errors)
    return secret


def checked_config_map(body: object) -> dict[str, Any]:
    """Decode and check a ConfigMap.

    :raises ApiError: 400 or 422.
    """
    found: dict[str, Any] = decode(body, CONFIG_MAP, "")
    meta, data = found.setdefault("metadata", {}), found.setdefault("data", {})
    errors = [*_kind_errors(found, "ConfigMap"), *_meta_errors(meta), *_key_errors(data)]
    if errors:
        raise invalid("ConfigMap", meta.get("name", ""), errors)
    return found


def _key_errors(data: Mapping[str, str]) -> Iterator[str]:
    for key in data:
        if not is_config_key(key):
            yield (
                f"data[{key}]: Invalid value: {_quoted(key)}: a valid config key must consist of "
                "alphanumeric characters, '-', '_' or '.'"
            )


def _kind_errors(found: Mapping[str, Any], kind: str) -> Iterator[str]:
    if (found.get("apiVersion", "v1"), found.get("kind", kind)) != ("v1", kind):
        yield f"kind: Invalid value: not a v1 {kind}"


def _meta_errors(meta: Mapping[str, Any]) -> Iterator[str]:
    name = meta.get("name", "")
    if not name:
        yield "metadata.name: Required value: name or generateName is required"
    elif not is_subdomain(name):
        yield f"metadata.name: Invalid value: {_quoted(name)}: {_SUBDOMAIN_RULE}"
    yield from _labels_errors(meta.get("labels", {}), "metadata.labels")
    annotations = meta.get("annotations", {})
    for key in annotations:
        if not is_qualified_name(key.lower()):
            yield f"metadata.annotations: Invalid value: {_quoted(key)}: {_NAME_RULE}"
    if sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items()) > _ANNOTATIONS_LIMIT:
        yield f"metadata.annotations: Too long: may not be more than {_ANNOTATIONS_LIMIT} bytes"


def _labels_errors(labels: Mapping[str, str], at: str) -> Iterator[str]:
    for key, value in labels.items():
        if not is_qualified_name(key):
            yield f"{at}: Invalid value: {_quoted(key)}: {_NAME_RULE}"
        if not is_label_value(value):
            yield f"{at}: Invalid value: {_quoted(value)}: {_LABEL_RULE}"


def _spec_errors(spec: Mapping[str, Any]) -> Iterator[str]:
    yield from _choice_errors(spec, "spec", "restartPolicy", ("Always", "OnFailure", "Never"))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= _LARGEST_INT32:
        yield (
            f"spec.activeDeadlineSeconds: Invalid value: {deadline}: "
            f"must be between 1 and {_LARGEST_INT32}, inclusive"
        )
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        yield "spec.terminationGracePeriodSeconds: Invalid value: must be >= 0"
    for field in ("serviceAccountName", "priorityClassName"):
        if spec.get(field) and not is_subdomain(spec[field]):
            yield f"spec.{field}: Invalid value: {_quoted(spec[field])}: {_SUBDOMAIN_RULE}"
    if spec.get("hostname") and not is_dns_label(spec["hostname"]):
        yield f"spec.hostname: Invalid value: {_quoted(spec['hostname'])}"
    yield from _volume_errors(spec.get("volumes", []))
    yield from _labels_errors(spec.get("nodeSelector", {}), "spec.nodeSelector")
    for index, toleration in enumerate(spec.get("tolerations", [])):
        yield from _toleration_errors(toleration, f"spec.tolerations[{index}]")


def _toleration_errors(toleration: Mapping[str, Any], at: str) -> Iterator[str]:
    key, operator = toleration.get("key", ""), toleration.get("operator", "Equal")
    yield from _choice_errors(toleration, at, "operator", ("Exists", "Equal"))
    yield from _choice_errors(
        toleration, at, "effect", ("NoSchedule", "PreferNoSchedule", "NoExecute")
    )
    if key and not is_qualified_name(key):
        yield f"{at}.key: Invalid value: {_quoted(key)}: {_NAME_RULE}"
    if not key and operator != "Exists":
        yield f"{at}.operator: Invalid value: {_quoted(operator)}: must be Exists without a `key`"
    if operator == "Exists" and toleration.get("value"):
        yield f"{at}.operator: Invalid value: value must be empty when `operator` is 'Exists'"
    if toleration.get("tolerationSeconds") is not None and toleration.get("effect") != "NoExecute":
        yield f"{at}.effect: Invalid value: must be 'NoExecute' when `tolerationSeconds` is set"


def _container_errors(container: Mapping[str, Any], at: str) -> Iterator[str]:
    name, image = container.get("name", ""), container.get("image", "")
    if not name:
        yield f"{at}.name: Required value"
    elif not is_dns_label(name):
        yield f"{at}.name: Invalid value: {_quoted(name)}: a lowercase RFC 1123 label"
    if not image:
        yield f"{at}.image: Required value"
    elif image != image.strip():
        yield f"{at}.image: Invalid value: {_quoted(image)}: no leading or trailing whitespace"
    yield from _choice_errors(container, at, "imagePullPolicy", ("Always", "IfNotPresent", "Never"))
    for index, variable in enumerate(container.get("env", [])):
        yield from _env_errors(variable, f"{at}.env[{index}]")
    for index, source in enumerate(container.get("envFrom", [])):
        place = f"{at}.envFrom[{index}]"
        kinds = [kind for kind in ("configMapRef", "secretRef") if kind in source]
        if len(kinds) != 1:
            yield f"{place}: Invalid value: must specify one of: `configMapRef` or `secretRef`"
        for kind in kinds:
            yield from _reference_errors(source[kind], f"{place}.{kind}")
    yield from _resources_errors(container.get("resources", {}), f"{at}.resources")


def _env_errors(variable: Mapping[str, Any], at: str) -> Iterator[str]:
    name, source = variable.get("name", ""), variable.get("valueFrom")
    if not is_env_name(name):
        yield (
            f"{at}.name: Invalid value: {_quoted(name)}: a valid environment variable name must "
            "consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a "
            "digit"
        )
    if source is None:
        return
    if variable.get("value"):
        yield f"{at}.valueFrom: Invalid value: may not be specified when `value` is not empty"
    if len(source) != 1:
        yield (
            f"{at}.valueFrom: Invalid value: must specify one of: `configMapKeyRef`, `fieldRef`,"
            " `secretKeyRef`"
        )
    for kind in source.keys() & {"configMapKeyRef", "secretKeyRef"}:
        yield from _reference_errors(source[kind], f"{at}.valueFrom.{kind}")
        if not is_config_key(source[kind].get("key", "")):
            key = _quoted(source[kind].get("key", ""))
            yield f"{at}.valueFrom.{kind}.key: Invalid value: {key}: a valid config key"
    path = source.get("fieldRef", {}).get("fieldPath", "metadata.name")
    if path not in _FIELD_PATHS:
        yield f"{at}.valueFrom.fieldRef.fieldPath: Invalid value: {_quoted(path)}: not supported"


def _reference_errors(reference: Mapping[str, Any], at: str) -> Iterator[str]:
    if not is_subdomain(reference.get("name", "")):
        yield f"{at}.name: Invalid value: {_quoted(reference.get('name', ''))}: {_SUBDOMAIN_RULE}"


def _volume_errors(volumes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    names = [volume.get("name", "") for volume in volumes]
    for index, volume in enumerate(volumes):
        at, name = f"spec.volumes[{index}]", names[index]
        if not is_dns_label(name):
            yield f"{at}.name: Invalid value: {_quoted(name)}: a lowercase RFC 1123 label"
        if name in names[:index]:
            yield f"{at}.name: Duplicate value: {_quoted(name)}"
        sources = volume.keys() - {"name"}
        if len(sources) > 1:
            yield f"{at}: Forbidden: may not specify more than 1 volume type"
        yield from _data_errors(volume, "secretName", at)
        for source in volume.get("projected", {}).get("sources", []):
            yield from _data_errors(source, "name", f"{at}.projected")


def _data_errors(source: Mapping[str, Any], secret_name: str, at: str) -> Iterator[str]:
    for kind, key in (("secret", secret_name), ("configMap", "name")):
        if kind in source:
            name = source[kind].get(key, "")
            if not is_subdomain(name):
                yield f"{at}.{kind}.{key}: Invalid value: {_quoted(name)}: {_SUBDOMAIN_RULE}"
            for path in (item.get("path", "") for item in source[kind].get("items", [])):
                if not _is_inside(path):
                    yield f"{at}.{kind}.items.path: Invalid value: {_quoted(path)}: must be inside"


def _mount_errors(
    container: Mapping[str, Any], volumes: Sequence[Mapping[str, Any]], at: str
) -> Iterator[str]:
    names = {volume.get("name") for volume in volumes}
    mounts = container.get("volumeMounts", [])
    paths = [mount.get("mountPath", "") for mount in mounts]
    for index, mount in enumerate(mounts):
        place, name, path = f"{at}.volumeMounts[{index}]", mount.get("name", ""), paths[index]
        if name not in names:
            yield f"{place}.name: Not found: {_quoted(name)}"
        if not path:
            yield f"{place}.mountPath: Required value"
        elif path in paths[:index]:
            yield f"{place}.mountPath: Invalid value: {_quoted(path)}: must be unique"
        if mount.get("subPath") and not _is_inside(mount["subPath"]):
            yield f"{place}.subPath: Invalid value: {_quoted(mount['subPath'])}: must be inside"


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True


def _is_inside(path: str) -> bool:
    """Return whether the path is relative, and does not lead up."""
    return bool(path) and not path.startswith("/") and ".." not in path.split("/")


def _resources_errors(resources: Mapping[str, Any], at: str) -> Iterator[str]:
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    for section, values in (("requests", requests), ("limits", limits)):
        for name, text in values.items():
            quantity = parse_quantity(text)
            if not is_qualified_name(name) or ("/" not in name and name not in _STANDARD_RESOURCES):
                yield f"{at}.{section}[{name}]: Invalid value: must be a standard resource type"
            if quantity < 0:
                yield f"{at}.{section}[{name}]: Invalid value: {_quoted(text)}: must be >= 0"
            if "/" in name and quantity != int(quantity):
                yield f"{at}.{section}[{name}]: Invalid value: {text}: must be an integer"
    for name, text in requests.items():
        if name in limits and parse_quantity(text) > parse_quantity(limits[name]):
            yield (
                f"{at}.requests: Invalid value: {_quoted(text)}: "
                f"must be less than or equal to {name} limit of {limits[name]}"
            )
        if "/" in name and limits.get(name) != text:
            yield f"{at}.limits[{name}]: Required value: must equal the request of this resource"


_STANDARD_RESOURCES = {"cpu", "memory", "ephemeral-storage"}


def _choice_errors(
    found: Mapping[str, Any], at: str, field: str, choices: tuple[str, ...]
) -> Iterator[str]:
    if found.get(field) and found[field] not in choices:
        supported = ", ".join(_quoted(choice) for choice in choices)
        yield f"{at}.{field}: Unsupported value: {_quoted(found[field])}: supported: {supported}"


def _quoted(text: str) -> str:
    return f'"{text}"'
