"""A project built as its developer builds it: in git, in an environment of its own, to the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import uv

from bigflow_backend.image.dockerfile import STANDARD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["BuiltProject", "build_project_copy"]

_OUTPUTS = ("dist", "build", ".dags", ".image", "*.egg-info", "__pycache__")
_AUTHOR = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "A developer"), ("EMAIL", "developer@example.com"))
}


@dataclass(frozen=True)
class BuiltProject:
    """The project after ``build_image`` and ``build_dags``."""

    root: Path
    python: Path
    """The interpreter of the developer's environment."""

    @property
    def dag_files(self) -> list[Path]:
        return sorted((self.root / ".dags").glob("*_dag.py"))

    @property
    def image(self) -> str:
        """The image that the DAGs name."""
        return (self.root / ".dags" / "image_version.txt").read_text("utf-8").strip()

    def dag_id(self, workflow_id: str) -> str:
        """The id of the DAG of a workflow."""
        (name,) = [f.name for f in self.dag_files if f.name.startswith(f"{workflow_id}__v")]
        return name.removesuffix("_dag.py")

    def run(self, *command: str) -> str:
        """Runs ``python COMMAND`` in the project; failing fails the test."""
        return _call([self.python, *command], cwd=self.root)


def build_project_copy(
    source: Path,
    target: Path,
    *,
    wheels: Path,
    image_options: Sequence[str],
    version: str,
    start_time: str,
) -> BuiltProject:
    """Copies a project into a git repository, tags the version, builds its image and its DAGs.

    One without a Dockerfile gets the standard one. ``wheels`` is a directory with the wheel of
    bigflow-backend.
    """
    project = BuiltProject(target / "project", target / "venv" / "bin" / "python")
    shutil.copytree(source, project.root, ignore=shutil.ignore_patterns(*_OUTPUTS))
    if not (project.root / "Dockerfile").exists():
        shutil.copy(STANDARD, project.root / "Dockerfile")
    for arguments in (
        ["init", "--quiet"],
        ["add", "--all"],
        ["commit", "--quiet", "--message", "A version of the project"],
        ["tag", f"v{version}"],
    ):
        _call(["git", *arguments], cwd=project.root, environment=_AUTHOR)
    _call([uv.find_uv_bin(), "venv", "--quiet", "--python", sys.executable, target / "venv"])
    _call(
        [
            uv.find_uv_bin(), "pip", "install", "--quiet", "--python", project.python,
            "--find-links", wheels, "bigflow-backend[build]",
            "--requirement", project.root / "resources" / "requirements.txt",
        ]
    )  # fmt: skip
    project.run(
        "project_setup.py", "build_image", f"--find-links={wheels}", "--no-export-image-tar",
        *image_options,
    )  # fmt: skip
    project.run("project_setup.py", "build_dags", f"--start-time={start_time}")
    return project


def _call(
    command: list[str | Path],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    # Nothing of the environment that runs the tests reaches the project's.
    inherited = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**inherited, "GIT_CONFIG_GLOBAL": os.devnull, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}")
    return done.stdout
