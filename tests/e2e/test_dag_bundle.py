"""A DAG bundle in a complete Airflow with a scheduler, and deployments in the middle of runs."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.dags.airflow.releases import airflow_release
from support.airflow import installed_airflow
from support.airflow_standalone import airflow_standalone
from support.bundles import oci_deployer, with_bundle
from support.descriptions import job, schedule, workflow
from support.end_to_end import connect
from support.kubernetes.fixtures import cluster_of
from support.kubernetes.held_node import HeldNode

if TYPE_CHECKING:
    from pathlib import Path

    from support.airflow import Airflow
    from support.registry import Registry

pytestmark = [pytest.mark.airflow, pytest.mark.slow]
TIMEOUT = 1200
ACTIONS = ("unpause", "trigger")
SETTINGS = {
    # Two deployments within seconds: otherwise a run could have the old jobs and the new version.
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3",
    # A busy machine answers late.
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "120",
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "120",
}


@pytest.mark.parametrize("release", ["3.3.2", "3.4.0b2"])
def test_a_run_keeps_its_version(
    release: str, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version 2 has another second job, and does not have ``gone``. Each workflow is running."""
    monkeypatch.setenv("BIGFLOW_CACHE", str(tmp_path / "cache"))
    by_hand = schedule("none")
    first = job("first", retry_pause_sec=1)
    repository = f"{registry.address}/team/{release}"
    with cluster_of(None) as cluster, oci_deployer(tmp_path, repository) as deployer:
        old = deployer.deploy(
            workflow("flow", first, job("second", "first"), schedule=by_hand),
            workflow("gone", first, job("second", "first"), schedule=by_hand),
            version="1.0.0",
        )
        airflow = installed_airflow(airflow_release(release), tmp_path / "home")
        airflow = with_bundle(connect(airflow, cluster).with_variables(**SETTINGS), repository)
        airflow.run(["dags", "reserialize"])

        def pods(version: str) -> int:
            return sum(pod.labels["bigflow-version"] == version for pod in cluster.pods)

        with (
            HeldNode(cluster.cluster) as node,
            airflow_standalone(airflow, timeout=TIMEOUT) as standalone,
        ):
            airflow.run_in_turn(
                *(["dags", action, name] for name in ("flow", "gone") for action in ACTIONS)
            )
            standalone.wait_for(lambda: pods("1.0.0") >= 2)
            new = deployer.deploy(
                workflow("flow", first, job("other", "first"), schedule=by_hand), version="2.0.0"
            )
            standalone.wait_for(lambda: bundle_version(airflow, "flow") == new)
            standalone.wait_for(lambda: "version:2.0.0" in airflow.tags("flow"))
            standalone.wait_for(lambda: "retired" in airflow.tags("gone"))
            airflow.run(["dags", "trigger", "flow"])
            standalone.wait_for(lambda: pods("2.0.0") >= 1)
            node.release()
            standalone.wait_for(lambda: states(airflow, "flow") == ["success", "success"])
            standalone.wait_for(lambda: states(airflow, "gone") == ["success"])

        jobs = defaultdict(list)
        for task in airflow.task_instances("flow"):
            jobs[task.run_id].append(task.task_id)
        runs = [run.run_id for run in airflow.runs("flow")]
        assert [jobs[run] for run in runs] == [["first", "second"], ["first", "other"]]
        assert [t.task_id for t in airflow.task_instances("gone")] == ["first", "second"]
        versions = airflow._query("select bundle_version from dag_run order by id")
        assert versions == [(old,), (old,), (new,)]
        images = {(pod.labels["task_id"], pod.image.partition("@")[0]) for pod in cluster.pods}
        assert images == {
            ("first", f"{repository}:1.0.0"),
            ("second", f"{repository}:1.0.0"),
            ("first", f"{repository}:2.0.0"),
            ("other", f"{repository}:2.0.0"),
        }


def states(airflow: Airflow, dag_id: str) -> list[str]:
    """Return the states of the runs of a DAG."""
    return list(airflow.run_states(dag_id).values())


def bundle_version(airflow: Airflow, dag_id: str) -> str | None:
    """Return the version of the bundle that Airflow has read a DAG from."""
    ((version,),) = airflow._query("select bundle_version from dag where dag_id = ?", dag_id)
    return None if version is None else str(version)
