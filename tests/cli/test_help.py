"""The help of each command, and JSON for machines."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.cli.commands import COMMANDS, read_call
from bigflow_backend.cli.manual import MANUALS, manual
from bigflow_backend.cli.rerun import parse_line
from bigflow_backend.ground.settings.values import leaves
from bigflow_backend.project.settings import ImageSettings
from support.commands import bigflow
from support.git_repository import Repository, isolate_git
from support.projects import Project, write_project

if TYPE_CHECKING:
    from pathlib import Path

_WORKFLOW = """\
import bigflow
class Count(bigflow.Job):
    def execute(self, context): pass
load, count = Count("load"), Count("count")
rides = bigflow.Workflow("rides", [load, count])
"""
_WITHOUT_JSON = {"completion", "pod", "rerun"}
"""Commands whose result is JSON, a script, or the output of jobs."""


@pytest.mark.parametrize("command", [["--help"], ["config", "--json"], ["completion", "bash"]])
def test_a_reader_that_ends(tmp_path: Path, command: list[str]) -> None:
    project = write_project(tmp_path / "project")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "bigflow", *command],
        cwd=project.root,
        env=project.environment,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("command", [["--help"], ["config", "--json"], ["completion", "bash"]])
def test_a_full_disk(tmp_path: Path, command: list[str]) -> None:
    project = write_project(tmp_path / "project")
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "bigflow", *command],
            cwd=project.root,
            env=project.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    problem, fix = done.stderr.decode().splitlines()
    assert problem == "bigflow: error: cannot write: No space left on device"
    assert fix == "  free some space on the disk"


def test_each_command_has_a_manual() -> None:
    assert set(MANUALS) == set(COMMANDS)
    assert all(found.examples for found in MANUALS.values())


@pytest.mark.parametrize(
    "example", [example for found in MANUALS.values() for example in found.examples]
)
def test_the_examples_are_valid(example: str) -> None:
    words = shlex.split(example)
    if words[0] == "eval":  # eval "$(bigflow completion bash)"
        words = shlex.split(words[1].strip("$()"))
    assert words[0] == "bigflow"

    def no_project() -> None:
        raise AssertionError

    call = read_call(COMMANDS[words[1]], words[2:], prog=words[1], project=no_project)  # type: ignore[arg-type]
    if words[1] == "rerun":
        assert parse_line(call.values.line).id == "daily.load"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command(name: str, tmp_path: Path) -> None:
    done = bigflow(Project(tmp_path, {"COLUMNS": "100"}), name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    usage, description, *_ = done.stdout.split("\n\n")
    assert usage.startswith(f"usage: bigflow {name} ")
    assert description[0].isupper()
    assert description.endswith(".")
    assert done.stdout.rstrip().endswith(manual(name))


def test_the_settings_of_a_command() -> None:
    keys = [leaf.path[-1].replace("_", "-") for leaf in leaves(ImageSettings)]
    image = " ".join(manual("build-image").split("[tool.bigflow.image]")[1].split())
    assert [key for key in keys if f"{key}," in image or key in image.split()] == keys
    assert "[tool.bigflow.dags]" not in manual("build-image")
    assert "settings" not in manual("completion")


def test_the_options_are_in_groups(tmp_path: Path) -> None:
    text = bigflow(Project(tmp_path, {}), "build", "--help").stdout
    titles = ["\nproject:\n", "\nimage:\n", "\nDAGs:\n", "\noutput:\n", "\nexamples:\n"]
    assert [text.count(title) for title in titles] == [1] * len(titles)
    assert text.index("image:") < text.index("--base-image IMAGE ") < text.index("DAGs:")


def test_the_list_of_commands(tmp_path: Path) -> None:
    project = Project(tmp_path, {})
    done = bigflow(project, "--help")
    assert done.returncode == 0
    listed = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")}
    assert {*COMMANDS, "run"} <= listed
    without = bigflow(project)
    assert (without.returncode, without.stdout, without.stderr) == (2, "", done.stdout)


def test_each_command_with_a_result_prints_json() -> None:
    has_json = {n for n, c in COMMANDS.items() if any("--json" in o.names for o in c.options)}
    assert has_json == set(COMMANDS) - _WITHOUT_JSON


@pytest.mark.parametrize(
    ("arguments", "error", "fix"),
    [
        (["build", "--confg", "x"], "bigflow build: unknown argument '--confg'", "--config?"),
        (["graph"], "bigflow graph: the following arguments are required", "bigflow graph --help"),
        (["biuld"], "unknown command 'biuld'", "did you mean build?"),
        (["logs"], "the command 'logs' of BigFlow 1.x is not part", "kubectl logs"),
    ],
)
def test_wrong_usage_with_json(tmp_path: Path, arguments: list[str], error: str, fix: str) -> None:
    done = bigflow(Project(tmp_path, {}), *arguments, "--json")
    assert done.returncode == 2
    printed = json.loads(done.stdout)
    assert error in printed["error"]
    assert fix in printed["fix"]
    assert done.stderr.startswith(f"bigflow: error: {printed['error']}")


def test_a_graph_as_json(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", {"pipelines/workflow.py": _WORKFLOW})
    assert json.loads(bigflow(project, "graph", "rides", "--json").stdout) == {
        "workflow": "rides",
        "jobs": [{"id": "load", "after": []}, {"id": "count", "after": ["load"]}],
    }


def test_a_release_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isolate_git(monkeypatch, tmp_path)
    project = write_project(tmp_path / "project", {})
    repository = Repository(project.root)
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"], ["tag", "v1.2.0"]):
        repository.git(*command)
    repository.git("commit", "--allow-empty", "-qm", "more")
    project = Project(project.root, {})
    planned = json.loads(bigflow(project, "release", "--no-push", "--dry-run", "--json").stdout)
    assert (planned["tag"], planned["previous"], planned["done"]) == ("v1.3.0", "1.2.0", False)
    released = json.loads(bigflow(project, "release", "--no-push", "--json").stdout)
    assert released == {**planned, "done": True}
    assert "v1.3.0" in repository.git("tag").split()
