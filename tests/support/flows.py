"""A project whose workflows a test writes, built with the ``bigflow`` command."""

from __future__ import annotations

import json
import re
import shutil
import textwrap
from dataclasses import dataclass, replace
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
    """A project whose workflows a test writes, and its commands."""

    project: Project

    @property
    def dags(self) -> Path:
        return self.project.root / ".dags"

    def write(self, code: str = "", **modules: str) -> Flows:
        """Write ``code`` to ``pipelines/workflow.py``, after imports and a class of jobs.

        Each of ``modules`` becomes another module in ``pipelines/``, without additions.
        """
        files = {f"pipelines/{name}.py": text for name, text in modules.items()}
        self.project.write(files)
        if code:
            self.project.write({"pipelines/workflow.py": PRELUDE + textwrap.dedent(code)})
        return self

    def build(self, *options: str, **environment: str) -> dict[str, Any]:
        """Build the DAGs. Return the manifest."""
        done = self._build(*options, **environment)
        assert done.returncode == 0, done.stderr
        manifest: dict[str, Any] = json.loads((self.dags / "manifest.json").read_text("utf-8"))
        return manifest

    def refusal(self, *options: str, status: int = 1) -> str:
        """Return the message of a build that fails. The files of the last build must not change."""
        before = self.project.files()
        done = self._build(*options)
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert self.project.files() == before
        lines = done.stderr.splitlines()
        if status == 2:  # wrong usage, an error of argparse
            return lines[-1]
        *_, message, hint = lines
        assert message.startswith("bigflow: error: ")
        assert hint.startswith("  ")
        return message.removeprefix("bigflow: error: ")

    def source(self, workflow_id: str) -> DagSource:
        """Return the DAG file of a workflow."""
        (file,) = self.dags.glob(f"{workflow_id}__v*_dag.py")
        return DagSource(file.read_text("utf-8"))

    def run_pod(self, workflow_id: str, job_id: str) -> str:
        """Run the command of a pod in the DAG file, with rendered templates. Return its output."""
        task = self.source(workflow_id).tasks[job_id]
        command = [*task["cmds"], *task["arguments"]]
        filled = {"RUNTIME": "2026-01-01 00:00:00", "CONFIG": "dev"}
        words = [filled.get(word, word) for word in command[1:]]
        # A run without an interval, and without anything else that Airflow knows.
        done = self.project.run(*(re.sub(r"=\{\{.*\}\}", "=", word) for word in words))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _build(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        start = () if any(o.startswith("--start") for o in options) else (f"--start-time={START}",)
        return self.project.run("-m", "bigflow", "build-dags", *start, *options, **environment)


@pytest.fixture(scope="session")
def built_flows(tmp_path_factory: pytest.TempPathFactory) -> Flows:
    """Create a project with one workflow, and build its DAG. Tests get copies."""
    files = {"deployment_config.py": _DEPLOYMENT, "pipelines/good.py": _GOOD}
    built = Flows(write_project(tmp_path_factory.mktemp("flows") / "rides", files))
    built.build()
    return built


@pytest.fixture
def flows(built_flows: Flows, tmp_path: Path) -> Flows:
    """Return a project with one workflow, whose DAG is built."""
    root = tmp_path / "rides"
    shutil.copytree(built_flows.project.root, root, symlinks=True)
    return Flows(replace(built_flows.project, root=root))
