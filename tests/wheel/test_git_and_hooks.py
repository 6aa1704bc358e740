"""The git processes of the hooks, and their warning about untracked files."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import BigflowWarning
from support.git_repository import Repository, isolate_git, log_git_processes
from support.projects import Project, write_project

if TYPE_CHECKING:
    from pathlib import Path


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
def test_a_hook_starts_at_most_four_processes(
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
    assert 0 < len(log.read_text().splitlines()) <= 4


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
