"""Fixtures of the end-to-end tests: projects, built once per session, and Airflows to run them."""

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

    from support.airflow import Airflow
    from support.kubernetes import Kubernetes

__all__ = ["connect", "connected_airflow", "sample", "scenarios", "today"]

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def sample(
    bigflow_wheels: Path,
    base_archive: str,
    engine: DockerClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> BuiltProject:
    """The sample project, version 1.2.0, deployed on 1 July 2026; its image takes no engine to
    build, and `engine` has it."""
    del engine  # it is found by DOCKER_HOST
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
    """``tests/projects/scenarios``, deployed on the day before :func:`today`; the engine builds
    its image."""
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
    """Each Airflow in turn, whose default connection to Kubernetes leads to `kubernetes`."""
    return connect(airflow, kubernetes)


def today() -> date:
    """The date, UTC."""
    return datetime.now(timezone.utc).date()


def connect(airflow: Airflow, kubernetes: Kubernetes) -> Airflow:
    """The Airflow with what unmodified DAGs need: a connection and the Variable `env`."""
    return airflow.with_variables(
        AIRFLOW_CONN_KUBERNETES_DEFAULT=kubernetes_connection(kubernetes.kubeconfig()),
        AIRFLOW_VAR_ENV="dev",
    )
