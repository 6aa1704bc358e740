"""A project whose workflows are written by a test, built through the ``bigflow`` command."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from support.descriptions import DagSource
from support.projects import Project, write_project

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

__all__ = ["PRELUDE", "START", "Flows"]

START = "2026-01-02 03:00:00"
_DEPLOYMENT = """\
from bigflow import DeploymentConfig

deployment_config = DeploymentConfig(
    "dev", {"docker_repository": "registry.example.com/rides-dev"}
).add_configuration("prod", {"docker_repository": "registry.example.com/rides"})
"""
PRELUDE = """\
import datetime
import pathlib
import bigflow

class Step(bigflow.Job):
    def execute(self, context):
        print("executed", self.id)

"""
_GOOD = PRELUDE + 'good = bigflow.Workflow("good", [Step("load")])\n'


@dataclass(frozen=True)
class Flows:
    """A project whose workflows are written by a test, and the commands that are run in it."""

    project: Project

    @property
    def dags(self) -> Path:
        return self.project.root / ".dags"

    def write(self, code: str = "", **modules: str) -> Flows:
        """``code`` is what ``pipelines/workflow.py`` says after its imports and a class of jobs;
        each of ``modules`` becomes another module there, as it is."""
        files = {f"pipelines/{name}.py": text for name, text in modules.items()}
        self.project.write(files)
        if code:
            self.project.write({"pipelines/workflow.py": PRELUDE + textwrap.dedent(code)})
        return self

    def build(self, *options: str, **environment: str) -> dict[str, Any]:
        """Builds the DAGs; the manifest."""
        done = self._build(*options, **environment)
        assert done.returncode == 0, done.stderr
        manifest: dict[str, Any] = json.loads((self.dags / "manifest.json").read_text("utf-8"))
        return manifest

    def refusal(self, *options: str, status: int = 1) -> str:
        """The message of a build that is refused, which leaves the files of the last one alone."""
        before = self.project.files()
        done = self._build(*options)
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert self.project.files() == before
        lines = done.stderr.splitlines()
        if status == 2:  # wrong usage, which argparse tells
            return lines[-1]
        *_, message, hint = lines
        assert message.startswith("bigflow: error: ")
        assert hint.startswith("  ")
        return message.removeprefix("bigflow: error: ")

    def source(self, workflow_id: str) -> DagSource:
        """The DAG file of a workflow."""
        (file,) = self.dags.glob(f"{workflow_id}__v*_dag.py")
        return DagSource(file.read_text("utf-8"))

    def run_pod(self, workflow_id: str, job_id: str) -> str:
        """Runs the command of a pod of the DAG file, as Airflow would fill it in; its output."""
        task = self.source(workflow_id).tasks[job_id]
        command = [*task["cmds"], *task["arguments"]]
        filled = {"RUNTIME": "2026-01-01 00:00:00", "CONFIG": "dev"}
        done = self.project.run(*[filled.get(word, word) for word in command[1:]])
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _build(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        start = () if any(o.startswith("--start") for o in options) else (f"--start-time={START}",)
        return self.project.run("-m", "bigflow", "build-dags", *start, *options, **environment)


@pytest.fixture
def flows(tmp_path: Path) -> Flows:
    """With one workflow, and the DAG of it as the last build left it."""
    files = {"deployment_config.py": _DEPLOYMENT, "pipelines/good.py": _GOOD}
    built = Flows(write_project(tmp_path / "rides", files))
    built.build()
    return built
