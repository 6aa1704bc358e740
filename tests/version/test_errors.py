"""Projects without a version: each error has its reason and a fix. No version is invented."""

from __future__ import annotations

import os
import select
import shutil
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.version import project_version
from support.git_repository import Repository, make_repository, put_git

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tagged(tmp_path: Path) -> Repository:
    repository = make_repository(tmp_path / "repository")
    repository.commit()
    repository.tag("v1.2.0")
    return repository


def version_error(root: Path, revision: str | None = None) -> UserError:
    """Return the error. It must have two lines: the problem and the fix."""
    with pytest.raises(UserError) as caught:
        project_version(root, distribution="demo", static=None, tag_prefix="", revision=revision)
    assert len(str(caught.value).splitlines()) == 2
    return caught.value


def fix_works(root: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setenv("BIGFLOW_VERSION", "1.2.3")
    found = project_version(root, distribution="demo", static=None, tag_prefix="")
    return found.text == "1.2.3"


def test_a_shallow_clone(tagged: Repository, tmp_path: Path) -> None:
    tagged.commit(3)
    clone = Repository(tmp_path / "clone")
    # It has the tag, but not the whole history.
    tagged.git("clone", "--quiet", "--depth=4", f"file://{tagged.path}", str(clone.path))
    error = version_error(clone.path)
    assert f"{clone.path} is a shallow clone" in error.message
    command, _, rest = error.hint.partition(";")
    assert "BIGFLOW_VERSION" in rest
    clone.git(*command.split()[1:])
    found = project_version(clone.path, distribution="demo", static=None, tag_prefix="")
    assert found.text.startswith("1.2.1.dev3+g")


def test_a_changed_shallow_clone_on_a_tag(tagged: Repository, tmp_path: Path) -> None:
    tagged.commit()
    tagged.tag("v1.3.0")
    clone = Repository(tmp_path / "clone")
    tagged.git(
        "clone", "--quiet", "--depth=1", "--branch=v1.3.0", f"file://{tagged.path}", str(clone.path)
    )
    clone.write("tracked.py", "changed\n")
    assert "is a shallow clone" in version_error(clone.path).message


def test_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "demo").mkdir()
    error = version_error(tmp_path / "demo")
    assert error.message == f"{tmp_path / 'demo'} is not in a git repository"
    assert "sdist" in error.hint
    assert "BIGFLOW_VERSION" in error.hint
    assert fix_works(tmp_path / "demo", monkeypatch)


def test_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = make_repository(tmp_path / "repository")
    repository.write("tracked.py", "")
    repository.git("add", "tracked.py")
    assert "has no commit yet" in version_error(repository.path).message
    assert fix_works(repository.path, monkeypatch)


def test_a_repository_without_files_of_the_project(tagged: Repository) -> None:
    tagged.write("demo/one.py", "")
    error = version_error(tagged.path / "demo")
    assert f"no file of {tagged.path / 'demo'} is committed" in error.message
    assert str(tagged.path) in error.message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the owner of files")
def test_a_foreign_owner(tagged: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (tagged.path, *tagged.path.rglob("*")):
        shutil.chown(path, "nobody")
    error = version_error(tagged.path)
    assert "another user owns it" in error.message
    command, _, rest = error.hint.partition(", or ")
    assert command == f"git config --global --add safe.directory {tagged.path}"
    assert "BIGFLOW_VERSION" in rest
    with monkeypatch.context() as context:
        assert fix_works(tagged.path, context)
    tagged.git(*command.split()[1:])
    found = project_version(tagged.path, distribution="demo", static=None, tag_prefix="")
    assert found.text == "1.2.0"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the owner of files")
def test_safe_directory_from_the_environment(
    tagged: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CI jobs set safe.directory with variables. The clean environment keeps them."""
    for path in (tagged.path, *tagged.path.rglob("*")):
        shutil.chown(path, "nobody")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.directory")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(tagged.path))
    found = project_version(tagged.path, distribution="demo", static=None, tag_prefix="")
    assert found.text == "1.2.0"


def test_git_is_not_installed(
    tagged: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    error = version_error(tagged.path)
    assert "git is not installed" in error.message
    assert "install git" in error.hint
    # Without a repository, git is not needed.
    (tmp_path / "demo").mkdir()
    assert "is not in a git repository" in version_error(tmp_path / "demo").message
    assert fix_works(tagged.path, monkeypatch)


def test_git_cannot_be_run(
    tagged: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_git(monkeypatch, tmp_path, "")
    (tmp_path / "bin" / "git").write_text("#!/no/such/interpreter\n")
    error = version_error(tagged.path)
    assert "cannot run" in error.message
    assert str(tmp_path / "bin" / "git") in error.message


def test_git_hangs(tagged: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = tmp_path / "held"
    os.mkfifo(held)
    reader = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    put_git(monkeypatch, tmp_path, f"exec 3> {held}\necho started >&3\nsleep 600 &\nwait")
    monkeypatch.setenv("BIGFLOW_GIT_TIMEOUT", "1")
    error = version_error(tagged.path)
    assert error.message == f"`git rev-parse` did not finish within 1 s in {tagged.path}"
    assert "BIGFLOW_GIT_TIMEOUT" in error.hint
    assert "BIGFLOW_VERSION" in error.hint
    # The pipe is closed when git and its child processes have ended.
    assert os.read(reader, 100) == b"started\n"
    ready, _, _ = select.select([reader], [], [], 30)
    assert ready
    assert os.read(reader, 100) == b""
    os.close(reader)


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_a_wrong_time_limit(text: str, tagged: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGFLOW_GIT_TIMEOUT", text)
    assert (
        f"BIGFLOW_GIT_TIMEOUT must be a number of seconds above 0: got {text!r}"
        in version_error(tagged.path).message
    )


@pytest.mark.parametrize(
    "revision", ["nope", "", "--all", "-1", "main..HEAD", "v1.2.0^", "HEAD:tracked.py", "HEAD^@"]
)
def test_a_revision_that_is_not_a_commit(revision: str, tagged: Repository) -> None:
    assert f"{revision!r} is not a commit" in version_error(tagged.path, revision).message


def test_a_broken_repository(tagged: Repository) -> None:
    for pack in (tagged.path / ".git" / "objects").iterdir():
        shutil.rmtree(pack)
    error = version_error(tagged.path)
    assert str(tagged.path) in error.message


def test_a_damaged_index(tagged: Repository) -> None:
    (tagged.path / ".git" / "index").write_bytes(b"not an index")
    error = version_error(tagged.path)
    assert f"git failed in {tagged.path}: " in error.message
    assert "index" in error.message


def test_a_changed_file_that_cannot_be_read(
    tagged: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is removed after git listed it."""
    file = tagged.write("tracked.py", "changed\n")
    put_git(
        monkeypatch,
        tmp_path,
        f'{shutil.which("git")} "$@"; code=$?\n'
        f'case "$*" in *" status "*) rm {file};; esac\n'
        "exit $code",
    )
    assert f"cannot read {file}: No such file" in version_error(tagged.path).message
