"""Fixes of mistakes that new users made: each is right, and safe to obey."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from support.commands import bigflow
from support.projects import Project, write_project

if TYPE_CHECKING:
    from pathlib import Path

_DEPLOYMENT = (
    "from bigflow import DeploymentConfig\n"
    "config = DeploymentConfig('dev', {'docker_repository': 'registry.example.com/x'})\n"
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return write_project(tmp_path / "project", {"deployment_config.py": _DEPLOYMENT})


@pytest.mark.parametrize(
    ("arguments", "problem", "fix"),
    [
        (["--base-image", "base.tar"], "a path without its transport", "docker-archive:base.tar"),
        (["--base-image", "./base"], "a path without its transport", "oci:./base"),
        (["--base-image", "docker-archiv:b.tar"], "no known transport", "docker-archive:b.tar"),
        (["--load"], "--load needs an engine: no Docker Engine answers", "without --load"),
    ],
)
def test_an_image_that_cannot_be_built_fails_before_the_wheel(
    project: Project, arguments: list[str], problem: str, fix: str
) -> None:
    nowhere = f"unix://{project.root}/none.sock"
    done = bigflow(project, "build-image", *arguments, DOCKER_HOST=nowhere)
    assert done.returncode == 1
    assert problem in done.stderr
    assert fix in done.stderr.splitlines()[-1]
    assert "building the wheel" not in done.stderr


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("--index-ur https://example.com", "did you mean '--index-url'?"),
        ("-e .", "write the name and the version of the distribution, or `NAME @ URL`"),
        ("./library", "write `NAME @ URL`"),
    ],
)
def test_a_wrong_line_of_requirements_fails_before_the_tests(
    project: Project, line: str, fix: str
) -> None:
    project.write(
        {
            "resources/requirements.txt": f"{line}\n",
            "test/test_rides.py": "def test_rides(): pass\n",
        }
    )
    done = bigflow(project, "build")
    assert "requirements.txt, line 1: " in done.error[0]
    assert done.error[1].strip().startswith(fix)
    assert "testing" not in done.stderr


def test_the_build_system_of_bigflow(project: Project) -> None:
    """The hint `pip install bigflow` would overwrite the package."""
    path = project.root / "pyproject.toml"
    path.write_text(path.read_text("utf-8").replace("bigflow-backend", "bigflow==1.11.3"))
    project.write({"test/test_rides.py": "def test_rides(): pass\n"})
    done = bigflow(project, "build-package")
    assert done.returncode == 0, done.stderr
    assert 'write requires = ["bigflow-backend"] into [build-system]' in done.stderr
    assert "pip install" not in done.stderr


def test_one_equals_sign(project: Project) -> None:
    (project.root / "resources/requirements.txt").write_text("pandas=2.0\n")
    done = bigflow(project, "build-package")
    assert done.stderr.splitlines()[-1] == "  write pandas==2.0, with two equals signs"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("resources/sql/day.sql", "resources/sql is a directory, and resources/ is flat"),
        ("pipelines/daily/load.py", "has no __init__.py"),
    ],
)
@pytest.mark.parametrize("command", ["build", "build-package"])
def test_files_that_no_wheel_can_have_fail_before_the_tests(
    project: Project, command: str, path: str, problem: str
) -> None:
    project.write({path: "", "test/test_rides.py": "def test_rides(): pass\n"})
    done = bigflow(project, command)
    assert problem in done.error[0]
    assert "testing" not in done.stderr


def test_an_option_among_the_dependencies(project: Project) -> None:
    table = '[project]\nname = "x"\nversion = "1"\ndependencies = ["--index-url=x"]\n'
    path = project.root / "pyproject.toml"
    path.write_text(path.read_text("utf-8") + table)
    assert "equals signs" not in bigflow(project, "build-package").error[1]


def test_outside_of_a_project(project: Project) -> None:
    shutil.rmtree(project.root)
    project.root.mkdir()
    done = bigflow(project, "build")
    assert "`bigflow start-project NAME`" in done.stderr
    assert "`bigflow init`" in done.stderr


def test_an_unknown_configuration_of_a_job_has_no_traceback(project: Project) -> None:
    (project.root / "pipelines/workflow.py").write_text(
        "from bigflow import Config, Job, Workflow\n"
        "class Step(Job):\n"
        "    def execute(self, context):\n"
        "        Config('dev', {}).resolve(context.env)\n"
        "w = Workflow('w', [Step('a')])\n"
    )
    done = bigflow(project, "run", "--job", "w.a", "--config", "prd")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "workflow.py, line 4: unknown configuration 'prd'" in done.stderr
    assert "give one of: dev" in done.stderr


def test_a_new_repository_has_no_commit(tmp_path: Path) -> None:
    assert bigflow(Project(tmp_path, {}), "start-project", "reports").returncode == 0
    done = bigflow(Project(tmp_path / "reports", {}), "project-version")
    assert "has no commit yet" in done.stderr  # not: .git_archival.txt is not filled in


def test_an_error_with_json_is_json_on_stdout(project: Project) -> None:
    done = bigflow(project, "build-dags", "--config", "prd", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "error": "unknown configuration 'prd'",
        "fix": "give one of: dev",
    }
    assert done.stderr.splitlines()[-2] == "bigflow: error: unknown configuration 'prd'"
