"""Fixtures of the end-to-end tests: projects, built once per session, and Airflows."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.airflow import kubernetes_connection
from support.built_project import BuiltProject, build_project_copy
from support.projects import PROJECTS

if TYPE_CHECKING:
    from docker import DockerClient

    from bigflow_backend.rehearsal.kubernetes import Kubernetes
    from support.airflow import Airflow

__all__ = ["connect", "connected_airflow", "sample", "scenarios", "today"]

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def sample(
    bigflow_wheels: Path,
    base_archive: str,
    engine: DockerClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> BuiltProject:
    """Build version 1.2.0 of the sample project, deployed on 1 July 2026.

    The layered builder builds its image, and `engine` loads it.
    """
    del engine  # DOCKER_HOST has its address
    return build_project_copy(
        REPOSITORY / "sample_project",
        tmp_path_factory.mktemp("sample"),
        wheels=bigflow_wheels,
        image_options=(f"--base-image={base_archive}", "--load"),
        version="1.2.0",
        start_time="2026-07-01 00:00:00",
    )


@pytest.fixture(scope="session")
def scenarios(
    bigflow_wheels: Path, base_image: str, tmp_path_factory: pytest.TempPathFactory
) -> BuiltProject:
    """Build ``tests/projects/scenarios`` on the engine, deployed the day before :func:`today`."""
    yesterday = today() - timedelta(days=1)
    return build_project_copy(
        PROJECTS / "scenarios",
        tmp_path_factory.mktemp("scenarios"),
        wheels=bigflow_wheels,
        image_options=(f"--base-image={base_image}", "--builder=engine", "--network=host"),
        version="0.1.0",
        start_time=f"{yesterday} 00:00:00",
    )


@pytest.fixture
def connected_airflow(airflow: Airflow, kubernetes: Kubernetes) -> Airflow:
    """Return each Airflow, with a default connection to `kubernetes`."""
    return connect(airflow, kubernetes)


def today() -> date:
    """Return the current date in UTC."""
    return datetime.now(timezone.utc).date()


def connect(airflow: Airflow, kubernetes: Kubernetes) -> Airflow:
    """Return the Airflow with a connection to Kubernetes and the Variable `env`."""
    return airflow.with_variables(
        AIRFLOW_CONN_KUBERNETES_DEFAULT=kubernetes_connection(kubernetes.kubeconfig()),
        AIRFLOW_VAR_ENV="dev",
    )
