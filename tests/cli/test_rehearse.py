"""The workflow that ``bigflow rehearse`` names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.commands import bigflow
from support.projects import write_project

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "one workflow must be named: got none"),
        (("daily", "--workflow", "ALL"), "one workflow must be named: got 'daily' and 'ALL'"),
        (("--workflow", "dayly"), ".dags has no DAG of a workflow 'dayly'"),
        (("dayly",), ".dags has no DAG of a workflow 'dayly'"),
    ],
)
def test_the_name_of_the_workflow(tmp_path: Path, arguments: tuple[str, ...], problem: str) -> None:
    manifest = """{"schema": 2, "package": "x", "version": "1", "commit": null, "image": "x:1",
        "start_time": "2026-01-01", "deploy_before": null, "only": [], "dags": []}"""
    project = write_project(tmp_path / "project", {".dags/manifest.json": manifest})
    message, _ = bigflow(project, "rehearse", *arguments).error
    assert message.endswith(problem)
