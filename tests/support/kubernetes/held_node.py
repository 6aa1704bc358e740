"""A node without containers: a pod runs until the test lets it end, and then succeeds."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from bigflow_backend.rehearsal.api.cluster import timestamp
from bigflow_backend.rehearsal.api.container_log import ContainerLog

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from bigflow_backend.rehearsal.api.cluster import Cluster, Object

__all__ = ["HeldNode"]


class HeldNode:
    """A ``with`` block starts it, and ends the cluster at its end."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._holds = True
        self._held: list[Object] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="held node")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._cluster.changes.close()
        self._thread.join()

    @property
    def held(self) -> set[str]:
        """The ids of the DAGs whose pods run until :meth:`release`."""
        with self._lock:
            return {pod["metadata"]["labels"]["dag_id"] for pod in self._held}

    def release(self) -> None:
        """Let all pods end, also later ones."""
        with self._lock:
            self._holds = False
            pods, self._held = self._held, []
        for pod in pods:
            self._end(pod)

    def _watch(self) -> None:
        for change in self._cluster.changes.watch("pods", after=0, timeout=None):
            if change.type == "ADDED":
                self._start(change.object)
            elif change.type == "MODIFIED" and "deletionTimestamp" in change.object["metadata"]:
                self._cluster.remove_pod(change.object)

    def _start(self, pod: Object) -> None:
        if not self._cluster.bind_pod(pod, "node"):
            return
        self._cluster.attach_log(pod, ContainerLog())
        self._set_phase(pod, "Running", {"running": {"startedAt": timestamp()}})
        with self._lock:
            held = self._holds
            if held:
                self._held.append(pod)
        if not held:
            self._end(pod)

    def _end(self, pod: Object) -> None:
        log = self._cluster.log(pod["metadata"]["uid"])
        if log is not None:
            log.close()
        ended = {"exitCode": 0, "reason": "Completed", "startedAt": timestamp()}
        self._set_phase(pod, "Succeeded", {"terminated": {**ended, "finishedAt": timestamp()}})

    def _set_phase(self, pod: Object, phase: str, state: dict[str, Any]) -> None:
        container = pod["spec"]["containers"][0]
        status = {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": "running" in state,
            "started": "running" in state,
            "restartCount": 0,
            "state": state,
        }
        self._cluster.set_pod_status(pod, phase=phase, containerStatuses=[status])
