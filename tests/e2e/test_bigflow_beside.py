"""BigFlow 1.11.3 itself in the same environment: what is reported, and whether the hint helps."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.distribution import bigflow_wheels  # noqa: F401
from support.environments import Environment, make_environment
from support.projects import Project, write_project

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

_HOOK = "import bigflow_backend as b; b.build_wheel('.')"
_OURS = ["-m bigflow_backend pv", "project_setup.py build_package", f'-c "{_HOOK}"']
_SCRIPTS = ["bin/bigflow pv", "bin/bf pv", "-m bigflow pv"]


def run(environment: Environment, project: Project, command: str) -> tuple[int, list[str]]:
    """Run a script of the environment, or its Python, in the project; return status and lines."""
    program = str(environment.root) if command.startswith("bin/") else str(environment.python)
    separator = "/" if command.startswith("bin/") else " "
    done = subprocess.run(
        ["sh", "-c", f"{program}{separator}{command}"],
        cwd=project.root,
        env={**os.environ, "PIP_FIND_LINKS": str(environment.wheels), "BIGFLOW_VERSION": "1.2.0"},
        input="y\n",
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize("order", ["BigFlow first", "BigFlow last"])
def test_every_command_reports_bigflow(
    tmp_path: Path,
    bigflow_wheels: Path,  # noqa: F811
    order: str,
) -> None:
    project = write_project(tmp_path / "project")
    environment = make_environment(tmp_path / "environment", bigflow_wheels)
    environment.uv("pip", "install", "--quiet", "pip")
    bigflow = ("pip", "install", "--quiet", "--no-deps", "bigflow==1.11.3")
    environment.uv(*bigflow)
    if order == "BigFlow first":
        environment.uv("pip", "install", "--quiet", "--reinstall", "--no-deps", "bigflow-backend")
    # If BigFlow is installed last, its own scripts and modules run.
    commands = [*_OURS, *(_SCRIPTS if order == "BigFlow first" else [])]
    hints = set()
    for command in commands:
        status, (message, hint) = run(environment, project, command)
        assert status == 1
        assert message.startswith("bigflow: error: BigFlow and bigflow-backend are both installed")
        hints.add(hint.strip().replace("python3", "python"))
    ((uninstall, reinstall),) = (hint.split(" && ") for hint in hints)
    for step, first in ((uninstall, None), (reinstall, "files of bigflow-backend are missing")):
        if first is not None:
            for command in _OURS:
                status, (message, hint) = run(environment, project, command)
                assert (status, hint.strip()) == (1, reinstall)
                assert first in message
        done = subprocess.run(
            step,
            shell=True,
            env={**os.environ, "PIP_FIND_LINKS": str(bigflow_wheels), "PIP_NO_INDEX": "1"},
            input="y\n",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    for command in (*_SCRIPTS, "-m bigflow_backend pv"):
        assert run(environment, project, command) == (0, [])
