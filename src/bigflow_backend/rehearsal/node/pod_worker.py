"""One pod on the node: its container, exit code and removal."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from bigflow_backend.rehearsal.api.cluster import timestamp
from bigflow_backend.rehearsal.api.container_log import ContainerLog
from bigflow_backend.rehearsal.node.container_spec import container_spec
from bigflow_backend.rehearsal.node.data import ContainerConfigError
from bigflow_backend.rehearsal.node.runtime import ImageMissingError, StartError
from bigflow_backend.rehearsal.node.termination import LINES, TerminationMessage
from bigflow_backend.rehearsal.node.volumes import PodVolumes

if TYPE_CHECKING:
    from bigflow_backend.rehearsal.api.cluster import Cluster, Object
    from bigflow_backend.rehearsal.node.runtime import Container, Runtime

# PID 1 ignores SIGTERM by default, so many pods would wait for the usual 30 seconds of grace.
_LONGEST_GRACE_SECONDS = 10
_CANNOT_START = 128


class PodWorker:
    """Run the container of a pod in a thread."""

    def __init__(self, pod: Object, cluster: Cluster, runtime: Runtime) -> None:
        self._pod = pod
        self._cluster = cluster
        self._runtime = runtime
        self._thread = threading.Thread(target=self._run, name=pod["metadata"]["name"])
        self._lock = threading.Lock()
        self._container: Container | None = None
        self._message = TerminationMessage(pod["spec"]["containers"][0])
        self._volumes = PodVolumes(pod, cluster)
        self._deadline_passed = False
        self._removal = threading.Event()

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def terminate(self, *, grace_seconds: int) -> None:
        """Stop the container, then remove the pod. Return at once."""
        self._removal.set()
        threading.Thread(target=self._stop, args=(grace_seconds,)).start()

    def _run(self) -> None:
        try:
            self._run_container()
            self._removal.wait()
        finally:
            self._message.remove()
            self._volumes.remove(self._runtime.erase)
            self._cluster.remove_pod(self._pod)

    def _run_container(self) -> None:
        self._cluster.set_pod_status(
            self._pod,
            startTime=timestamp(),
            conditions=[{"type": "PodScheduled", "status": "True"}],
            hostIP="127.0.0.1",
            podIP="127.0.0.1",
        )
        name = self._pod["spec"]["containers"][0]["name"]
        try:
            spec = container_spec(self._pod, self._cluster)
            mounts = [self._message.mount, *self._volumes.mounts()]
            container = self._runtime.create(spec, mounts)
        except ContainerConfigError as error:
            self._event("Failed", f"Error: {error}", warning=True)
            self._wait("CreateContainerConfigError", str(error))
            return
        except ImageMissingError:
            image = self._pod["spec"]["containers"][0]["image"]
            message = f'Failed to pull image "{image}": {image}: not found'
            self._event("Failed", message, warning=True)
            self._wait("ErrImagePull", message)
            return
        self._event("Created", f"Created container {name}")
        try:
            self._follow(container, name)
        finally:
            with self._lock:
                self._container = None
            container.remove()

    def _follow(self, container: Container, name: str) -> None:
        log, started = ContainerLog(), timestamp()
        timer: threading.Timer | None = None
        try:
            with self._lock:
                if self._removal.is_set():
                    return
                container.start()
                self._container = container
        except StartError as error:
            log.close()
            self._cluster.attach_log(self._pod, log)
            self._event("Failed", f"Error: {error}", warning=True)
            self._finish(name, started, _CANNOT_START, "StartError", str(error))
            return
        self._cluster.attach_log(self._pod, log)
        self._event("Started", f"Started container {name}")
        self._set_phase("Running", name, {"running": {"startedAt": started}})
        deadline = self._pod["spec"].get("activeDeadlineSeconds")
        if deadline is not None:
            timer = threading.Timer(deadline, self._pass_deadline)
            timer.start()
        try:
            log.write(container.output())
            end = container.wait()
        finally:
            log.close()
            if timer is not None:
                timer.cancel()
        if end.start_error:
            self._event("Failed", f"Error: {end.start_error}", warning=True)
            self._finish(name, started, _CANNOT_START, "StartError", end.start_error)
            return
        reason = "OOMKilled" if end.out_of_memory else "Error" if end.code else "Completed"
        lines = [line.content for line in log.read(tail=LINES)]
        self._finish(name, started, end.code, reason, self._message.read(end.code, lines))

    def _finish(
        self, name: str, started: str, code: int, reason: str, message: str | None = None
    ) -> None:
        terminated = {
            "exitCode": code,
            "reason": reason,
            "message": message,
            "startedAt": started,
            "finishedAt": timestamp(),
        }
        more: dict[str, str] = {}
        if self._deadline_passed:
            why = "Pod was active on the node longer than the specified deadline"
            more = {"reason": "DeadlineExceeded", "message": why}
        failed = code != 0 or self._deadline_passed
        self._set_phase(
            "Failed" if failed else "Succeeded", name, {"terminated": terminated}, **more
        )

    def _pass_deadline(self) -> None:
        self._deadline_passed = True
        self._event("DeadlineExceeded", "Pod was active longer than its deadline", warning=True)
        self._stop(self._pod["spec"]["terminationGracePeriodSeconds"])

    def _stop(self, grace_seconds: int) -> None:
        with self._lock:
            if self._container is not None:
                self._container.stop(min(grace_seconds, _LONGEST_GRACE_SECONDS))

    def _wait(self, reason: str, message: str) -> None:
        name = self._pod["spec"]["containers"][0]["name"]
        self._set_phase("Pending", name, {"waiting": {"reason": reason, "message": message}})

    def _set_phase(self, phase: str, name: str, state: dict[str, Any], **more: str) -> None:
        running = "running" in state
        status = {
            "name": name,
            "image": self._pod["spec"]["containers"][0]["image"],
            "imageID": "",
            "ready": running,
            "started": running,
            "restartCount": 0,
            "state": state,
        }
        self._cluster.set_pod_status(self._pod, phase=phase, containerStatuses=[status], **more)

    def _event(self, reason: str, message: str, *, warning: bool = False) -> None:
        self._cluster.record_event(self._pod, reason, message, warning=warning)
