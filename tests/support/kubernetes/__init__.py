"""A small Kubernetes for tests: an API server on loopback and a node that is a Docker Engine.

It has the API of Airflow's KubernetesPodOperator and of the `kubernetes` clients: pods with their
logs and events, secrets, watches. It rejects the objects that a real API server rejects, and runs
each pod as a container of its image. It returns status 501 for everything else, so that no test
passes by accident.

- `syntax`, `status`, `schema`, `validation`, `selectors`: the rules
- `changes`, `container_log`, `cluster`: the state
- `container_spec`, `termination`, `pod_worker`, `kubelet`: the node
- `http_server`: the API
- `server`: all of them together
- `fixtures`: the fixture `kubernetes`
"""

from support.kubernetes.kubelet import Node
from support.kubernetes.server import Kubernetes, PodRecord

__all__ = ["Kubernetes", "Node", "PodRecord"]
