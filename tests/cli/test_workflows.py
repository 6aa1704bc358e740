"""``bigflow workflows`` and ``bigflow graph``."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from support import commands
from support.projects import Project, write_project

if TYPE_CHECKING:
    from pathlib import Path

_WORKFLOWS = """\
from datetime import timedelta
from bigflow import Job, Workflow, hourly_start_time

class Step(Job):
    def execute(self, context):
        pass

load, rain, wind, report = map(Step, ("load", "rain", "wind", "report"))
nightly = Workflow(
    "nightly", {load: [rain, wind], rain: [report], wind: [report]}, "30 2 * * *",
    timezone="Europe/Warsaw",
)
latest = Workflow("latest", [Step("copy")], timedelta(hours=6), hourly_start_time, catchup=False)
by_hand = Workflow("by_hand", [Step("copy")], None)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return write_project(tmp_path / "project", {"pipelines/workflow.py": _WORKFLOWS})


def bigflow(project: Project, *arguments: str, status: int = 0, **environment: str) -> list[str]:
    """Return the lines of the result, or of the error."""
    done = commands.bigflow(project, *arguments, **environment)
    assert done.returncode == status, done.stderr
    return (done.stdout or done.stderr).splitlines()


def test_the_runs_of_a_deployment_before_the_clocks_go_forward(project: Project) -> None:
    """On 29 March, the clocks of Warsaw skip 2:30, so that the run starts at 3:30."""
    assert bigflow(project, "workflows", "-t", "2026-03-29 10:00:00", "--next", "2") == [
        "by_hand: only by hand, 1 job, pipelines.workflow",
        "latest: every 6:00:00, 1 job, pipelines.workflow",
        (
            "  starts 2026-03-29 16:00+00:00  for 2026-03-29 10:00+00:00"
            "  --runtime '2026-03-29 10:00:00'"
        ),
        (
            "  starts 2026-03-29 22:00+00:00  for 2026-03-29 16:00+00:00"
            "  --runtime '2026-03-29 16:00:00'"
        ),
        "nightly: 30 2 * * * Europe/Warsaw, 4 jobs, pipelines.workflow",
        (
            "  starts 2026-03-29 03:30+02:00  for 2026-03-28 02:30+01:00"
            "  --runtime '2026-03-28 01:30:00'"
        ),
        (
            "  starts 2026-03-30 02:30+02:00  for 2026-03-29 03:30+02:00"
            "  --runtime '2026-03-29 01:30:00'"
        ),
    ]


def test_the_list_as_json(project: Project) -> None:
    lines = bigflow(project, "workflows", "--json", "--next", "1", "-t", "2026-01-02")
    answer = json.loads("\n".join(lines))
    assert answer["start_time"] == "2026-01-02 00:00:00"
    assert [workflow["id"] for workflow in answer["workflows"]] == ["by_hand", "latest", "nightly"]
    assert answer["workflows"][2] == {
        "id": "nightly",
        "module": "pipelines.workflow",
        "schedule": {"kind": "cron", "value": "30 2 * * *"},
        "timezone": "Europe/Warsaw",
        "start_date": "2026-01-01T00:00:00+01:00",
        "catchup": True,
        "jobs": ["load", "rain", "wind", "report"],
        "runs": [
            {
                "runtime": "2026-01-01 01:30:00",
                "data_interval_start": "2026-01-01T02:30:00+01:00",
                "data_interval_end": "2026-01-02T02:30:00+01:00",
            }
        ],
    }


def test_an_error_of_a_workflow_is_reported_as_by_the_build(project: Project) -> None:
    project.write({"pipelines/workflow.py": _WORKFLOWS.replace("30 2 * * *", "61 2 * * *")})
    for command in (["workflows"], ["graph", "nightly"]):
        assert bigflow(project, *command, status=1)[0].startswith(
            "bigflow: error: workflow 'nightly': schedule_interval is '61 2 * * *', not a valid"
        )


def test_the_graph_of_a_workflow_ignores_the_others(project: Project) -> None:
    twice = "latest_too = Workflow('nightly', [Step('copy')])\n"
    project.write({"pipelines/another.py": "from pipelines.workflow import *\n" + twice})
    assert bigflow(project, "graph", "latest") == ["latest", "  copy"]
    assert (
        "two workflows have the id 'nightly'" in bigflow(project, "graph", "nightly", status=1)[0]
    )


def test_the_configuration_that_workflows_resolve(project: Project) -> None:
    added = """
from bigflow import Config
config = Config("dev", {"at": "@daily"}).add_configuration("prod", {"at": "@hourly"})
sync = Workflow("sync", [Step("copy")], config.resolve_property("at"))
"""
    project.write({"pipelines/workflow.py": _WORKFLOWS + added})
    assert "sync: @daily UTC, 1 job, pipelines.workflow" in bigflow(project, "workflows")
    listed = bigflow(project, "workflows", "--config", "prod")
    assert "sync: @hourly UTC, 1 job, pipelines.workflow" in listed
    assert bigflow(project, "graph", "sync", "-c", "test", status=1) == [
        (
            "bigflow: error: the project has no workflow 'sync'; modules that cannot be imported:"
            " pipelines/workflow.py, line 18: unknown configuration 'test' (importing"
            " pipelines.workflow)"
        ),
        "  give one of: dev, prod",
    ]


def test_an_unknown_configuration(project: Project) -> None:
    call = 'DeploymentConfig("dev", {"docker_repository": "registry.example.com/rides"})'
    project.write(
        {
            "deployment_config.py": "from bigflow.configuration import DeploymentConfig\n"
            f"deployment_config = {call}\n"
        }
    )
    bigflow(project, "workflows", "--config", "dev")
    for command in (["workflows"], ["graph", "nightly"]):
        refused = bigflow(project, *command, "--config", "nope", status=1)
        assert "unknown configuration 'nope'" in refused[0]


@pytest.mark.parametrize("number", ["x", "-1", "1001"])
def test_a_number_of_runs_that_is_not_valid(project: Project, number: str) -> None:
    assert bigflow(project, "workflows", f"--next={number}", status=1) == [
        f"bigflow: error: --next must be a number from 0 to 1000: got {number!r}",
        "  such as --next 5",
    ]


def test_a_reader_that_ends_early(project: Project) -> None:
    command = [sys.executable, "-m", "bigflow", "workflows", "--next", "1000"]
    with subprocess.Popen(
        command, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("by_hand")
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 128 + signal.SIGPIPE


def test_the_graph(project: Project) -> None:
    assert bigflow(project, "graph", "nightly") == [
        "nightly",
        "  load",
        "  rain    after load",
        "  wind    after load",
        "  report  after rain, wind",
    ]


def test_the_graph_as_mermaid(project: Project) -> None:
    assert bigflow(project, "graph", "by_hand", "--mermaid") == [
        "flowchart TD",
        '    job1["copy"]',
    ]


def test_the_graph_as_a_picture(project: Project) -> None:
    root = ET.fromstring("\n".join(bigflow(project, "graph", "nightly", "--svg")))
    tips = [title.text for title in root.findall("{*}g/{*}title")]
    assert tips[:4] == [
        "rain waits for load",
        "wind waits for load",
        "report waits for rain",
        "report waits for wind",
    ]
    facts = "retry_count 3\nretry_pause_sec 60\nexecution_timeout_sec 10800"
    assert tips[-1] == f"report\nwaits for rain\nwaits for wind\n{facts}"
    assert bigflow(project, "graph", "nightly", "--svg", "--mermaid", status=1) == [
        "bigflow: error: bigflow graph prints one form: got --mermaid --svg",
        "  keep --mermaid",
    ]


def test_an_unknown_workflow(project: Project) -> None:
    assert bigflow(project, "graph", "daily", status=1) == [
        "bigflow: error: the project has no workflow 'daily'",
        "  its workflows are: by_hand, latest, nightly",
    ]
