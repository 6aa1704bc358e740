"""``bigflow check``: DAG files in a real Airflow that the command installs by itself."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.projects import Project, write_project

if TYPE_CHECKING:
    from collections.abc import Mapping

CACHE = Path(__file__).parents[2] / ".cache" / "bigflow"
FILES = {
    "pipelines/workflow.py": """\
from bigflow import Job, Workflow

class Step(Job):
    def execute(self, context):
        pass

rides = Workflow("rides", [Step("load"), Step("report")])
alarmed = Workflow("alarmed", [Step("load")], on_failure_callback="team_alerts.failed")
""",
    "deployment_config.py": "from bigflow import DeploymentConfig\n"
    "config = DeploymentConfig('dev', {'docker_repository': 'registry.example.com/rides'})\n",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = write_project(tmp_path_factory.mktemp("check") / "project", FILES)
    done = project.run("-m", "bigflow", "build-dags", "-t", "2026-01-02")
    assert done.returncode == 0, done.stderr
    (project.root / "plugins").mkdir()
    (project.root / "plugins" / "team_alerts.py").write_text("def failed(context): ...\n")
    return project


def check(project: Project, *arguments: str, status: int, **environment: str) -> list[str]:
    """The lines of the result, or of the error."""
    variables = {"BIGFLOW_CACHE": str(CACHE), **environment}
    done = project.run("-m", "bigflow", "check", *arguments, **variables)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return (done.stdout or done.stderr).splitlines()


@pytest.mark.airflow
class TestInAirflow:
    def test_what_fails_is_told_and_what_does_not(self, project: Project) -> None:
        head, alarmed, rides, total = check(project, status=1)
        assert head.startswith("Airflow 3.3.")
        assert alarmed == (
            "fails  alarmed__v1_2_0__2026_01_02_00_00_00_dag.py:"
            " ModuleNotFoundError: No module named 'team_alerts'"
        )
        assert rides == "ok     rides__v1_2_0__2026_01_02_00_00_00: load, report"
        assert total == "2 files, 1 with errors"

    def test_pythonpath_may_lead_to_a_callback(self, project: Project) -> None:
        said = check(project, status=0, PYTHONPATH=str(project.root / "plugins"))
        assert said[-1] == "2 files, 0 with errors"

    def test_for_machines(self, project: Project) -> None:
        answer = json.loads("\n".join(check(project, "--json", status=1)))
        assert answer["airflow"].startswith("3.3.")
        assert answer["provider"].startswith("10.")
        alarmed, rides = answer["files"]
        assert rides == {
            "name": "rides__v1_2_0__2026_01_02_00_00_00_dag.py",
            "errors": [],
            "warnings": [],
            "dags": {"rides__v1_2_0__2026_01_02_00_00_00": ["load", "report"]},
        }
        assert "team_alerts" in alarmed["errors"][0]

    @pytest.mark.parametrize(
        ("text", "last_line"),
        [
            ("import airflow\nassert airflow\n", "fails  x_dag.py: it has 0 DAGs, not one"),
            (
                (
                    "import warnings\nfrom airflow.sdk import DAG\n"
                    "warnings.warn('old', stacklevel=1)\ndag = DAG('x', schedule=None)\n"
                ),
                "warns  x_dag.py: old",
            ),
        ],
    )
    def test_files_of_other_hands(self, tmp_path: Path, text: str, last_line: str) -> None:
        project = write_project(tmp_path / "project", {".dags/x_dag.py": text})
        said = check(project, status=1 if last_line.startswith("fails") else 0)
        assert said[-2] == last_line


@pytest.mark.parametrize("release", ["2.6", "9.9", "3", "3.3.2.1", "latest", "3.x", ""])
def test_what_is_no_release(project: Project, release: str) -> None:
    assert check(project, f"--airflow={release}", status=1) == [
        f"bigflow: error: --airflow {release!r} is no release that DAG files are made for",
        "  write one from 2.7 on, such as 3.3 or 2.10.5",
    ]


def test_no_files(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project")
    assert check(project, status=1) == [
        f"bigflow: error: there are no DAG files in {project.root}/.dags",
        "  make them: bigflow build-dags",
    ]


class TestInstalling:
    """What can go wrong before there is an Airflow; nothing of it stays behind."""

    @staticmethod
    def fails(project: Project, cache: Path, environment: Mapping[str, str]) -> list[str]:
        said = check(project, "--airflow", "2.8", status=1, BIGFLOW_CACHE=str(cache), **environment)
        assert [path.name for path in (cache / "airflow").iterdir() if path.is_dir()] == []
        return said[-2:]

    def test_an_index_that_cannot_be_reached(self, project: Project, tmp_path: Path) -> None:
        nowhere = "http://127.0.0.1:9/simple"
        indexes = {"UV_DEFAULT_INDEX": nowhere, "UV_INDEX_URL": nowhere, "UV_HTTP_RETRIES": "0"}
        message, hint = self.fails(project, tmp_path, {**indexes, "UV_NO_CACHE": "1"})
        assert message.startswith("bigflow: error: Airflow 2.8 cannot be installed: ")
        assert "Connection refused" in message
        assert hint == "  see that there is such a release, and that the package index answers"

    def test_offline(self, project: Project, tmp_path: Path) -> None:
        message, _ = self.fails(project, tmp_path, {"UV_OFFLINE": "1", "UV_NO_CACHE": "1"})
        assert message.startswith("bigflow: error: Airflow 2.8 cannot be installed: ")

    @pytest.mark.airflow
    @pytest.mark.parametrize("release", ["3.99", "2.7.99"])
    def test_a_release_that_there_is_not(
        self, project: Project, tmp_path: Path, release: str
    ) -> None:
        said = check(project, "--airflow", release, status=1, BIGFLOW_CACHE=str(tmp_path))
        assert said[-2].startswith(f"bigflow: error: there is no Airflow {release} for Python 3.")
        assert said[-1] == "  write a release that there is, such as 3.3 or 2.10.5"

    def test_no_uv(self, project: Project, tmp_path: Path) -> None:
        (tmp_path / "uv.py").write_text("def find_uv_bin():\n    raise FileNotFoundError\n")
        environment = {"PYTHONPATH": str(tmp_path), "PATH": str(tmp_path)}
        assert self.fails(project, tmp_path, environment) == [
            "bigflow: error: installing an Airflow needs uv, which is not installed",
            "  pip install 'bigflow-backend[build]'",
        ]

    def test_a_cache_that_cannot_be_written(self, project: Project, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        place = tmp_path / "file" / "airflow"
        assert check(project, status=1, BIGFLOW_CACHE=str(tmp_path / "file")) == [
            f"bigflow: error: cannot write to {place}: {os.strerror(20)}",
            "  set BIGFLOW_CACHE to a directory of yours",
        ]
