"""Commands import only what they need, so that they start at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.cli.commands import COMMANDS
from bigflow_backend.cli.summaries import SUMMARIES
from support.git_repository import isolate_git
from support.projects import write_project

if TYPE_CHECKING:
    from pathlib import Path

_MODULES = """
import sys
from bigflow_backend.command import main
sys.argv = ["bigflow", *sys.argv[1:]]
try:
    main()
except SystemExit:
    pass
print(*sys.modules)
"""
_LIBRARIES = {"docker", "jinja2", "packaging", "requests", "setuptools", "tomlkit", "uv"}
_OF_NO_QUICK_COMMAND = {"hmac", "logging", "pkgutil", "random", "runpy", "tempfile"}
_WORKFLOW = """\
import bigflow
class Count(bigflow.Job):
    id = "count"
    def execute(self, context): pass
rides = bigflow.Workflow("rides", [Count()], schedule_interval="@daily")
"""


def imported(directory: Path, *arguments: str) -> set[str]:
    """Return the modules that ``bigflow ARGUMENTS`` imports, without those of .pth files."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, "-S", "-c", _MODULES, *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


def test_help(tmp_path: Path) -> None:
    modules = imported(tmp_path, "--help")
    ours = {name for name in modules if name.startswith("bigflow_backend.")}
    assert "bigflow_backend.cli.summaries" in ours
    assert not {name for name in ours if name.startswith(("bigflow_backend.project",))}
    heavy = _LIBRARIES | _OF_NO_QUICK_COMMAND | {"dataclasses", "inspect", "json", "subprocess"}
    assert not modules & heavy


def test_project_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isolate_git(monkeypatch, tmp_path)
    project = write_project(tmp_path / "project", {"pyproject.toml": "[tool.bigflow]\n"})
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"], ["tag", "v1.0.0"]):
        subprocess.run(["git", *command], cwd=project.root, check=True)
    modules = imported(project.root, "project-version")
    assert "bigflow_backend.version.sources" in modules
    assert not modules & _OF_NO_QUICK_COMMAND
    assert not modules & (_LIBRARIES - {"packaging"})
    others = ("bigflow_backend.image", "bigflow_backend.dags", "bigflow_backend.wheel")
    assert not {name for name in modules if name.startswith((*others, "bigflow_backend.pipeline"))}
    assert "bigflow_backend.version.release" not in modules


def test_workflows(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", {"pipelines/workflow.py": _WORKFLOW})
    modules = imported(project.root, "workflows")
    assert "bigflow_backend.dags.timetable" in modules
    assert not modules & (_LIBRARIES - {"packaging", "jinja2"})
    assert not {name for name in modules if name.startswith("bigflow_backend.image.")}


def test_each_command_has_a_summary() -> None:
    assert set(SUMMARIES) == set(COMMANDS)
    assert {name: command.help for name, command in COMMANDS.items()} == SUMMARIES


@pytest.mark.parametrize("is_new", [True, False])
def test_bytecode_is_kept_where_python_keeps_it(
    is_new: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python would not see that a module changed twice within a second."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    project = write_project(tmp_path / "project", {"pipelines/workflow.py": _WORKFLOW})
    moment = time.time() + 3600 if is_new else time.time() - 3600
    for path in project.root.rglob("*.py"):
        os.utime(path, (moment, moment))
    command = [sys.executable, "-m", "bigflow_backend", "workflows"]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("rides: ")
    kept = {path.name.partition(".")[0] for path in project.root.rglob("*.pyc")}
    assert kept == (set() if is_new else {"__init__", "workflow"})
