"""The whole chain: the sample project becomes a wheel, an image and DAGs, and Airflow runs them.

The project's own commands build it. Airflow gets its DAG files without changes. Each pod is a
container of its image.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bigflow_backend.rehearsal.kubernetes import Kubernetes, PodRecord
    from support.airflow import Airflow
    from support.built_project import BuiltProject

pytestmark = pytest.mark.engine

# The means of the seven days around 4 July, 2012 to 2015, from the csv.
NORMALS: dict[str, dict[str, float]] = {
    "check_records": {"records": 28},
    "temperature": {"low": 14.4, "high": 26.6},
    "precipitation": {"chance": 0.07, "millimetres": 0.3},
}
REPORT = "Seattle, 04 July: 14.4 to 26.6 °C, 7% chance of rain"


@pytest.mark.parametrize(
    "airflow", ["airflow_3", pytest.param("airflow_2", marks=pytest.mark.slow)], indirect=True
)
def test_the_sample_project_runs_on_airflow(
    connected_airflow: Airflow, kubernetes: Kubernetes, sample: BuiltProject
) -> None:
    for file in sample.dag_files:
        shutil.copy(file, connected_airflow.dags)
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=sample.root, text=True)
    daily, hourly = sample.dag_id("daily_normals"), sample.dag_id("hourly_normals")

    # A run by hand processes the last whole interval before its date.
    connected_airflow.test_dags((daily, "2026-07-05"), (hourly, "2026-07-04T07:00:00"))

    pods = kubernetes.pods
    jobs = {pod.labels["task_id"]: pod for pod in pods if pod.labels["dag_id"] == daily}
    assert list(connected_airflow.run_states(daily).values()) == ["success"]
    assert list(connected_airflow.run_states(hourly).values()) == ["success"]
    tasks = connected_airflow.task_instances(daily) + connected_airflow.task_instances(hourly)
    assert {(task.state, task.try_number) for task in tasks} == {("success", 1)}
    assert len(pods) == len(tasks) == len(jobs) + 1
    for pod in pods:
        assert (pod.phase, pod.exit_code, pod.image) == ("Succeeded", 0, sample.image)
        assert pod.deleted is not None
        first_line = pod.log.splitlines()[0]
        job = f"{pod.labels['bigflow-workflow']}.{pod.labels['bigflow-job']}, "
        for fact in (job, "runtime 2026-07-04 ", " 1.2.0", commit[:7], sample.image):
            assert fact in first_line

    assert sorted(jobs) == ["check_records", "precipitation", "report", "temperature"]
    for before, after in (
        ("check_records", "temperature"),
        ("check_records", "precipitation"),
        ("temperature", "report"),
        ("precipitation", "report"),
    ):
        assert ends(jobs[before]) < jobs[after].created

    for job, normals in NORMALS.items():
        assert result(jobs[job]) == {"runtime": "2026-07-04T00:00:00", **normals}
    assert jobs["report"].log.splitlines()[-1] == REPORT
    (hour,) = [pod for pod in pods if pod.labels["dag_id"] == hourly]
    assert result(hour) == {"runtime": "2026-07-04T06:00:00", "temperature": 13.7}


def ends(pod: PodRecord) -> int:
    assert pod.finished is not None
    return pod.finished


def result(pod: PodRecord) -> Any:
    """Return the output of a job of the sample project, which is one line of JSON."""
    return json.loads(pod.log.splitlines()[-1])
