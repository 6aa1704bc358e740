"""``version.paths``: in a repository of several projects, only commits of its paths count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.version import ProjectVersion, project_version
from support.git_repository import Repository, make_repository

if TYPE_CHECKING:
    from pathlib import Path

PATHS = (".", "../common")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with two projects and what both share, each committed, then tagged."""
    made = make_repository(tmp_path / "repository")
    for name in ("reports", "other", "common"):
        made.commit(file=f"{name}/code.py")
    made.tag("reports-v1.0.0")
    return made


def found(
    repository: Repository,
    paths: tuple[str, ...] = PATHS,
    *,
    static: tuple[str, str] | None = None,
) -> ProjectVersion:
    return project_version(
        repository.path / "reports",
        distribution="reports",
        static=static,
        tag_prefix="reports-",
        paths=paths,
    )


def test_a_commit_of_another_project_makes_no_new_version(repository: Repository) -> None:
    before = found(repository)
    assert before.text == "1.0.0"
    repository.commit(file="other/code.py")
    assert found(repository) == before
    own = repository.commit(file="reports/code.py")
    changed = found(repository)
    assert (changed.text, changed.commit) == (f"1.0.1.dev1+g{own[:12]}", own)
    repository.commit(file="other/code.py")
    assert found(repository) == changed
    shared = repository.commit(file="common/code.py")
    assert found(repository).text == f"1.0.1.dev2+g{shared[:12]}"
    assert found(repository, ()).text.startswith("1.0.1.dev4+g")


def test_changes_of_another_project_do_not_count(repository: Repository) -> None:
    repository.write("other/code.py", "changed = True\n")
    assert found(repository).text == "1.0.0"
    repository.write("common/code.py", "changed = True\n")
    assert ".t" in found(repository).text


def test_a_static_version_stays_when_another_project_changes(repository: Repository) -> None:
    repository.write("reports/pyproject.toml", '[project]\nversion = "3.0.0"\n')
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message=version")
    static = ("3.0.0", "pyproject.toml [project] version")
    before = found(repository, static=static)
    assert before.text == "3.0.0"
    repository.commit(file="other/code.py")
    assert found(repository, static=static) == before
    repository.tag("reports-v3.0.0")
    repository.commit(file="other/code.py")
    assert found(repository, static=static).text == "3.0.0"
    own = repository.commit(file="reports/code.py")
    assert found(repository, static=static).text == f"3.0.0+g{own[:12]}"


@pytest.mark.parametrize("path", ["../..", "/etc"])
def test_a_path_outside_the_repository(repository: Repository, path: str) -> None:
    with pytest.raises(UserError, match="must be in the repository"):
        found(repository, (path,))


def test_paths_without_a_commit(repository: Repository) -> None:
    with pytest.raises(UserError, match=r"tool\.bigflow\.version\.paths has no file of a commit"):
        found(repository, ("missing", "*"))
