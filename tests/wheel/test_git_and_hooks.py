"""The git processes of the hooks, and their warning about untracked files."""

from __future__ import annotations

import dataclasses
import warnings
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import BigflowWarning
from bigflow_backend.pipeline import BuildOptions, build_project
from bigflow_backend.project.project import read_project
from support.git_repository import Repository, isolate_git, log_git_processes
from support.projects import Project, write_project

if TYPE_CHECKING:
    from pathlib import Path

    from support.layered import LayeredProject

_WORKFLOW = {
    ".gitignore": "__pycache__\n",
    "deployment_config.py": """\
from bigflow import DeploymentConfig

deployment_config = DeploymentConfig(
    name="dev", properties={"docker_repository": "example.org/demo"}
)
""",
    "demo/workflow.py": """\
from bigflow import Job, JobContext, Workflow

class Count(Job):
    def __init__(self):
        super().__init__(id="count")

    def execute(self, context: JobContext) -> None:
        print("counted")

demo = Workflow(workflow_id="demo", definition=[Count()])
""",
    "test/test_demo.py": "def test_passes():\n    pass\n",
    "pyproject.toml": """\
[build-system]
requires = []
build-backend = "bigflow_backend"

[project]
name = "demo"
dynamic = ["version"]
""",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project in a repository, at the tag v1.2.0."""
    isolate_git(monkeypatch, tmp_path)
    root = write_project(tmp_path / "project", {".gitignore": "*.csv\nlocal/\n"}).root
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"], ["tag", "v1.2.0"]):
        Repository(root).git(*command)
    return Project(root, {})


@pytest.mark.parametrize("state", ["tagged", "later", "changed", "many tags"])
@pytest.mark.parametrize("hook", ["build_wheel", "build_sdist", "prepare_metadata_for_build_wheel"])
def test_a_hook_starts_at_most_six_processes(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: str, state: str
) -> None:
    repository = Repository(project.root)
    if state != "tagged":
        repository.commit()
    if state == "changed":
        repository.write("pipelines/workflow.py", "ANSWER = 43\n")
        repository.write("pipelines/untracked.py", "")
    if state == "many tags":
        repository.tag(*(f"v0.{number}.0" for number in range(200)))
    log = log_git_processes(monkeypatch, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BigflowWarning)
        project.hook(hook, str(tmp_path))
    assert 0 < len(log.read_text().splitlines()) <= 6


def test_a_warning_names_untracked_files(project: Project, tmp_path: Path) -> None:
    project.write(
        {
            "pipelines/new.py": "",
            "pipelines/local/__init__.py": "",
            "resources/ignored.csv": "1",
            "notes.txt": "not packaged",
            "test/test_new.py": "",
        }
    )
    with pytest.warns(BigflowWarning) as caught:
        assert project.hook("build_wheel", str(tmp_path)) == "pipelines-1.2.0-py3-none-any.whl"
    (warning,) = (str(w.message) for w in caught)
    assert warning == (
        "git does not track these packaged files, so the version 1.2.0 does not describe them: "
        "pipelines/local/__init__.py, pipelines/new.py, resources/ignored.csv"
    )


def test_the_build_command_prints_the_warning(project: Project) -> None:
    project.write({"pipelines/new.py": ""})
    done = project.run("-m", "bigflow", "build-package")
    assert done.returncode == 0, done.stderr
    assert "git does not track these packaged files" in done.stderr
    assert "pipelines/new.py" in done.stderr


@pytest.mark.parametrize(("later", "version"), [(0, "1.2.0"), (1, "1.2.1.dev1+g")])
def test_a_whole_build_computes_the_version_once(
    layered_project: LayeredProject,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    later: int,
    version: str,
) -> None:
    isolate_git(monkeypatch, tmp_path)
    layered_project.write(_WORKFLOW)
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"], ["tag", "v1.2.0"]):
        Repository(layered_project.root).git(*command)
    Repository(layered_project.root).commit(later)
    log = log_git_processes(monkeypatch, tmp_path)
    monkeypatch.chdir(layered_project.root)
    project = read_project(layered_project.root)
    settings = dataclasses.replace(
        project.settings.image,
        base_image=layered_project.base,
        platforms=("linux/amd64",),
        find_links=(str(layered_project.wheels),),
    )
    options = BuildOptions(image=settings, start_time=datetime(2026, 1, 1, tzinfo=timezone.utc))
    build = build_project(project, options)
    assert build.wheel is not None
    assert build.wheel.version.startswith(version)
    assert build.image is not None
    assert build.dags is not None
    # Four processes for the version, and one in the hook for the warning about untracked files.
    assert 0 < len(log.read_text().splitlines()) <= 7
