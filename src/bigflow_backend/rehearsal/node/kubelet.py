"""The node: it watches the pods of the cluster, and runs them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bigflow_backend.rehearsal.api.syntax import parse_quantity
from bigflow_backend.rehearsal.node.pod_worker import PodWorker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bigflow_backend.rehearsal.api.cluster import Cluster, Object
    from bigflow_backend.rehearsal.node.runtime import Runtime


NODE_NAME = "node"


@dataclass(frozen=True)
class Node:
    """The labels and the size of the one node of the cluster."""

    labels: Mapping[str, str] = field(default_factory=lambda: {"kubernetes.io/os": "linux"})
    allocatable: Mapping[str, str] = field(default_factory=lambda: {"cpu": "8", "memory": "32Gi"})
    """The most that one pod can request. The node has no other resources, such as GPUs."""

    def obstacle(self, pod: Object) -> str | None:
        """Return the reason why the pod cannot run on this node, or None."""
        selector = pod["spec"].get("nodeSelector", {})
        if not selector.items() <= self.labels.items():
            return "node(s) didn't match Pod's node affinity/selector"
        resources = pod["spec"]["containers"][0].get("resources", {})
        wanted = {**resources.get("limits", {}), **resources.get("requests", {})}
        for name, quantity in wanted.items():
            if parse_quantity(quantity) > parse_quantity(self.allocatable.get(name, "0")):
                return f"Insufficient {name}"
        return None


class Kubelet:
    """Start a :class:`PodWorker` for each new pod, and end it when the pod is deleted.

    Without a ``node``, each pod fits: node selectors and requests are not checked.
    """

    def __init__(self, cluster: Cluster, runtime: Runtime, node: Node | None) -> None:
        self._cluster = cluster
        self._runtime = runtime
        self._node = node
        self._workers: dict[str, PodWorker] = {}
        self._thread = threading.Thread(target=self._watch, name="kubelet")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Kill all containers. The change log must be closed, so that the watch ends."""
        self._thread.join()
        for worker in self._workers.values():
            worker.terminate(grace_seconds=0)
        for worker in self._workers.values():
            worker.join()

    def _watch(self) -> None:
        for change in self._cluster.changes.watch("pods", after=0, timeout=None):
            uid = change.object["metadata"]["uid"]
            if change.type == "ADDED":
                self._schedule(change.object)
            elif uid in self._workers and "deletionTimestamp" in change.object["metadata"]:
                grace = change.object["metadata"]["deletionGracePeriodSeconds"]
                self._workers[uid].terminate(grace_seconds=grace)

    def _schedule(self, pod: Object) -> None:
        obstacle = self._node.obstacle(pod) if self._node else None
        if obstacle:
            message = f"0/1 nodes are available: 1 {obstacle}."
            condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
            self._cluster.set_pod_status(pod, conditions=[{**condition, "message": message}])
            self._cluster.record_event(pod, "FailedScheduling", message, warning=True)
        elif self._cluster.bind_pod(pod, NODE_NAME):
            meta = pod["metadata"]
            name = f"{meta['namespace']}/{meta['name']}"
            self._cluster.record_event(
                pod, "Scheduled", f"Successfully assigned {name} to {NODE_NAME}"
            )
            worker = PodWorker(pod, self._cluster, self._runtime)
            self._workers[meta["uid"]] = worker
            worker.start()
