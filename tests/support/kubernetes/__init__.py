"""A small Kubernetes for tests: an API server on loopback and a node that is a Docker Engine.

It answers what Airflow's KubernetesPodOperator and the `kubernetes` clients ask (pods, their logs
and events, secrets, watches), refuses what a real API server refuses, and runs each pod's container
from its real image. What it does not know it refuses with 501, so that no test passes by accident.

From the ground up: `syntax`, `status`, `schema`, `validation`, `selectors` (the rules), `changes`,
`container_log`, `cluster` (the state), `container_spec`, `pod_worker`, `kubelet` (the node),
`http_server`, and `server`, which puts them together.
"""

from support.kubernetes.kubelet import Node
from support.kubernetes.server import Kubernetes, PodRecord

__all__ = ["Kubernetes", "Node", "PodRecord"]
