"""Fixtures: the scenarios, built without an engine, and the command on them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from support.built_project import build_project_copy
from support.projects import PROJECTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.built_project import BuiltProject

SECRETS = '[secrets.db-password]\ndb_password = "s3cr3t"\n'


@dataclass(frozen=True)
class Rehearsed:
    """The end of the command."""

    status: int
    result: Any
    """The JSON of its stdout."""
    progress: str

    def state(self, job: str) -> str:
        """Return the state of a job of the only workflow."""
        (workflow,) = self.result["workflows"]
        (state,) = (task["state"] for task in workflow["tasks"] if task["job"] == job)
        return str(state)

    def tries(self, job: str) -> list[str]:
        """Return the states after the tries of a job."""
        (workflow,) = self.result["workflows"]
        (tries,) = (task["tries"] for task in workflow["tasks"] if task["job"] == job)
        return [one["state"] for one in tries]

    @property
    def last_line(self) -> str:
        """The last line of the log of the only failed job."""
        (workflow,) = self.result["workflows"]
        (lines,) = (task["last_lines"] for task in workflow["tasks"] if task["last_lines"])
        return str(lines[-1])


@pytest.fixture(scope="session")
def rehearsed_project(
    bigflow_wheels: Path,
    base_archive: str,
    tmp_path_factory: pytest.TempPathFactory,
    bubblewrap: str,
) -> BuiltProject:
    """Build ``tests/projects/scenarios`` with the layered builder. Its pods run in a sandbox."""
    project = build_project_copy(
        PROJECTS / "scenarios",
        tmp_path_factory.mktemp("rehearsed"),
        wheels=bigflow_wheels,
        image_options=(f"--base-image={base_archive}", "--builder=layered", "--export-image-tar"),
        version="0.1.0",
        start_time="2026-07-01 00:00:00",
    )
    (project.root / "rehearsal.toml").write_text(SECRETS)
    return project


@pytest.fixture
def rehearse(rehearsed_project: BuiltProject) -> Callable[..., Rehearsed]:
    """Return a function that runs the command with these arguments, in a sandbox."""

    def run(
        *arguments: str, runtime: str = "sandbox", root: Path = rehearsed_project.root
    ) -> Rehearsed:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "bigflow_backend", "rehearse", *arguments),
                *("--runtime", runtime, "--json", "--python", str(rehearsed_project.python)),
            ],
            cwd=root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        result = json.loads(done.stdout) if done.stdout else None
        return Rehearsed(done.returncode, result, done.stderr)

    return run
