"""The fixture `kubernetes`: a new cluster for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.kubernetes.server import Kubernetes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

__all__ = ["kubernetes"]


@pytest.fixture
def kubernetes(engine: DockerClient) -> Iterator[Kubernetes]:
    """Start a Kubernetes whose node is the Docker Engine."""
    with Kubernetes(engine) as cluster:
        yield cluster
