"""The fixture `kubernetes`: a new cluster for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bigflow_backend.rehearsal.kubernetes import Kubernetes
from bigflow_backend.rehearsal.node.engine import EngineRuntime
from bigflow_backend.rehearsal.node.kubelet import Node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

__all__ = ["cluster_of", "kubernetes"]


def cluster_of(engine: DockerClient | None) -> Kubernetes:
    """Return a Kubernetes with one namespace. Without an engine, no pod is scheduled."""
    runtime = EngineRuntime(engine) if engine else None
    return Kubernetes(runtime, namespaces=("default",), node=Node())


@pytest.fixture
def kubernetes(engine: DockerClient) -> Iterator[Kubernetes]:
    """Start a Kubernetes whose node is the Docker Engine."""
    with cluster_of(engine) as cluster:
        yield cluster
