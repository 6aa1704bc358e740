"""A new version takes over from a deployed one in a complete Airflow with a scheduler."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.dags.airflow.releases import airflow_release
from support.airflow import installed_airflow
from support.airflow_standalone import airflow_standalone
from support.descriptions import DagProject, job, schedule, workflow
from support.end_to_end import connect
from support.kubernetes import Kubernetes
from support.kubernetes.held_node import HeldNode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bigflow_backend.dags.build import DagFiles
    from support.airflow import Airflow

pytestmark = [pytest.mark.airflow, pytest.mark.slow]
TIMEOUT = 540
FAST = {
    # The folder is read every few seconds, not every five minutes.
    "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "3",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__CATCHUP_BY_DEFAULT": "True",
}
PERIOD = timedelta(seconds=60)


@pytest.fixture(params=["2.7.3", "2.11.2", "3.3.2"])
def airflow_of_release(request: pytest.FixtureRequest, tmp_path: Path) -> Airflow:
    release = airflow_release(request.param)
    return installed_airflow(release, tmp_path / "home").with_variables(**FAST)


@pytest.fixture
def cluster() -> Iterator[Kubernetes]:
    with Kubernetes(None) as cluster:
        yield cluster


def deploy(airflow: Airflow, project: DagProject) -> None:
    """Replace the DAG files in the folder with those of the last build."""
    made = {file.name: file for file in project.dags.glob("*_dag.py")}
    for file in made.values():
        shutil.copy(file, airflow.dags / file.name)
    for file in airflow.dags.glob("*_dag.py"):
        if file.name not in made:
            file.unlink()


def test_a_deployment_in_the_middle_of_runs(
    airflow_of_release: Airflow, cluster: Kubernetes, tmp_path: Path
) -> None:
    """Two chains are in their first job when the next version is deployed: one by its schedule,
    with days to catch up with, and one by hand. A third workflow runs every minute.

    The jobs that wait are deferred on Airflow 2, whose scheduler waits for each task on SQLite."""
    airflow = connect(airflow_of_release, cluster)
    project = DagProject.make(tmp_path / "project", 'target = "kubernetes"')
    now = datetime.now(timezone.utc).replace(microsecond=0)
    today = now.replace(hour=0, minute=0, second=0)
    start = today - timedelta(days=2)
    plain: dict[str, Any] = {"retry_count": 0}
    waits = {**plain, "operator_arguments": {"deferrable": True, "poll_interval": 1}}
    deferred = (job("first", **waits), job("second", "first", **waits))
    marked = (job("first", **plain), job("second", "first", **plain))
    often = schedule("timedelta", int(PERIOD.total_seconds()))
    flows = [
        workflow("daily", *deferred, start_date=start.isoformat()),
        workflow(
            "by_hand",
            *(deferred if airflow.major == 2 else marked),
            schedule=schedule("none"),
            start_date=start.isoformat(),
        ),
        workflow(
            "often", job("first", **plain), schedule=often, start_date=(now - PERIOD).isoformat()
        ),
    ]
    old = ids(project.build(*flows, version="1.0.0", start_time=now))
    deploy(airflow, project)
    airflow.run(["dags", "reserialize"])

    def holds(pod: dict[str, Any]) -> bool:
        return not pod["metadata"]["labels"]["bigflow-workflow"].startswith("often")

    with (
        HeldNode(cluster.cluster, holds) as node,
        airflow_standalone(airflow, timeout=TIMEOUT) as standalone,
    ):
        airflow.run_in_turn(
            *(["dags", "unpause", dag_id] for dag_id in old.values()),
            ["dags", "trigger", old["daily"]],
        )
        standalone.wait_for(lambda: states(airflow, old["daily"]) >= {"deferred"})
        airflow.run(["dags", "trigger", old["by_hand"]])
        standalone.wait_for(lambda: len(node.held) == 2)
        # Airflow has to read the retired files before a run of `often` belongs to the new DAG.
        takeover = datetime.now(timezone.utc).replace(microsecond=0) + 2 * PERIOD
        new = ids(project.build(*flows, version="1.1.0", start_time=now, takeover=takeover))
        deploy(airflow, project)
        standalone.wait_for(lambda: all("retired" in airflow.tags(d) for d in old.values()))
        standalone.wait_for(lambda: all(airflow.is_paused(d) is False for d in new.values()))
        node.release()
        standalone.wait_for(lambda: len(ended(airflow, new["often"])) >= 2)
        standalone.wait_for(lambda: len(ended(airflow, old["daily"])) >= 3)
        standalone.wait_for(lambda: len(ended(airflow, old["by_hand"])) >= 1)
        airflow.run(["dags", "trigger", old["by_hand"]])
        standalone.wait_for(lambda: len(ended(airflow, old["by_hand"])) >= 2)

    for dag_id in old.values():
        assert {run.state for run in airflow.runs(dag_id)} == {"success"}
    for name in ("daily", "by_hand"):
        for run in airflow.runs(old[name]):
            done = [t for t in airflow.task_instances(old[name]) if t.run_id == run.run_id]
            assert [t.task_id for t in done] == ["first", "second"], run
    days = [run.start for run in airflow.runs(old["daily"]) if run.kind == "scheduled"]
    assert days == [f"{today - timedelta(days=n):%Y-%m-%d %H:%M:%S}" for n in (2, 1)]
    assert airflow.runs(new["daily"]) == []
    starts = [run.start for dag_id in (old["often"], new["often"]) for run in airflow.runs(dag_id)]
    first = now - PERIOD
    assert starts == [f"{first + n * PERIOD:%Y-%m-%d %H:%M:%S}" for n in range(len(starts))]


def ids(made: DagFiles) -> dict[str, str]:
    """Return workflow id -> DAG id."""
    return {file.workflow_id: file.dag_id for file in made.files}


def ended(airflow: Airflow, dag_id: str) -> list[str]:
    return [run.run_id for run in airflow.runs(dag_id) if run.state in {"success", "failed"}]


def states(airflow: Airflow, dag_id: str) -> set[str]:
    """Return the states of the tasks of a DAG."""
    return {task.state for task in airflow.task_instances(dag_id)}
