"""A build with the manifest of what is deployed: who runs which interval, and the retired files."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.dags.manifest import read_manifest
from bigflow_backend.ground.errors import UserError
from support.descriptions import DagProject, DagSource, schedule, workflow

if TYPE_CHECKING:
    from pathlib import Path

    from bigflow_backend.dags.build import DagFiles
    from bigflow_backend.project.workflows import WorkflowDescription

TAKEOVER = datetime(2026, 1, 10, 10, 30, tzinfo=timezone.utc)
DAY = timedelta(days=1)
LATER = datetime(2026, 1, 10, 3, tzinfo=timezone.utc)


@pytest.fixture
def project(tmp_path: Path) -> DagProject:
    return DagProject.make(tmp_path / "project")


def redeploy(
    project: DagProject, old: WorkflowDescription, new: WorkflowDescription, **build: Any
) -> DagFiles:
    """Build one version, then the next one, which takes over at ``TAKEOVER``."""
    project.build(old, version="1.2.0")
    return project.build(
        new, **{"version": "1.3.0", "start_time": LATER, "takeover": TAKEOVER, **build}
    )


def entries(project: DagProject) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((project.dags / "manifest.json").read_text())["dags"]
    return found


@pytest.mark.parametrize(
    ("old", "new", "times"),
    [
        # The interval that the takeover is in belongs to the new version.
        ("@daily", "@daily", ("01-09 23:59:59", "01-10 00:00", "01-11 00:00")),
        ("@hourly", "@hourly", ("01-10 09:59:59", "01-10 10:00", "01-10 11:00")),
        ("30 10 * * *", "30 10 * * *", ("01-10 10:29:59", "01-10 10:30", "01-11 10:30")),
        ("@monthly", "@monthly", ("12-31 23:59:59", "01-01 00:00", "02-01 00:00")),
        (7200, 7200, ("01-10 08:59:59", "01-10 09:00", "01-10 11:00")),
        (7 * 3600, 7 * 3600, ("01-10 09:59:59", "01-10 10:00", "01-10 17:00")),
        # Another schedule: the old version runs until the first boundary of the new one.
        ("@hourly", "@daily", ("01-10 23:59:59", "01-11 00:00", "01-11 01:00")),
        ("@daily", "@hourly", ("01-09 23:59:59", "01-10 00:00", "01-11 00:00")),
        ("30 2 * * *", "0 6 * * *", ("01-10 02:29:59", "01-10 06:00", "01-11 02:30")),
        ("@daily", 3600, ("01-09 23:59:59", "01-10 00:00", "01-11 00:00")),
    ],
)
def test_each_interval_belongs_to_one_version(
    project: DagProject, old: Any, new: Any, times: tuple[str, str, str]
) -> None:
    """The times are the end date of the old DAG, the start of the new one, and the time limit."""

    def flow(value: Any) -> WorkflowDescription:
        kind = "cron" if isinstance(value, str) else "timedelta"
        return workflow("w", schedule=schedule(kind, value), start_date="2025-12-30T01:00:00+00:00")

    made = redeploy(project, flow(old), flow(new))
    (retired,) = made.retired
    assert retired.retired is not None
    live, _ = entries(project)
    assert (
        f"{retired.retired.end_date:%m-%d %H:%M:%S}",
        f"{datetime.fromisoformat(live['start_date']):%m-%d %H:%M}",
        f"{made.deploy_before:%m-%d %H:%M}",
    ) == times


def test_the_boundary_is_that_of_the_time_zone(project: DagProject) -> None:
    flow = workflow("w", timezone="Europe/Warsaw", start_date="2026-01-01T00:00:00+01:00")
    redeploy(project, flow, flow)
    live, retired = entries(project)
    assert live["start_date"] == "2026-01-10T00:00:00+01:00"
    assert retired["retired"]["end_date"] == "2026-01-09 22:59:59"


def test_a_first_runtime_in_the_future_is_the_boundary(project: DagProject) -> None:
    later = workflow("w", start_date="2026-02-01T00:00:00+00:00")
    redeploy(project, workflow("w"), later)
    live, retired = entries(project)
    assert live["start_date"] == "2026-02-01T00:00:00+00:00"
    assert retired["retired"]["end_date"] == "2026-01-31 23:59:59"


def test_a_version_that_has_not_started_hands_over_everything(project: DagProject) -> None:
    flow = workflow("w", start_date="2026-03-01T00:00:00+00:00")
    redeploy(project, flow, flow)
    live, retired = entries(project)
    assert live["start_date"] == "2026-03-01T00:00:00+00:00"
    assert retired["retired"]["end_date"] == "2026-02-28 23:59:59"


def test_once_runs_once(project: DagProject) -> None:
    flow = workflow("w", schedule=schedule("once"))
    made = redeploy(project, flow, flow)
    source = DagSource((project.root / made.files[0].path).read_text())
    assert source.dag["schedule"] is None
    # The version after it sees a workflow that has run, too.
    project.build(flow, version="1.4.0", takeover=TAKEOVER + DAY)
    assert DagSource(files(project)[0].read_text()).dag["schedule"] is None


def test_once_that_has_not_run_is_handed_over(project: DagProject) -> None:
    flow = workflow("w", schedule=schedule("once"), start_date="2026-03-01T00:00:00+00:00")
    made = redeploy(project, flow, flow)
    assert DagSource((project.root / made.files[0].path).read_text()).dag["schedule"] == "@once"
    assert entries(project)[1]["retired"]["end_date"] == "2026-02-28 23:59:59"


@pytest.mark.parametrize("kind", ["none", "once"])
def test_a_new_schedule_begins_at_its_own_first_runtime(project: DagProject, kind: str) -> None:
    redeploy(project, workflow("w", schedule=schedule(kind)), workflow("w"))
    assert entries(project)[0]["start_date"] == "2026-01-01T00:00:00+00:00"


def test_a_rebuild_of_the_deployed_version_keeps_its_start(project: DagProject) -> None:
    flow = workflow("w")
    redeploy(project, flow, flow)
    before = entries(project)
    made = project.build(flow, version="1.3.0", start_time=LATER, takeover=TAKEOVER + DAY)
    live, retired = entries(project)
    assert (live["start_date"], retired) == (before[0]["start_date"], before[1])
    assert made.deploy_before is None


def test_a_retired_dag_is_written_again_until_it_is_drained_or_old(project: DagProject) -> None:
    flow = workflow("w")
    redeploy(project, flow, flow)
    first, second = entries(project)[1], entries(project)[0]
    project.build(flow, version="1.4.0", takeover=TAKEOVER + DAY)
    assert [dag["dag_id"] for dag in entries(project)[1:]] == [second["dag_id"], first["dag_id"]]
    assert entries(project)[2] == first
    made = project.build(
        flow, version="1.5.0", takeover=TAKEOVER + 2 * DAY, drained=[first["dag_id"]]
    )
    assert [dag.dag_id for dag in made.left_out] == [first["dag_id"]]
    made = project.build(flow, version="1.6.0", takeover=TAKEOVER + 32 * DAY)
    assert [dag.dag_id for dag in made.left_out] == [second["dag_id"]]


def test_a_removed_workflow_retires(project: DagProject) -> None:
    project.build(workflow("w"), workflow("gone"))
    made = project.build(workflow("w"), takeover=TAKEOVER)
    assert [dag.workflow for dag in made.retired] == ["gone"]
    assert made.deploy_before is None


def test_a_build_of_one_workflow_leaves_the_others_as_they_are(project: DagProject) -> None:
    project.build(workflow("w"), workflow("other"), version="1.2.0")
    before = {path.name: path.read_bytes() for path in files(project)}
    project.build(workflow("w"), version="1.3.0", takeover=TAKEOVER, only=["w"])
    after = {path.name: path.read_bytes() for path in files(project)}
    (name,) = [name for name in before if name.startswith("other")]
    assert after[name] == before[name]
    assert [bool(dag["retired"]) for dag in entries(project)] == [False, False, True]


def files(project: DagProject) -> list[Path]:
    return [project.dags / dag["file"] for dag in entries(project)]


def test_the_file_of_a_retired_dag(project: DagProject) -> None:
    project.build(workflow("w", tags=("a",)))
    old = files(project)[0].read_text()
    redeploy(project, workflow("w", tags=("a",)), workflow("w"))
    live, retired = (path.read_text() for path in files(project))
    assert retired.startswith(old)
    assert retired.endswith(
        "\n\nretire(dag, pendulum.datetime(2026, 1, 9, 23, 59, 59, tz='UTC'))\n"
    )
    assert "is_paused_upon_creation = False" in live
    assert "is_paused_upon_creation" not in retired


EXTENDS = '{% extends "bigflow/dag.py.j2" %}{% block dag %}'
TASKS = """\
{% for task in dag.tasks %}
    KubernetesPodOperator(task_id={{ task.task_id }}, dag=flow)
{% endfor %}
{% endblock %}"""


@pytest.mark.parametrize(
    "dag", ["with DAG({{ dag.dag_id }}) as flow:\n", "flow = DAG({{ dag.dag_id }})\nif flow:\n"]
)
def test_a_template_with_another_name_of_the_dag(tmp_path: Path, dag: str) -> None:
    project = DagProject.make(tmp_path / "project", 'template = "dag.j2"')
    (project.root / "dag.j2").write_text(f"{EXTENDS}{dag}{TASKS}")
    redeploy(project, workflow("w"), workflow("w"))
    assert "\nretire(flow, " in files(project)[1].read_text()


def test_a_template_without_a_variable_for_the_dag(tmp_path: Path) -> None:
    project = DagProject.make(tmp_path / "project", 'template = "dag.j2"')
    (project.root / "dag.j2").write_text(f"{EXTENDS}with DAG({{{{ dag.dag_id }}}}):\n{TASKS}")
    with pytest.raises(UserError, match=r"cannot be retired: it has no `with DAG"):
        redeploy(project, workflow("w"), workflow("w"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: "nonsense", "is not valid JSON"),
        (lambda _: "[]", "must be an object"),
        (lambda text: text.replace('"schema": 2', '"schema": 1'), "has the schema 1"),
        (lambda text: text.replace('"source"', '"sauce"'), "has no .*source"),
        (lambda text: text.replace('"file": "', '"file": "../'), r"not valid: \.\./"),
        (lambda text: text.replace('"kind": "cron"', '"kind": "moon"'), "schedule cannot be"),
        (lambda text: text.replace("2026-01-01T00", "2026-21-01T00"), "a time that is not valid"),
        (lambda text: text.replace('"timezone": "UTC"', '"timezone": 7'), "timezone.*not a string"),
    ],
)
def test_a_file_that_is_not_a_manifest(project: DagProject, change: Any, message: str) -> None:
    project.build(workflow("w"))
    manifest = project.dags / "manifest.json"
    manifest.write_text(change(manifest.read_text()))
    with pytest.raises(UserError, match=message):
        read_manifest(project.dags)


def test_the_manifest_of_another_project(project: DagProject) -> None:
    project.build(workflow("w"))
    manifest = project.dags / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"package": "pipelines"', '"package": "o"'))
    with pytest.raises(UserError, match="are those of the package 'o'"):
        project.build(workflow("w"), takeover=TAKEOVER)


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        read_manifest(tmp_path)
