"""The DAGs in a complete Airflow with a scheduler: scheduled runs and manual runs."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.airflow_standalone import airflow_standalone
from support.end_to_end import today

if TYPE_CHECKING:
    from pathlib import Path

    from bigflow_backend.rehearsal.kubernetes import Kubernetes
    from support.airflow import Airflow
    from support.built_project import BuiltProject

pytestmark = [pytest.mark.engine, pytest.mark.slow]
TIMEOUT = 1200


def test_scheduled_and_manual_runs(
    connected_airflow: Airflow, kubernetes: Kubernetes, scenarios: BuiltProject, tmp_path: Path
) -> None:
    """Four runs: two of a daily workflow deployed yesterday, and two manual runs without a date."""
    day = today()
    airflow = connected_airflow.with_home(tmp_path / "home")
    daily, by_hand, defers = map(scenarios.dag_id, ("catches_up", "by_hand", "defers"))
    for dag_id in (daily, by_hand, defers):
        shutil.copy(scenarios.root / ".dags" / f"{dag_id}_dag.py", airflow.dags)
    airflow.run(["dags", "reserialize"])

    def ended(dag_id: str) -> int:
        return sum(state in {"success", "failed"} for state in airflow.run_states(dag_id).values())

    with airflow_standalone(airflow, timeout=TIMEOUT) as standalone:
        airflow.run_in_turn(
            *(["dags", "unpause", dag_id] for dag_id in (daily, by_hand, defers)),
            *(["dags", "trigger", dag_id] for dag_id in (by_hand, defers)),
        )
        standalone.wait_for(lambda: ended(daily) >= 2 and ended(by_hand) == ended(defers) == 1)

    for dag_id, runs in ((daily, 2), (by_hand, 1), (defers, 1)):
        assert list(airflow.run_states(dag_id).values())[:runs] == ["success"] * runs
    runtimes: dict[str, list[str]] = {daily: [], by_hand: [], defers: []}
    for pod in kubernetes.pods:
        result = json.loads(pod.log.splitlines()[-1])
        assert (result["env"], pod.exit_code) == ("dev", 0)
        runs_of = runtimes[pod.labels["dag_id"]]
        if result["runtime"] not in runs_of:  # a retry has the same runtime
            runs_of.append(result["runtime"])
    days = [day - timedelta(days=2), day - timedelta(days=1)]
    assert runtimes[daily][:2] == [f"{d} 00:00:00" for d in days]
    assert runtimes[by_hand] == airflow.run_times(by_hand)
    assert runtimes[defers] == airflow.run_times(defers)
    assert "DEFERRED" in task_logs(airflow, defers)
    assert "DEFERRED" not in task_logs(airflow, by_hand)


def task_logs(airflow: Airflow, dag_id: str) -> str:
    """Return the logs of the tasks of a DAG."""
    logs = (airflow.home / "logs" / f"dag_id={dag_id}").rglob("*.log")
    return "".join(log.read_text("utf-8") for log in logs)
