"""Progress in a real terminal, in a pipe, and with -q and -v."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

import pytest

from support.matrix import matrix, rest_slow
from support.projects import Project, write_project
from support.terminal import Running, started

if TYPE_CHECKING:
    from pathlib import Path

_MODULE = [sys.executable, "-m", "bigflow_backend"]
_WORKFLOW = """\
import bigflow
class Count(bigflow.Job):
    id = "count"
    def execute(self, context): pass
rides = bigflow.Workflow("rides", [Count()], schedule_interval="@daily")
"""
_DEPLOYMENT = """\
from bigflow import DeploymentConfig
deployment_config = DeploymentConfig("dev", {"docker_repository": "example.org/rides"})
"""
_FILES = {
    "pipelines/workflow.py": _WORKFLOW,
    "deployment_config.py": _DEPLOYMENT,
    "test/test_rides.py": "def test_rides(): pass\n",
}
_HIDDEN, _SHOWN = "\x1b[?25l", "\x1b[?25h"
_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")
_SECONDS = r"[0-9.]+ s"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    written = write_project(tmp_path / "project", _FILES)
    environment = {"BIGFLOW_VERSION": "1.0.0", "PYTHONIOENCODING": "utf-8", "NO_COLOR": ""}
    return Project(written.root, {**written.environment, **environment, "FORCE_COLOR": ""})


def run(project: Project, *arguments: str, in_terminal: bool, **environment: str) -> Running:
    command, variables = [*_MODULE, *arguments], {**project.environment, **environment}
    with started(command, project.root, variables, in_terminal=in_terminal) as running:
        running.finish()
    return running


def lines(text: str) -> list[str]:
    """Return the lines that are left on a terminal that had the text."""
    return [line for line in _SEQUENCE.sub("\n", text).split("\n") if line.strip()]


def test_a_terminal_gets_a_line_for_each_step(project: Project) -> None:
    running = run(project, "build-package", in_terminal=True)
    assert running.process.returncode == 0, running.output
    assert running.output.count(_HIDDEN) == running.output.count(_SHOWN) == 2
    left = lines(running.output)
    marks = [i for i, line in enumerate(left) if line == "✓"]
    assert [left[i + 1].strip() for i in marks] == [
        "testing test/",
        "building the wheel of pipelines 1.0.0",
    ]
    assert all(re.fullmatch(_SECONDS, left[i + 2]) for i in marks)
    assert re.search(rf"done in {_SECONDS}; next: bigflow build\b", left[-1])


def test_a_pipe_gets_plain_lines_with_times(project: Project) -> None:
    running = run(project, "build-dags", in_terminal=False)
    assert running.output.isprintable() or "\x1b" not in running.output
    found = running.output.splitlines()
    assert found[0] == "finding the workflows"
    assert re.fullmatch(f"finding the workflows: {_SECONDS}", found[1])
    assert re.search(f"^done in {_SECONDS}; next: ", running.output, re.MULTILINE)


@pytest.mark.parametrize("in_terminal", rest_slow([True, False], quick=[True]))
def test_quiet_prints_the_result_alone(project: Project, in_terminal: bool) -> None:
    running = run(project, "build-package", "--quiet", "--json", in_terminal=in_terminal)
    assert json.loads(running.output)["tests"]["tests"] == 1
    before_the_command = run(project, "-q", "build-package", "--json", in_terminal=in_terminal)
    assert json.loads(before_the_command.output)["tests"]["tests"] == 1


@matrix("options, in_terminal", (["-q"], []), (True, False))
def test_the_output_of_a_failed_step_is_shown(
    project: Project, in_terminal: bool, options: list[str]
) -> None:
    project.write({"test/test_rides.py": "def test_rides(): assert 'the cause' == 1\n"})
    running = run(project, "build-package", *options, in_terminal=in_terminal)
    assert running.process.returncode == 1
    output = _SEQUENCE.sub("", running.output)
    assert output.index("the cause") < output.index("bigflow: error: the project's tests failed")


def test_verbose_prints_each_command_without_secrets(project: Project) -> None:
    project.write({"resources/requirements.in": "--index-url https://ada:hunter2@localhost:1/x\n"})
    running = run(project, "build-dags", "-v", in_terminal=True)
    left = lines(running.output)
    (command,) = [line for line in left if "-m bigflow describe " in line]
    assert re.fullmatch(r"\+ .* --root \S+", command), "it is in one piece"
    assert any(re.fullmatch("\\S finding the workflows  " + _SECONDS, line) for line in left)
    assert "hunter2" not in running.output


@pytest.mark.parametrize(
    ("in_terminal", "variables", "is_coloured"),
    [
        (True, {}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colours(
    project: Project, in_terminal: bool, variables: dict[str, str], is_coloured: bool
) -> None:
    running = run(project, "biuld", in_terminal=in_terminal, **variables)
    assert ("\x1b[1;31mbigflow: error:\x1b[0m unknown" in running.output) == is_coloured
    assert ("\x1b" in running.output) == is_coloured


@pytest.mark.parametrize("keeps", [True, False])
def test_lines_of_a_step_that_stay(project: Project, *, keeps: bool) -> None:
    code = (
        "from bigflow_backend.ground.progress import print_progress, step\n"
        f"with step('title', keeps_lines={keeps}): print_progress('one')\n"
    )
    command, variables = [sys.executable, "-c", code], project.environment
    with started(command, project.root, variables, in_terminal=True) as running:
        assert running.finish() == 0
    assert ("one" in lines(running.output)) == keeps  # not as a detail, behind the title


def test_a_narrow_terminal_without_colours(project: Project) -> None:
    """Each line of a step fits: a longer one would stay on the terminal."""
    project.write({"test/test_rides.py": "def test_rides(): print('写' * 100)\n"})
    running = run(project, "build-package", in_terminal=True, COLUMNS="30", NO_COLOR="1")
    assert running.process.returncode == 0, running.output
    assert not re.search(r"\x1b\[[0-9;]*m", running.output)
    moving = re.findall(r"[\u2800-\u28ff] [^\x1b\r\n]*", running.output)
    assert moving
    assert all(len(line) < 30 for line in moving)


def test_a_slow_import_shows_that_the_command_lives(project: Project, tmp_path: Path) -> None:
    """The module waits until the test has seen the line of the step move."""
    go_on = tmp_path / "go on"
    wait = f"import os, time\nwhile not os.path.exists({str(go_on)!r}): time.sleep(0.01)\n"
    project.write({"pipelines/workflow.py": f"print('mine')\n{wait}{_WORKFLOW}"})
    command = [*_MODULE, "workflows"]
    with started(command, project.root, project.environment, in_terminal=True) as running:
        running.read_until(lambda text: len(set(re.findall(rf"workflows  {_SECONDS}", text))) > 2)
        go_on.touch()
        assert running.finish() == 0
    assert "mine\r\n" in running.output
    assert "rides: " in running.output
