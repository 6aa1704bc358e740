"""``bigflow project-version`` and ``bigflow release``, and one version for all artifacts."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from support import commands
from support.git_repository import Repository, isolate_git
from support.projects import Project, write_project

if TYPE_CHECKING:
    from pathlib import Path

_SETUP = """\
from pathlib import Path
from bigflow_backend import setup
PROJECT_NAME = "pipelines"
if __name__ == "__main__":
    setup(name=PROJECT_NAME, version={})
"""
_FILES = {
    "pipelines/workflow.py": """\
from bigflow import Job, Workflow
class Count(Job):
    def execute(self, context):
        pass
rides = Workflow(workflow_id="rides", definition=[Count("count")])
""",
    "deployment_config.py": """\
from bigflow import DeploymentConfig
deployment_config = DeploymentConfig("dev", {"docker_repository": "example.org/rides"})
""",
}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A project in a repository, committed and tagged v1.2.0, with a remote."""
    isolate_git(monkeypatch, tmp_path)
    project = write_project(tmp_path / "project", _FILES)
    repository = Repository(project.root)
    repository.git("init", "--quiet", "--bare", str(tmp_path / "remote.git"))
    for command in (
        ["init", "-q"],
        ["remote", "add", "origin", str(tmp_path / "remote.git")],
        ["add", "."],
        ["commit", "-qm", "all"],
        ["tag", "v1.2.0"],
    ):
        repository.git(*command)
    return repository


def bigflow(repository: Repository, *arguments: str, status: int = 0) -> str:
    done = commands.bigflow(Project(repository.path, {}), *arguments)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


@pytest.mark.parametrize("name", ["project-version", "pv"])
def test_the_version_of_the_work_tree_and_of_a_commit(repository: Repository, name: str) -> None:
    assert bigflow(repository, name) == "1.2.0\n"
    head = repository.commit()
    assert bigflow(repository, name) == f"1.2.1.dev1+g{head[:12]}\n"
    assert bigflow(repository, name, "--git-commit", "HEAD~1") == "1.2.0\n"


def test_the_version_as_json(repository: Repository) -> None:
    head = repository.commit()
    found = json.loads(bigflow(repository, "pv", "--json"))
    assert found["version"] == f"1.2.1.dev1+g{head[:12]}"
    assert found["image_tag"] == f"1.2.1.dev1-g{head[:12]}"
    assert found["commit"] == head


def test_wheel_and_dags_have_the_version(repository: Repository) -> None:
    head = repository.commit()[:12]
    bigflow(repository, "build-package")
    bigflow(repository, "build-dags", "--start-time", "2026-01-01")
    (wheel,) = (repository.path / "dist").iterdir()
    assert wheel.name == f"pipelines-1.2.1.dev1+g{head}-py3-none-any.whl"
    dag = f"rides__v1_2_1_dev1_g{head}__2026_01_01_00_00_00_dag.py"
    text = (repository.path / ".dags" / dag).read_text("utf-8")
    assert f"'example.org/rides:1.2.1.dev1-g{head}'" in text


@pytest.mark.parametrize(
    "value", ['"3.4.0"', 'Path("VERSION").read_text().strip()', '".".join(["3", "4", "0"])']
)
def test_a_version_of_the_setup_script_is_the_same_everywhere(
    repository: Repository, value: str
) -> None:
    Project(repository.path, {}).write(
        {"project_setup.py": _SETUP.format(value), "VERSION": "3.4.0\n"}
    )
    repository.git("add", "project_setup.py", "VERSION")
    repository.git("commit", "--quiet", "--message=version")
    assert bigflow(repository, "pv") == "3.4.0\n"
    bigflow(repository, "build-package")
    assert [p.name for p in (repository.path / "dist").iterdir()] == [
        "pipelines-3.4.0-py3-none-any.whl"
    ]
    script = Project(repository.path, {}).run("project_setup.py", "--version")
    assert script.stdout == "3.4.0\n"


def test_a_setup_script_that_fails_is_reported_once(repository: Repository) -> None:
    Project(repository.path, {}).write({"project_setup.py": _SETUP.format("1 / 0")})
    done = commands.python(Project(repository.path, {}), "-m", "bigflow", "pv")
    message, _ = done.error
    assert message == (
        "bigflow: error: project_setup.py, line 5: ZeroDivisionError: division by zero"
    )


def test_release_prints_its_plan_tags_and_pushes(repository: Repository) -> None:
    head = repository.commit()
    plan = bigflow(repository, "release", "--dry-run")
    assert "pipelines 1.2.0 -> 1.3.0" in plan
    assert f"tag v1.3.0 on {head[:12]}" in plan
    assert "nothing was done" in plan
    assert repository.tags() == ["v1.2.0"]
    assert "v1.3.0 was created and pushed to origin" in bigflow(repository, "release")
    assert repository.git("ls-remote", "--tags", "origin").count("refs/tags/v1.3.0") == 2
    assert bigflow(repository, "pv") == "1.3.0\n"


@pytest.mark.parametrize(
    ("arguments", "version"),
    [(["major"], "2.0.0"), (["patch"], "1.2.1"), (["1.4.0rc1"], "1.4.0rc1"), ([], "1.3.0")],
)
def test_release_raises_the_wanted_number(
    repository: Repository, arguments: list[str], version: str
) -> None:
    bigflow(repository, "release", *arguments, "--no-push")
    assert f"v{version}" in repository.tags()


def test_a_release_that_cannot_be_pushed_leaves_no_tag(repository: Repository) -> None:
    shutil.rmtree(repository.path.parent / "remote.git")
    lines = bigflow(repository, "release", status=1).splitlines()
    assert lines[0].startswith("bigflow: error: the tag v1.3.0 was not pushed to origin")
    assert repository.tags() == ["v1.2.0"]


def test_a_release_of_uncommitted_changes_is_refused(repository: Repository) -> None:
    Project(repository.path, {}).write({"pipelines/workflow.py": "ANSWER = 43\n"})
    output = bigflow(repository, "release", status=1)
    assert "has changes that are not committed: pipelines/workflow.py" in output
    assert repository.tags() == ["v1.2.0"]
