"""The logs of failed tasks, in a complete Airflow: each says why, in its last lines."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from support.airflow_standalone import airflow_standalone
from support.end_to_end import connect
from support.kubernetes import Kubernetes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

    from support.airflow import Airflow
    from support.built_project import BuiltProject

pytestmark = [pytest.mark.engine, pytest.mark.slow]

TIMEOUT = 1200
LONGEST = 80
REASONS = {
    "loud": "bigflow: job loud.job failed: ValueError: zły plik: 'ąę'",
    "grows": "bigflow: job grows.job failed: out of memory, limit 96Mi (killed by SIGKILL)",
    "kills_itself": "bigflow: job kills_itself.job failed: killed by SIGKILL",
    "lacks_secret": "the Kubernetes secret 'not-there' does not exist",
}


@pytest.fixture(scope="module")
def logs(
    each_airflow: Airflow,
    engine: DockerClient,
    scenarios: BuiltProject,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, list[str]]]:
    """Run each of the workflows once; return the lines of the log of its task."""
    with Kubernetes(engine) as kubernetes:
        kubernetes.create_secret("db-password", {"db_password": "s3cr3t-value"})
        airflow = connect(each_airflow, kubernetes).with_home(tmp_path_factory.mktemp("failed"))
        ids = {workflow: scenarios.dag_id(workflow) for workflow in REASONS}
        for dag_id in ids.values():
            shutil.copy(scenarios.root / ".dags" / f"{dag_id}_dag.py", airflow.dags)
        airflow.run(["dags", "reserialize"])
        with airflow_standalone(airflow, timeout=TIMEOUT) as standalone:
            airflow.run_in_turn(
                *(["dags", "unpause", dag_id] for dag_id in ids.values()),
                *(["dags", "trigger", dag_id] for dag_id in ids.values()),
            )
            standalone.wait_for(
                lambda: all(
                    list(airflow.run_states(dag_id).values()) == ["failed"]
                    for dag_id in ids.values()
                )
            )
        yield {workflow: _log(airflow, dag_id) for workflow, dag_id in ids.items()}


def _log(airflow: Airflow, dag_id: str) -> list[str]:
    """Return the lines of the last try. On a busy machine, Airflow itself can lose a try."""
    log = max((airflow.home / "logs" / f"dag_id={dag_id}").rglob("*.log"))
    lines = log.read_text("utf-8").splitlines()
    return [line for line in lines if "::endgroup::" not in line]  # a mark of Airflow 2.10 and 2.11


@pytest.mark.parametrize("workflow", REASONS)
def test_the_last_lines_say_why(logs: dict[str, list[str]], workflow: str) -> None:
    assert REASONS[workflow] in "\n".join(logs[workflow][-3:])


@pytest.mark.parametrize("workflow", REASONS)
def test_a_log_is_short(logs: dict[str, list[str]], workflow: str) -> None:
    assert len(logs[workflow]) <= LONGEST


def test_no_environment_variable_is_in_the_log(logs: dict[str, list[str]]) -> None:
    text = "\n".join(logs["loud"])
    assert "hunter2" not in text
    assert "s3cr3t-value" not in text
