"""A Kubernetes with one node. A ``with`` block starts and stops it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bigflow_backend.rehearsal.api.cluster import Cluster
from bigflow_backend.rehearsal.api.http_server import ApiServer
from bigflow_backend.rehearsal.node.kubelet import Kubelet, Node

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from bigflow_backend.rehearsal.node.runtime import Runtime


_NAME = "rehearsal"


@dataclass(frozen=True)
class PodRecord:
    """The history of one pod. Its times are resource versions, so they have one order."""

    uid: str
    name: str
    namespace: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    spec: Mapping[str, Any]
    phase: str
    reason: str
    """The reason of a failure or a wait: ``Error``, ``DeadlineExceeded``, ``ErrImagePull``, ..."""
    message: str | None
    """The termination message, or the message of a wait."""
    exit_code: int | None
    log: str
    created: int
    started: int | None
    finished: int | None
    deleted: int | None

    @property
    def container(self) -> Mapping[str, Any]:
        container: Mapping[str, Any] = self.spec["containers"][0]
        return container

    @property
    def image(self) -> str:
        return str(self.container["image"])

    @property
    def command(self) -> list[str]:
        """The command line: ``command`` and ``args``."""
        return [*self.container.get("command", []), *self.container.get("args", [])]


class Kubernetes:
    """API server and kubelet. Without a runtime, no pod is scheduled; without a node, all are.

    Without ``namespaces``, each name is one, with each service account and priority class.
    ``refuse`` gets the message of each request for a feature that this server does not have.
    """

    def __init__(
        self,
        runtime: Runtime | None,
        *,
        namespaces: tuple[str, ...] = (),
        node: Node | None = None,
        refuse: Callable[[str], None] = lambda _message: None,
    ) -> None:
        self.cluster = Cluster(namespaces=namespaces)
        self.token = secrets.token_hex()
        self._server = ApiServer(self.cluster, self.token, refuse)
        self._kubelet = Kubelet(self.cluster, runtime, node) if runtime else None

    def __enter__(self) -> Self:
        self._server.start()
        if self._kubelet is not None:
            self._kubelet.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cluster.changes.close()
        if self._kubelet is not None:
            self._kubelet.stop()
        self._server.stop()

    @property
    def url(self) -> str:
        return self._server.url

    def kubeconfig(self, namespace: str = "default") -> dict[str, Any]:
        """Return the configuration of a client. Its JSON is also YAML."""
        context = {"cluster": _NAME, "user": _NAME, "namespace": namespace}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": _NAME,
            "clusters": [{"name": _NAME, "cluster": {"server": self.url}}],
            "users": [{"name": _NAME, "user": {"token": self.token}}],
            "contexts": [{"name": _NAME, "context": context}],
        }

    def create_secret(
        self, name: str, data: Mapping[str, str], *, namespace: str = "default"
    ) -> None:
        self.cluster.create_secret(
            namespace, {"metadata": {"name": name}, "stringData": dict(data)}
        )

    def create_config_map(
        self, name: str, data: Mapping[str, str], *, namespace: str = "default"
    ) -> None:
        self.cluster.create_config_map(namespace, {"metadata": {"name": name}, "data": dict(data)})

    @property
    def pods(self) -> list[PodRecord]:
        """All pods, also deleted ones, in the order of their creation."""
        histories: dict[str, list[Any]] = {}
        for change in self.cluster.changes.of("pods"):
            histories.setdefault(change.object["metadata"]["uid"], []).append(change)
        return [self._record(history) for history in histories.values()]

    def events(self) -> list[str]:
        """Return the events of all pods so far, each as ``pod: reason: message``."""
        return [
            f"{e['involvedObject']['name']}: {e['reason']}: {e['message']}"
            for e in (change.object for change in self.cluster.changes.of("events"))
        ]

    def wait_for(
        self, predicate: Callable[[list[PodRecord]], bool], *, timeout: float
    ) -> list[PodRecord]:
        """Return the pods as soon as the predicate is true. A new log line does not trigger it.

        :raises TimeoutError: if it is false until the timeout.
        """
        if not self.cluster.changes.wait_for(lambda: predicate(self.pods), timeout):
            raise TimeoutError(f"timeout after {timeout} seconds, with these pods: {self.pods}")
        return self.pods

    def _record(self, history: list[Any]) -> PodRecord:
        pod = history[-1].object
        meta, status = pod["metadata"], pod["status"]

        def first(state: str) -> int | None:
            return next((c.version for c in history if state in _state(c.object)), None)

        state = _state(pod)
        terminated = state.get("terminated", {})
        details: Mapping[str, Any] = next(iter(state.values()), {})
        log = self.cluster.log(meta["uid"])
        return PodRecord(
            uid=meta["uid"],
            name=meta["name"],
            namespace=meta["namespace"],
            labels=meta.get("labels", {}),
            annotations=meta.get("annotations", {}),
            spec=pod["spec"],
            phase=status["phase"],
            reason=status.get("reason") or details.get("reason", ""),
            message=details.get("message"),
            exit_code=terminated.get("exitCode"),
            log=log.text if log else "",
            created=history[0].version,
            started=first("running"),
            finished=first("terminated"),
            deleted=history[-1].version if history[-1].type == "DELETED" else None,
        )


def _state(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    statuses = pod["status"].get("containerStatuses") or [{}]
    state: Mapping[str, Any] = statuses[0].get("state", {})
    return state
