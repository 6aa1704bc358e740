"""The outcomes of runs on both Airflows: `tests/projects/scenarios`, built and run."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from support.end_to_end import connect, today
from support.kubernetes.fixtures import cluster_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

    from bigflow_backend.rehearsal.kubernetes import PodRecord
    from support.airflow import Airflow
    from support.built_project import BuiltProject

pytestmark = [pytest.mark.engine, pytest.mark.slow]

# Airflow creates no task for a date before the DAG's start.
DATE = today().isoformat()
WORKFLOWS = (
    "fails",
    "hangs",
    "has_secret",
    "lacks_secret",
    "lacks_variable",
    "hostile",
)


@dataclass(frozen=True)
class Outcome:
    """The outcome of the run of one workflow."""

    state: str
    tasks: dict[str, tuple[str, int]]
    """The state and the number of tries of each task."""
    pods: list[PodRecord]
    output: str
    """The output of `airflow dags test`."""

    @property
    def result(self) -> Any:
        """The JSON in the last line of the only pod."""
        (pod,) = self.pods
        return json.loads(pod.log.splitlines()[-1])


@pytest.fixture(scope="module")
def outcomes(
    airflow: Airflow, engine: DockerClient, scenarios: BuiltProject
) -> Iterator[dict[str, Outcome]]:
    """Run all workflows once."""
    with cluster_of(engine) as kubernetes:
        kubernetes.create_secret("db-password", {"db_password": "s3cr3t"})
        connected = connect(airflow, kubernetes)
        for file in scenarios.dag_files:
            shutil.copy(file, connected.dags)
        ids = {workflow: scenarios.dag_id(workflow) for workflow in WORKFLOWS}
        output = connected.test_dags(*((dag_id, DATE) for dag_id in ids.values()))
        pods = kubernetes.pods
        yield {
            workflow: Outcome(
                state=next(iter(connected.run_states(dag_id).values())),
                tasks={
                    task.task_id: (task.state, task.try_number)
                    for task in connected.task_instances(dag_id)
                },
                pods=[pod for pod in pods if pod.labels["dag_id"] == dag_id],
                output=output[dag_id],
            )
            for workflow, dag_id in ids.items()
        }


def test_a_failing_job_is_retried_and_stops_later_jobs(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["fails"]
    assert outcome.state == "failed"
    assert outcome.tasks["breaks"] == ("failed", 2)
    assert outcome.tasks["after"][0] == "upstream_failed"
    assert [pod.exit_code for pod in outcome.pods] == [1, 1]
    for pod in outcome.pods:
        assert "RuntimeError: this job always fails" in pod.log
        assert pod.deleted is not None


def test_a_job_that_hangs_is_stopped_and_its_pod_is_deleted(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["hangs"]
    assert (outcome.state, outcome.tasks) == ("failed", {"hangs": ("failed", 1)})
    (pod,) = outcome.pods
    assert pod.log.splitlines()[-3:] == [
        "it hangs",
        "it tidies up",
        "bigflow: job hangs.hangs failed: stopped by SIGTERM",
    ]
    assert pod.deleted is not None


def test_a_secret_reaches_the_job(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["has_secret"]
    assert outcome.state == "success"
    assert outcome.result["variables"] == {"DB_PASSWORD": "s3cr3t"}
    assert "s3cr3t" not in json.dumps(dict(outcome.pods[0].spec))


def test_a_missing_secret_fails_with_its_name(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["lacks_secret"]
    assert (outcome.state, outcome.tasks["job"][0]) == ("failed", "failed")
    (pod,) = outcome.pods
    assert (pod.exit_code, pod.reason) == (1, "Error")
    assert pod.deleted is not None
    assert "the Kubernetes secret 'not-there' does not exist" in outcome.output


def test_a_missing_variable_fails_with_its_name(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["lacks_variable"]
    assert (outcome.state, outcome.tasks["job"][0]) == ("failed", "failed")
    assert outcome.pods == []
    assert "not_set" in outcome.output


def test_hostile_text_reaches_the_job_unchanged(
    outcomes: dict[str, Outcome], scenarios: BuiltProject
) -> None:
    outcome = outcomes["hostile"]
    program = "import json; from scenarios.texts import HOSTILE; print(json.dumps(HOSTILE))"
    hostile = json.loads(scenarios.run("-c", program))
    assert outcome.state == "success"
    assert outcome.result["variables"] == {"HOSTILE": hostile}
    assert outcome.pods[0].annotations["hostile"] == hostile
