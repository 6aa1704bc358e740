"""A version in the project's files: each content has a version of its own."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.version import ProjectVersion, project_version
from support.git_repository import Repository, make_repository

if TYPE_CHECKING:
    from pathlib import Path

PYPROJECT = "pyproject.toml [project] version"
SCRIPT = "version in project_setup.py"


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository whose first commit has the static version 0.1.0."""
    made = make_repository(tmp_path / "repository")
    made.write("pyproject.toml", '[project]\nname = "demo"\nversion = "0.1.0"\n')
    made.write("code.py", "first = True\n")
    commit(made)
    return made


def commit(repository: Repository) -> str:
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message=change")
    return repository.head


def found(
    root: Path, text: str = "0.1.0", place: str = PYPROJECT, *, keep: bool = False
) -> ProjectVersion:
    return project_version(
        root, distribution="demo", static=(text, place), tag_prefix="", keep_static=keep
    )


def test_the_commit_that_wrote_the_version_owns_it(repository: Repository) -> None:
    first = found(repository.path)
    assert (first.text, first.commit) == ("0.1.0", repository.head)
    assert "git tag v0.1.0" in first.notes[0]


def test_each_other_content_has_a_local_part(repository: Repository) -> None:
    repository.write("code.py", "second = True\n")
    dirty = found(repository.path)
    repository.write("code.py", "third = True\n")
    dirtier = found(repository.path)
    head = repository.head
    assert dirty.text.startswith(f"0.1.0+g{head[:12]}.t")
    assert dirtier.text.startswith(f"0.1.0+g{head[:12]}.t")
    assert dirty.text != dirtier.text
    assert dirty.commit == head
    second = commit(repository)
    clean = found(repository.path)
    assert (clean.text, clean.commit) == (f"0.1.0+g{second[:12]}", second)


def test_a_tag_of_the_version_owns_it(repository: Repository) -> None:
    first = repository.head
    repository.write("code.py", "second = True\n")
    commit(repository)
    repository.tag("v0.1.0")
    assert found(repository.path).text == "0.1.0"
    assert found(repository.path).notes == ()
    repository.git("checkout", "--quiet", first)
    # It wrote the version, but the tag is elsewhere.
    assert found(repository.path).text == f"0.1.0+g{first[:12]}"


def test_a_new_version_belongs_to_its_commit(repository: Repository) -> None:
    repository.write("pyproject.toml", '[project]\nname = "demo"\nversion = "0.2.0"\n')
    commit(repository)
    assert found(repository.path, "0.2.0").text == "0.2.0"
    repository.write("pyproject.toml", '[project]\nname = "demo"\nversion = "0.1.0"\n')
    back = commit(repository)
    assert found(repository.path).text == f"0.1.0+g{back[:12]}"


def test_a_shallow_clone_does_not_know_the_first_commit(
    repository: Repository, tmp_path: Path
) -> None:
    repository.write("code.py", "second = True\n")
    commit(repository)
    subprocess.run(
        ["git", "clone", "--quiet", "--depth=1", repository.path.as_uri(), "shallow"],
        cwd=tmp_path,
        check=True,
    )
    assert found(tmp_path / "shallow").text == f"0.1.0+g{repository.head[:12]}"


def test_changed_files_are_an_error_in_ci(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    assert found(repository.path).text == "0.1.0"
    repository.write("code.py", "second = True\n")
    with pytest.raises(UserError, match="another content: 1 file changed, such as code"):
        found(repository.path)
    assert found(repository.path, keep=True).text == "0.1.0"


def test_a_hook_keeps_the_version_and_says_so(repository: Repository) -> None:
    repository.write("code.py", "second = True\n")
    kept = found(repository.path, keep=True)
    assert kept.text == "0.1.0"
    assert "other contents have the version 0.1.0, too: this is 0.1.0+g" in kept.notes[0]


def test_the_build_gives_the_hook_its_version(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIGFLOW_VERSION", "0.1.0+gabc.tdef")
    assert found(repository.path, keep=True).text == "0.1.0+gabc.tdef"
    assert found(repository.path).commit == repository.head
    monkeypatch.setenv("BIGFLOW_VERSION", "0.1.1+gabc")
    with pytest.raises(UserError, match=r"BIGFLOW_VERSION is 0\.1\.1\+gabc, but"):
        found(repository.path)


def test_a_local_part_of_the_version_stays(repository: Repository) -> None:
    repository.write("code.py", "second = True\n")
    assert found(repository.path, "0.1.0+corp").text.startswith("0.1.0+corp.g")


def test_a_computed_version_stays(repository: Repository) -> None:
    repository.write("project_setup.py", "setup(version=build_number())\n")
    repository.write("code.py", "second = True\n")
    head = commit(repository)
    computed = found(repository.path, "1.2.45", SCRIPT)
    assert (computed.text, computed.commit) == ("1.2.45", head)
    repository.write("project_setup.py", "setup(version='1.2.45')\n")
    assert found(repository.path, "1.2.45", SCRIPT).text.startswith("1.2.45+g")


def test_without_git_the_version_stays(tmp_path: Path) -> None:
    assert found(tmp_path).text == "0.1.0"
    assert found(tmp_path).commit is None
