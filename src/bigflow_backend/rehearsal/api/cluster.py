"""The objects of a cluster and their operations: the API without HTTP."""

from __future__ import annotations

import copy
import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from bigflow_backend.rehearsal.api.changes import ChangeLog
from bigflow_backend.rehearsal.api.schema import DELETE_OPTIONS, decode
from bigflow_backend.rehearsal.api.status import (
    already_exists,
    bad_request,
    conflict,
    forbidden,
    invalid,
    not_found,
)
from bigflow_backend.rehearsal.api.validation import checked_config_map, checked_pod, checked_secret

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bigflow_backend.rehearsal.api.container_log import ContainerLog
    from bigflow_backend.rehearsal.api.selectors import Selector

Object = dict[str, Any]
"""An API object as JSON."""

_SERVICE_ACCOUNTS = {"default"}
_PRIORITY_CLASSES = {"system-cluster-critical", "system-node-critical"}
_DEFAULT_GRACE_SECONDS = 30
_FINISHED = {"Succeeded", "Failed"}
_KINDS = {"pods": "Pod", "secrets": "Secret", "configmaps": "ConfigMap", "events": "Event"}


def timestamp() -> str:
    """Return the current time in the format of Kubernetes."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Cluster:
    """Pods, secrets, ConfigMaps and events by namespace. All methods are thread-safe.

    Without ``namespaces``, each name is one, with each service account and priority class: a
    rehearsal does not know those of the real cluster.
    """

    def __init__(self, *, namespaces: Iterable[str] = ()) -> None:
        self.changes = ChangeLog()
        self._lock = self.changes.condition
        self._namespaces = set(namespaces)
        self._objects: dict[str, dict[tuple[str, str], Object]] = {kind: {} for kind in _KINDS}
        self._logs: dict[str, ContainerLog] = {}

    def get(self, resource: str, namespace: str, name: str) -> Object:
        """Return a copy of one object.

        :raises ApiError: 404.
        """
        with self._lock:
            found = self._objects[resource].get((namespace, name))
            if found is None:
                raise not_found(resource, name)
            return copy.deepcopy(found)

    def list(self, resource: str, namespace: str, selector: Selector) -> tuple[list[Object], int]:
        """Return copies of the selected objects, and the version of this state."""
        with self._lock:
            self._check_namespace(namespace)
            found = [
                copy.deepcopy(item)
                for (its_namespace, _), item in sorted(self._objects[resource].items())
                if its_namespace == namespace and selector(item)
            ]
            return found, self.changes.version

    def create_pod(self, namespace: str, body: object) -> Object:
        """Store a pod.

        :raises ApiError: 400, 403, 404, 409 or 422.
        """
        pod = checked_pod(self._named(body, namespace))
        name, spec = pod["metadata"]["name"], pod["spec"]
        account = spec.setdefault("serviceAccountName", "default")
        priority = spec.get("priorityClassName")
        spec.setdefault("terminationGracePeriodSeconds", _DEFAULT_GRACE_SECONDS)
        if self._namespaces and account not in _SERVICE_ACCOUNTS:
            where = f"error looking up service account {namespace}/{account}"
            raise forbidden("pods", name, f'{where}: serviceaccount "{account}" not found')
        if self._namespaces and priority and priority not in _PRIORITY_CLASSES:
            raise forbidden("pods", name, f"no PriorityClass with name {priority} was found")
        pod["status"] = {"phase": "Pending", "conditions": [], "qosClass": "BestEffort"}
        return self._create("pods", namespace, pod)

    def create_secret(self, namespace: str, body: object) -> Object:
        """Store a secret.

        :raises ApiError: 400, 404, 409 or 422.
        """
        return self._create("secrets", namespace, checked_secret(self._named(body, namespace)))

    def create_config_map(self, namespace: str, body: object) -> Object:
        """Store a ConfigMap.

        :raises ApiError: 400, 404, 409 or 422.
        """
        new = checked_config_map(self._named(body, namespace))
        return self._create("configmaps", namespace, new)

    def patch_pod(self, namespace: str, name: str, patch: object) -> Object:
        """Apply a merge patch (RFC 7386) to labels or annotations of a pod.

        :raises ApiError: 400, 404, 409 or 422.
        """
        with self._lock:
            before = self.get("pods", namespace, name)
            if not isinstance(patch, dict):
                raise bad_request("the patch is not an object")
            wanted = str(patch.get("metadata", {}).get("resourceVersion", ""))
            if wanted not in {"", before["metadata"]["resourceVersion"]}:
                raise conflict("pods", name, "the object has been modified")
            after = checked_pod(_merged(before, patch))
            if after["spec"] != before["spec"]:
                why = "spec: Forbidden: pod updates may not change fields other than the image"
                raise invalid("Pod", name, [why])
            return self._store("pods", after, before)

    def delete(self, resource: str, namespace: str, name: str, options: object) -> Object:
        """Remove an object. A pod on a node is only marked, and the node removes it.

        :raises ApiError: 400, 404 or 409.
        """
        wanted = decode(options, DELETE_OPTIONS, "")
        with self._lock:
            found = self.get(resource, namespace, name)
            uid = wanted.get("preconditions", {}).get("uid", found["metadata"]["uid"])
            if uid != found["metadata"]["uid"]:
                raise conflict(resource, name, "the UID in the precondition does not match")
            if resource != "pods":
                return self._remove(resource, found)
            grace = wanted.get("gracePeriodSeconds", found["spec"]["terminationGracePeriodSeconds"])
            if grace < 0:
                raise invalid("DeleteOptions", "", ["gracePeriodSeconds: must be >= 0"])
            if "nodeName" not in found["spec"]:
                return self._remove("pods", found)
            before = copy.deepcopy(found)
            found["metadata"].update(
                deletionTimestamp=timestamp(), deletionGracePeriodSeconds=grace
            )
            return self._store("pods", found, before)

    # The operations of a node.

    def bind_pod(self, pod: Object, node: str) -> bool:
        """Bind a pod to a node. Return False if the pod does not exist any more."""
        with self._lock:
            found = self._current(pod)
            if found is None:
                return False
            before = copy.deepcopy(found)
            found["spec"]["nodeName"] = node
            self._store("pods", found, before)
            return True

    def set_pod_status(self, pod: Object, **status: Any) -> None:
        """Update the status of a pod that exists and has not finished."""
        with self._lock:
            found = self._current(pod)
            if found is not None and found["status"]["phase"] not in _FINISHED:
                before = copy.deepcopy(found)
                found["status"].update(status)
                self._store("pods", found, before)

    def remove_pod(self, pod: Object) -> None:
        """Remove a pod that is marked for deletion and has stopped."""
        with self._lock:
            found = self._current(pod)
            if found is not None:
                self._remove("pods", found)

    def record_event(
        self, pod: Object, reason: str, message: str, *, warning: bool = False
    ) -> None:
        """Record an event of a pod."""
        meta, now = pod["metadata"], timestamp()
        event = {
            "metadata": {"name": f"{meta['name']}.{uuid.uuid4().hex[:16]}"},
            "involvedObject": {
                "kind": "Pod",
                "apiVersion": "v1",
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
            },
            "reason": reason,
            "message": message,
            "type": "Warning" if warning else "Normal",
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": "kubelet"},
        }
        self._create("events", meta["namespace"], event)

    def attach_log(self, pod: Object, log: ContainerLog) -> None:
        """Keep the output of a pod's container. It is available after the pod is deleted, too."""
        with self._lock:
            self._logs[pod["metadata"]["uid"]] = log

    def log(self, uid: str) -> ContainerLog | None:
        """Return the output of a pod's container, or None before the container starts."""
        with self._lock:
            return self._logs.get(uid)

    def _named(self, body: object, namespace: str) -> Object:
        """Return a copy of the object with name and namespace, which the server fills in."""
        if not isinstance(body, dict) or not isinstance(body.get("metadata", {}), dict):
            raise bad_request("the object provided is unrecognized")
        named = copy.deepcopy(body)
        meta = named.setdefault("metadata", {})
        self._check_namespace(namespace)
        meta["namespace"] = meta.get("namespace") or namespace
        if meta["namespace"] != namespace:
            raise bad_request(
                f"the namespace of the provided object does not match the namespace sent on the "
                f"request ({meta['namespace']!r}, {namespace!r})"
            )
        if not meta.get("name") and isinstance(meta.get("generateName"), str):
            meta["name"] = meta["generateName"] + uuid.uuid4().hex[:5]
        return named

    def _check_namespace(self, namespace: str) -> None:
        if self._namespaces and namespace not in self._namespaces:
            raise not_found("namespaces", namespace)

    def _create(self, resource: str, namespace: str, new: Object) -> Object:
        meta = new["metadata"]
        meta.update(namespace=namespace, uid=str(uuid.uuid4()), creationTimestamp=timestamp())
        new.update(kind=_KINDS[resource], apiVersion="v1")
        with self._lock:
            if (namespace, meta["name"]) in self._objects[resource]:
                raise already_exists(resource, meta["name"])
            return self._store(resource, new, None)

    def _store(self, resource: str, new: Object, before: Object | None) -> Object:
        meta = new["metadata"]
        stored = self.changes.append(resource, "MODIFIED" if before else "ADDED", new, before)
        self._objects[resource][meta["namespace"], meta["name"]] = stored
        return copy.deepcopy(stored)

    def _remove(self, resource: str, found: Object) -> Object:
        meta = found["metadata"]
        del self._objects[resource][meta["namespace"], meta["name"]]
        return self.changes.append(resource, "DELETED", found, found)

    def _current(self, pod: Object) -> Object | None:
        """Return the current state of the pod, or None. A later pod can have the same name."""
        meta = pod["metadata"]
        found = self._objects["pods"].get((meta["namespace"], meta["name"]))
        same = found is not None and found["metadata"]["uid"] == meta["uid"]
        return copy.deepcopy(found) if same else None


def _merged(target: Any, patch: Any) -> Any:
    """Return ``target`` with a JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged
