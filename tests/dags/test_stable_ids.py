"""``dag-id = "workflow"``: one DAG for all versions of a workflow."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import UserError
from support.descriptions import COMMIT, IMAGE, DagProject, DagSource, workflow

if TYPE_CHECKING:
    from pathlib import Path

STABLE = 'dag-id = "workflow"'
FIXED = {"start_date": "2026-01-01T00:00:00+00:00", "start_from": "start_date"}
TAKEOVER = datetime(2026, 1, 10, 10, 30, tzinfo=timezone.utc)


def entries(project: DagProject) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((project.dags / "manifest.json").read_text())["dags"]
    return found


def test_the_files_of_two_versions_have_one_name(tmp_path: Path) -> None:
    project = DagProject.make(tmp_path / "project", STABLE)
    flow = workflow("daily", tags=("weather",), doc_md="Rain.", **FIXED)
    sources = []
    for version in ("1.2.0", "1.3.0"):
        (file,) = project.build(flow, version=version).files
        assert (file.dag_id, file.path.name) == ("daily", "daily_dag.py")
        sources.append(DagSource(file.path.read_text()))
    old, new = sources
    assert old.dag["start_date"] == new.dag["start_date"]
    assert new.dag["tags"] == [
        *("weather", "version:1.3.0", f"commit:{COMMIT}", "image:pipelines:1.2.0"),
    ]
    facts = f"- version: `1.3.0`\n- commit: `{COMMIT}`\n- image: `{IMAGE}`\n"
    assert f"dag.doc_md = {f'Rain.{chr(10)}{chr(10)}{facts}'!r}" in new.text.replace("(\n", "")
    assert new.tasks["load"]["labels"] == {
        "bigflow-workflow": "daily",
        "bigflow-job": "load",
        "bigflow-version": "1.3.0",
        "bigflow-image": new.tasks["load"]["labels"]["bigflow-image"],
        "bigflow-commit": COMMIT,
    }


@pytest.mark.parametrize("origin", ["default", "factory"])
def test_a_start_date_that_moves_with_the_build(tmp_path: Path, origin: str) -> None:
    project = DagProject.make(tmp_path / "project", STABLE)
    with pytest.raises(UserError, match="first runtime moves with each build") as caught:
        project.build(workflow("daily", start_from=origin))
    assert 'start_date="2026-01-31"' in caught.value.hint


def test_the_start_date_of_the_project(tmp_path: Path) -> None:
    project = DagProject.make(tmp_path / "project", f'{STABLE}\nstart-date = "2026-02-01"')
    own = workflow("own", **FIXED)
    project.build(workflow("daily", timezone="Europe/Warsaw"), own)
    assert [dag["start_date"] for dag in entries(project)] == [
        *("2026-02-01T00:00:00+01:00", "2026-01-01T00:00:00+00:00"),
    ]
    with pytest.raises(UserError, match="has a start_time_factory"):
        project.build(workflow("daily", start_from="factory"))


def test_the_start_date_of_the_project_with_versioned_ids(tmp_path: Path) -> None:
    project = DagProject.make(tmp_path / "project", 'start-date = "2026-02-01 06:00:00"')
    project.build(workflow("daily"), workflow("other", start_from="factory"))
    assert [dag["start_date"] for dag in entries(project)] == [
        *("2026-02-01T06:00:00+00:00", "2026-01-01T00:00:00+00:00"),
    ]


@pytest.mark.parametrize("text", ["soon", "2026-02-30", "2026-01-01 00:00:00.5", ""])
def test_a_start_date_of_the_project_that_is_not_one(tmp_path: Path, text: str) -> None:
    project = DagProject.make(tmp_path / "project", f'start-date = "{text}"')
    with pytest.raises(UserError, match="start-date"):
        project.build(workflow("daily"))


def test_from_versioned_to_stable_ids_and_on(tmp_path: Path) -> None:
    project = DagProject.make(tmp_path / "project")
    flow = workflow("daily", **FIXED)
    project.build(flow)
    settings = project.root / "pyproject.toml"
    settings.write_text(f"[tool.bigflow.dags]\n{STABLE}\n")
    made = project.build(flow, version="1.3.0", takeover=TAKEOVER)
    stable, old = entries(project)
    assert (stable["dag_id"], stable["start_date"]) == ("daily", "2026-01-10T00:00:00+00:00")
    assert old["retired"]["end_date"] == "2026-01-09 23:59:59"
    assert "dag.is_paused_upon_creation = False" in made.files[0].path.read_text()
    # The start date of the deployed DAG stays, although the workflow has an earlier one.
    project.build(flow, version="1.4.0", takeover=TAKEOVER.replace(month=3))
    assert [(dag["dag_id"], dag["start_date"]) for dag in entries(project)] == [
        ("daily", "2026-01-10T00:00:00+00:00")
    ]
    # Back to ids with versions.
    settings.write_text("[tool.bigflow.dags]\n")
    project.build(flow, version="1.5.0", takeover=TAKEOVER.replace(month=4))
    new, stable = entries(project)
    assert new["start_date"] == "2026-04-10T00:00:00+00:00"
    assert (stable["dag_id"], stable["retired"]["end_date"]) == ("daily", "2026-04-09 23:59:59")
