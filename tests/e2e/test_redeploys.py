"""Versions take over from deployed ones in a complete Airflow with a scheduler.

All data intervals lie in the past, so nothing depends on the time that Airflow takes.
"""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.dags.airflow.api import PASSWORD, USER, activities
from bigflow_backend.dags.airflow.releases import airflow_release
from bigflow_backend.deployment.act import Project
from bigflow_backend.deployment.deploy import earlier_deployment, live_part
from bigflow_backend.deployment.directory import DirectoryFolder
from support.airflow import installed_airflow
from support.airflow_standalone import airflow_standalone
from support.deployments import Deployer
from support.descriptions import DagProject, job, param, schedule, workflow
from support.end_to_end import connect
from support.kubernetes.fixtures import cluster_of
from support.kubernetes.held_node import HeldNode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bigflow_backend.dags.build import DagFiles
    from bigflow_backend.rehearsal.kubernetes import Kubernetes
    from support.airflow import Airflow

pytestmark = [pytest.mark.airflow, pytest.mark.slow]
TIMEOUT = 1200
SETTINGS = {
    # The folder is read every few seconds, not every five minutes.
    "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "3",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3",
    # A busy machine answers late.
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "120",
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "120",
    "AIRFLOW__API__AUTH_BACKENDS": "airflow.api.auth.backend.basic_auth",  # Airflow 2
}
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture(params=["2.7.3", "2.11.2", "3.3.2", "3.4.0b2"])
def release(request: pytest.FixtureRequest, tmp_path: Path) -> Airflow:
    airflow = installed_airflow(airflow_release(request.param), tmp_path / "home")
    return airflow.with_variables(**SETTINGS)


@pytest.fixture
def cluster() -> Iterator[Kubernetes]:
    with cluster_of(None) as cluster:
        yield cluster


def deploy(airflow: Airflow, project: DagProject) -> None:
    """Make the project's directory in the DAGs folder equal to ``.dags/``."""
    target = airflow.dags / project.root.name
    target.mkdir(exist_ok=True)
    made = {file.name: file for file in project.dags.glob("*_dag.py")}
    for file in made.values():
        shutil.copy(file, target / file.name)
    for file in target.glob("*_dag.py"):
        if file.name not in made:
            file.unlink()


def test_deployments_in_the_middle_of_runs(
    release: Airflow, cluster: Kubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every first job is running when the next versions are deployed.

    ``daily`` runs by its schedule and by hand, ``by_hand`` only by hand, ``hourly`` has a backlog.
    ``moved`` goes to a stable id, and on to the next version of that DAG. ``consumer`` starts when
    ``by_hand`` has updated an asset.
    """
    airflow = connect(release, cluster)
    now = datetime.now(timezone.utc).replace(microsecond=0)
    hour = now.replace(minute=0, second=0)
    takeover = hour - 2 * HOUR + timedelta(minutes=10)
    midnight = takeover.replace(hour=0, minute=0)
    # Airflow 2 runs one task at a time on SQLite, and its scheduler waits for it.
    waits: dict[str, Any] = {"operator_arguments": {"deferrable": True}, "retry_pause_sec": 1}
    chain = (job("first", **waits), job("second", "first", **waits))
    rides = ("gs://bucket/rides",)
    if airflow.major == 2:
        marked = (chain[0], job("second", "first", outlets=rides, **waits))
    else:
        marked = (job("first"), job("second", "first", outlets=rides))
    asks = {"params": {"days": param(7, "How many days", type="integer", minimum=1)}}
    first_day = {"start_date": (midnight - 2 * DAY).isoformat()}
    backlog: dict[str, Any] = {
        "start_date": (hour - 4 * HOUR).isoformat(),
        "start_from": "start_date",
        "max_active_runs": 1,
        "depends_on_past": False,
    }
    flows = [
        workflow("daily", *chain, **first_day),
        workflow("by_hand", *marked, schedule=schedule("none"), **asks, **first_day),
        workflow("consumer", job("load"), schedule=schedule("assets", rides), **first_day),
        workflow("hourly", chain[0], schedule=schedule("cron", "@hourly"), **backlog),
    ]
    moved = workflow("moved", chain[0], schedule=schedule("timedelta", 3600), **backlog)
    project = DagProject.make(tmp_path / "versions", 'target = "kubernetes"')
    stable = DagProject.make(tmp_path / "stable", 'target = "kubernetes"')
    build: dict[str, Any] = {"start_time": now}
    old = {
        **ids(project.build(*flows, version="1.0.0", **build)),
        **ids(stable.build(moved, version="1.0.0", **build)),
    }
    deploy(airflow, project)
    deploy(airflow, stable)
    airflow.run(["dags", "reserialize"])

    def ended(dag_id: str, runs: int) -> bool:
        states = airflow.run_states(dag_id).values()
        return sum(state in {"success", "failed"} for state in states) >= runs

    with (
        HeldNode(cluster.cluster) as node,
        airflow_standalone(airflow, timeout=TIMEOUT) as standalone,
    ):
        airflow.run_in_turn(
            *(["dags", "unpause", dag_id] for dag_id in old.values()),
            ["dags", "trigger", old["daily"]],
        )
        busy = set(old.values()) - {old["consumer"]}
        standalone.wait_for(lambda: node.held == busy - {old["by_hand"]})
        airflow.run(["dags", "trigger", old["by_hand"]])
        standalone.wait_for(lambda: node.held == busy)

        new = ids(project.build(*flows, version="1.1.0", takeover=takeover, **build))
        settings = 'target = "kubernetes"\ndag-id = "workflow"'
        (stable.root / "pyproject.toml").write_text(f"[tool.bigflow.dags]\n{settings}\n")
        new |= ids(stable.build(moved, version="1.1.0", takeover=takeover, **build))
        deploy(airflow, project)
        deploy(airflow, stable)
        standalone.wait_for(lambda: all("retired" in airflow.tags(d) for d in old.values()))
        standalone.wait_for(lambda: node.held >= {new["hourly"], "moved"})
        stable.build(moved, version="1.2.0", takeover=takeover + HOUR, **build)
        deploy(airflow, stable)
        standalone.wait_for(lambda: "version:1.2.0" in airflow.tags("moved"))

        monkeypatch.setenv(USER, "admin")
        monkeypatch.setenv(PASSWORD, password(airflow))
        known = activities(standalone.url, [*busy, "no_such_dag"])
        assert known.pop("no_such_dag") is None
        assert not any(activity is None or activity.drained for activity in known.values())

        node.release()
        standalone.wait_for(lambda: ended(old["daily"], 3) and ended(old["by_hand"], 1))
        standalone.wait_for(lambda: ended(old["hourly"], 2) and ended(old["moved"], 2))
        standalone.wait_for(lambda: ended(new["hourly"], 2) and ended("moved", 2))
        standalone.wait_for(lambda: ended(new["consumer"], 1))
        known = activities(standalone.url, old.values())
        assert all(activity and activity.drained for activity in known.values())
        given = json.dumps({"days": 3, "note": "$(HOME)"})
        airflow.run(["dags", "trigger", old["by_hand"], "--conf", given])
        standalone.wait_for(lambda: ended(old["by_hand"], 2) and ended(new["consumer"], 2))

    for name in ("daily", "by_hand"):
        for run in airflow.runs(old[name]):
            done = [t for t in airflow.task_instances(old[name]) if t.run_id == run.run_id]
            assert [t.task_id for t in done] == ["first", "second"], run
    for dag_id in {*old.values(), *new.values()}:
        states = {run.state for run in airflow.runs(dag_id) if run.start < utc(hour - HOUR)}
        assert states <= {"success"}, dag_id
    days = [run.start for run in airflow.runs(old["daily"]) if run.kind == "scheduled"]
    assert days == [utc(midnight - 2 * DAY), utc(midnight - DAY)]
    assert [r.start for r in airflow.runs(new["daily"])] == (
        [] if midnight.date() == now.date() else [utc(midnight)]
    )
    for name in ("hourly", "moved"):
        before, after = ([r.start for r in airflow.runs(dags[name])] for dags in (old, new))
        expected = [utc(hour + n * HOUR) for n in range(-4, len(before) + len(after) - 4)]
        assert (before, after) == (expected[:2], expected[2:])
    versions = {
        pod.labels["bigflow-version"] for pod in cluster.pods if pod.labels["dag_id"] == "moved"
    }
    assert versions == {"1.1.0", "1.2.0"}

    assert airflow.runs(old["consumer"]) == []
    (by_hand,) = [run for run in airflow.runs(old["daily"]) if run.kind == "manual"]
    today = now.replace(hour=0, minute=0, second=0)
    command = next(
        pod.command for pod in cluster.pods if f"--run-id={by_hand.run_id}" in pod.command
    )
    assert command[5] == utc(today - DAY)
    assert {f"--interval-end={utc(today)}", "--try-number=1", "--params={}"} <= set(command)
    params = [
        word.removeprefix("--params=")
        for pod in cluster.pods
        for word in pod.command
        if word.startswith("--params=") and pod.labels["dag_id"] == old["by_hand"]
    ]
    assert [json.loads(text) for text in dict.fromkeys(params)] == [
        {"days": 7},
        {"days": 3, "note": "$$(HOME)"},
    ]


@pytest.mark.parametrize("version", ["2.11.2", "3.3.2"])
def test_a_deployment_lets_the_old_version_end_its_runs(
    version: str, cluster: Kubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is under way at the next deployment, and three more are to catch up.

    Airflow reads the files through a link, which the deployment and a rollback replace.
    """
    release = installed_airflow(airflow_release(version), tmp_path / "home")
    airflow = connect(release.with_variables(**SETTINGS), cluster)
    project = DagProject.make(tmp_path / "project", 'target = "kubernetes"')
    deployer = Deployer(project, Project(DirectoryFolder(airflow.dags), "pipelines"))
    waits: dict[str, Any] = {"operator_arguments": {"deferrable": True}, "retry_pause_sec": 1}
    hour = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0)
    flow = workflow(
        "hourly",
        job("first", **waits),
        job("second", "first", **waits),
        schedule=schedule("cron", "@hourly"),
        start_date=(hour - 4 * HOUR).isoformat(),
        start_from="start_date",
        max_active_runs=1,
        depends_on_past=False,
    )
    deployer.deploy(deployer.build("1.0.0", flow))
    (old,) = live_ids(deployer)
    airflow.run(["dags", "reserialize"])
    with (
        HeldNode(cluster.cluster) as node,
        airflow_standalone(airflow, timeout=TIMEOUT) as standalone,
    ):
        airflow.run(["dags", "unpause", old])
        standalone.wait_for(lambda: node.held == {old})
        deployer.deploy(deployer.build("1.1.0", flow))
        (new,) = live_ids(deployer)
        standalone.wait_for(lambda: "retired" in airflow.tags(old))
        standalone.wait_for(lambda: airflow.is_paused(new) is False)
        monkeypatch.setenv(USER, "admin")
        monkeypatch.setenv(PASSWORD, password(airflow))
        earlier = earlier_deployment(deployer.place, None)
        plan = deployer.deploy(live_part(earlier.manifest), airflow_url=standalone.url)
        (again,) = live_ids(deployer)
        assert not plan.removed
        standalone.wait_for(lambda: airflow.is_paused(again) is False)
        node.release()
        standalone.wait_for(lambda: "success" in airflow.run_states(old).values())
        ends = [dag.retired for dag in plan.next.manifest.dags if dag.dag_id == old]
        assert ends[0] is not None
        assert ends[0].end_date is not None
        # The hour may have passed before the deployment.
        count = (ends[0].end_date + timedelta(seconds=1) - (hour - 4 * HOUR)) // HOUR
        standalone.wait_for(lambda: list(airflow.run_states(old).values()) == ["success"] * count)
        known = activities(standalone.url, [old])[old]
        assert known is not None
        assert known.drained
        plan = deployer.deploy(deployer.build("1.2.0", flow), airflow_url=standalone.url)
        assert f"{old}_dag.py" in plan.removed
        # The processor reports a file that is removed while it reads it, until it looks again.
        standalone.wait_for(lambda: "No data found" in import_errors(airflow))
    assert [r.start for r in airflow.runs(old)] == [
        utc(hour + n * HOUR) for n in range(-4, count - 4)
    ]
    starts = [r.start for dag_id in (old, new, again) for r in airflow.runs(dag_id)]
    assert len(set(starts)) == len(starts)  # no interval runs twice
    for run in airflow.runs(old):
        done = [t for t in airflow.task_instances(old) if t.run_id == run.run_id]
        assert [t.task_id for t in done] == ["first", "second"], run


def import_errors(airflow: Airflow) -> str:
    return airflow.run(["dags", "list-import-errors"], check=False).stdout


def live_ids(deployer: Deployer) -> list[str]:
    current = deployer.place.current()
    assert current is not None
    return [dag.dag_id for dag in current.manifest.dags if dag.retired is None]


def ids(made: DagFiles) -> dict[str, str]:
    """Return workflow id -> DAG id."""
    return {file.workflow_id: file.dag_id for file in made.files}


def utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def password(airflow: Airflow) -> str:
    """Return the password of the user ``admin``, which ``airflow standalone`` has written."""
    if airflow.major == 2:
        return (airflow.home / "standalone_admin_password.txt").read_text().strip()
    passwords = (airflow.home / "simple_auth_manager_passwords.json.generated").read_text()
    return str(json.loads(passwords)["admin"])
