"""A stale lock ends a build in CI before anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.commands import bigflow
from support.projects import Project, write_project

if TYPE_CHECKING:
    from pathlib import Path

_PYPROJECT = """\
[build-system]
requires = ["bigflow-backend"]
build-backend = "bigflow_backend"
[project]
name = "pipelines"
version = "1.2.0"
dependencies = ["alpha>=2"]
"""
_PYLOCK = """\
lock-version = "1.0"
created-by = "test"
[[packages]]
name = "alpha"
version = "1.0"
[[packages.wheels]]
name = "alpha-1.0-py3-none-any.whl"
url = "https://example.com/alpha-1.0-py3-none-any.whl"
hashes = { sha256 = "0" }
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Its test fails, and its lock is older than its list."""
    return write_project(
        tmp_path / "project",
        {
            "pyproject.toml": _PYPROJECT,
            "pylock.toml": _PYLOCK,
            "resources/requirements.txt": None,
            "deployment_config.py": "1 / 0\n",
            "test/test_rides.py": "def test_fails():\n    assert False\n",
        },
    )


@pytest.mark.parametrize("command", ["build", "build-image"])
def test_a_stale_lock_is_the_first_error_of_a_build(project: Project, command: str) -> None:
    done = bigflow(project, command, CI="true")
    problem, fix = done.error
    assert problem.endswith("than pyproject.toml: alpha>=2 does not allow alpha==1.0")
    assert fix.strip() == "make it again with the tool that made it"
    assert "testing" not in done.stderr
    assert "deployment_config.py" in bigflow(project, command, CI="").error[0]
