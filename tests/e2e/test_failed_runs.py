"""Failed tasks in a complete Airflow: their logs say why, and they run again when cleared."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.airflow_standalone import airflow_standalone
from support.end_to_end import connect, today
from support.kubernetes.fixtures import cluster_of

if TYPE_CHECKING:
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

MARKS = (
    "::endgroup::",
    "stop collecting metrics",  # from a thread that ends before or after the other lines
)
"""Parts of the lines that Airflow 2.10 and 2.11 write when a process of a task has ended."""


@dataclass(frozen=True)
class Outcome:
    """All that the tests need of one Airflow: it starts only once."""

    logs: dict[str, list[str]]
    """The lines of the log of the only task of each failed workflow."""
    runtimes: list[str]
    """The runtimes of the pods of the workflow whose runs wait, in the order of the pods."""


@pytest.fixture(scope="module")
def outcome(
    each_airflow: Airflow,
    engine: DockerClient,
    scenarios: BuiltProject,
    tmp_path_factory: pytest.TempPathFactory,
) -> Outcome:
    """Run each workflow that fails once. Clear the failed run of the one whose runs wait."""
    with cluster_of(engine) as kubernetes:
        kubernetes.create_secret("db-password", {"db_password": "s3cr3t-value"})
        airflow = connect(each_airflow, kubernetes).with_home(tmp_path_factory.mktemp("failed"))
        failing = {workflow: scenarios.dag_id(workflow) for workflow in REASONS}
        waits = scenarios.dag_id("waits")
        for dag_id in (*failing.values(), waits):
            shutil.copy(scenarios.root / ".dags" / f"{dag_id}_dag.py", airflow.dags)
        airflow.run(["dags", "reserialize"])

        def states(dag_id: str) -> list[str]:
            return list(airflow.run_states(dag_id).values())

        with airflow_standalone(airflow, timeout=TIMEOUT) as standalone:
            airflow.run_in_turn(
                *(["dags", "trigger", dag_id] for dag_id in failing.values()),
                *(["dags", "unpause", dag_id] for dag_id in (*failing.values(), waits)),
            )
            standalone.wait_for(lambda: all(states(i) == ["failed"] for i in failing.values()))
            standalone.wait_for(
                lambda: states(waits) == ["success", "failed", "running", "running"]
            )
            failed_day = f"{today() - timedelta(days=3)}"
            airflow.run(["tasks", "clear", "--yes", "-s", failed_day, "-e", failed_day, waits])
            standalone.wait_for(lambda: states(waits) == ["success"] * 4)
        return Outcome(
            logs={workflow: _log(airflow, dag_id) for workflow, dag_id in failing.items()},
            runtimes=[
                pod.command[pod.command.index("--runtime") + 1]
                for pod in kubernetes.pods
                if pod.labels["dag_id"] == waits
            ],
        )


def _log(airflow: Airflow, dag_id: str) -> list[str]:
    """Return the lines of the last try. On a busy machine, Airflow itself can lose a try."""
    log = max((airflow.home / "logs" / f"dag_id={dag_id}").rglob("*.log"))
    lines = log.read_text("utf-8").splitlines()
    return [line for line in lines if not any(mark in line for mark in MARKS)]


@pytest.mark.parametrize("workflow", REASONS)
def test_the_last_lines_say_why(outcome: Outcome, workflow: str) -> None:
    assert REASONS[workflow] in "\n".join(outcome.logs[workflow][-3:])


@pytest.mark.parametrize("workflow", REASONS)
def test_a_log_is_short(outcome: Outcome, workflow: str) -> None:
    assert len(outcome.logs[workflow]) <= LONGEST


def test_no_environment_variable_is_in_the_log(outcome: Outcome) -> None:
    text = "\n".join(outcome.logs["loud"])
    assert "hunter2" not in text
    assert "s3cr3t-value" not in text


def test_runs_that_wait_follow_the_cleared_run(outcome: Outcome) -> None:
    """The second day failed. The runs after it waited, and left a place for it."""
    days = [today() - timedelta(days=number) for number in (4, 3, 3, 2, 1)]
    assert outcome.runtimes == [f"{day} 00:00:00" for day in days]
