"""Other projects of the repository: the wheel names them by version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bigflow_backend.project.members import local_projects, pinned
from bigflow_backend.project.pyproject import read_pyproject
from support.projects import write_project

if TYPE_CHECKING:
    from pathlib import Path

_MEMBER = '[project]\nname = "{}"\nversion = "{}"\n'


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    write_project(
        tmp_path,
        {
            "pyproject.toml": '[tool.uv.workspace]\nmembers = ["packages/*"]\n'
            "[tool.uv.sources]\nshared-code = { workspace = true }\n",
            "packages/shared/pyproject.toml": _MEMBER.format("Shared_Code", "0.1.0"),
            "packages/reports/pyproject.toml": _MEMBER.format("reports", "1.0")
            + "[tool.uv.sources]\nbeside = { path = '../../beside' }\n"
            "six = { index = 'private' }\nmissing = { path = '../missing' }\n",
            "beside/pyproject.toml": _MEMBER.format("beside", "2.0rc1"),
            "dynamic/pyproject.toml": '[project]\nname = "dynamic"\ndynamic = ["version"]\n',
        },
    )
    return tmp_path


def test_sources_of_the_project_and_its_workspace(workspace: Path) -> None:
    root = workspace / "packages/reports"
    found = local_projects(root, read_pyproject(root))
    assert found == {
        "shared-code": workspace / "packages/shared",
        "beside": workspace / "beside",
    }
    assert pinned("shared_code[fast]>=0.1; python_version > '3'", found) == (
        'shared_code[fast]==0.1.0; python_version > "3"'
    )
    assert pinned("beside @ file:///somewhere", found) == "beside==2.0rc1"
    assert pinned("six>=1", found) == "six>=1"


def test_a_dynamic_version_is_not_known(workspace: Path) -> None:
    projects = {"dynamic": workspace / "dynamic"}
    assert pinned("dynamic>=1", projects) == "dynamic>=1"
    assert pinned("dynamic @ file:../dynamic", projects) == "dynamic"


def test_a_project_without_sources(tmp_path: Path) -> None:
    assert local_projects(tmp_path, {}) == {}
