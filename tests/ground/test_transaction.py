"""The outputs of a build move into the project together, also if the build is killed."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.ground.signals import Interrupted, outcome, terminable
from bigflow_backend.ground.transaction import Transaction, recover, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OUTPUTS = ("dist/{}.whl", ".image/info", ".dags/dag.py")
_BUILD = """\
import os, pathlib, sys
from bigflow_backend.ground.signals import Interrupted, outcome, terminable
from bigflow_backend.ground.transaction import transaction
root, version, killed_after = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
rename, renames = os.rename, []
def counted(*arguments, **options):
    rename(*arguments, **options)
    renames.append(arguments)
    if len(renames) == killed_after:
        os.kill(os.getpid(), 9)
os.rename = os.replace = counted
with transaction(root) as running:
    for output in {outputs}:
        path = running.outputs.root / output.format(version)
        path.parent.mkdir()
        path.write_text(version)
print(len(renames))
"""


def build(root: Path, version: str, *, killed_after: int = 0) -> int:
    """Build in a child process, and kill it after that rename; return the number of renames."""
    program = _BUILD.format(outputs=_OUTPUTS)
    done = subprocess.run(
        [sys.executable, "-c", program, root, version, str(killed_after)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == (-9 if killed_after else 0)
    return int(done.stdout or 0)


def versions(root: Path) -> set[str]:
    """Return the versions of the outputs that exist."""
    return {
        path.read_text()
        for directory in ("dist", ".image", ".dags")
        for path in (root / directory).glob("[!.]*")
        if directory != "dist" or path.stem == newest(root)
    }


def newest(root: Path) -> str | None:
    wheels = sorted(path.stem for path in (root / "dist").glob("*"))
    return wheels[-1] if wheels else None


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


@pytest.fixture(scope="module")
def renames(tmp_path_factory: pytest.TempPathFactory) -> int:
    """The number of renames of a build that replaces all outputs."""
    root = tmp_path_factory.mktemp("counted")
    build(root, "1")
    return build(root, "2")


def test_a_build_killed_after_each_rename(tmp_path: Path, renames: int) -> None:
    """A reader finds outputs of one build, and the next command finishes the moves."""
    assert renames >= 7
    for number in range(1, renames + 1):
        root = tmp_path / str(number)
        root.mkdir()
        build(root, "1")
        build(root, "2", killed_after=number)
        found = versions(root)
        assert len(found) <= 1
        if number < renames:
            with pytest.warns(BigflowWarning, match="killed while its outputs moved"):
                recover(root)
        assert versions(root) == {"2"}
        build(root, "3")
        assert versions(root) == {"3"}
        assert names(root) == [".dags", ".image", "dist"]


def stage(root: Path, version: str) -> None:
    """Build in this process."""
    with transaction(root) as running:
        stage_outputs(running, version)


def stage_outputs(
    running: Transaction,
    version: str,
    error: UserError | None = None,
    *,
    undo: Callable[[], None] = lambda: None,
) -> None:
    running.on_failure(undo)
    for output in _OUTPUTS:
        path = running.outputs.root / output.format(version)
        path.parent.mkdir()
        path.write_text(version)
    if error is not None:
        raise error


def test_a_build_that_fails_changes_nothing(tmp_path: Path) -> None:
    stage(tmp_path, "1")
    error = UserError("an error")
    with pytest.raises(UserError, match="an error"), transaction(tmp_path) as running:
        stage_outputs(running, "2", error)
    assert versions(tmp_path) == {"1"}
    assert names(tmp_path) == [".dags", ".image", "dist"]


def test_outputs_that_a_build_does_not_make_stay(tmp_path: Path) -> None:
    stage(tmp_path, "1")
    with transaction(tmp_path) as running:
        running.outputs.dags.mkdir()
        (running.outputs.dags / "new").touch()
    assert names(tmp_path / ".dags") == [".gitignore", "new"]
    assert (tmp_path / ".image" / "info").read_text() == "1"


def test_git_ignores_the_outputs_of_a_project_without_a_gitignore(tmp_path: Path) -> None:
    git = ("git", "-C", tmp_path)
    subprocess.run([*git, "init", "--quiet"], check=True)
    stage(tmp_path, "1")
    subprocess.run([*git, "add", "."], check=True)
    added = subprocess.run([*git, "ls-files"], capture_output=True, text=True, check=True)
    assert added.stdout.split() == ["dist/1.whl"]
    stage(tmp_path, "2")
    assert versions(tmp_path) == {"2"}


@pytest.mark.parametrize("kind", ["file", "link to a directory", "link to nothing"])
def test_an_output_that_is_not_a_directory_is_replaced(tmp_path: Path, kind: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    root = tmp_path / "project"
    root.mkdir()
    if kind == "file":
        (root / ".image").touch()
    else:
        (root / ".image").symlink_to(elsewhere if "directory" in kind else "nothing")
    stage(root, "1")
    assert not (root / ".image").is_symlink()
    assert versions(root) == {"1"}
    assert (elsewhere / "kept").exists()


def test_an_output_that_cannot_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The moves before it are undone, and the functions of `on_failure` are called."""
    stage(tmp_path, "1")
    rename = os.rename
    undone: list[bool] = []

    def refuse(source: Path, target: Path) -> None:
        if target == tmp_path / ".dags":
            raise PermissionError(1, "Operation not permitted", str(source))
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail_once(refuse, rename))
    with pytest.raises(UserError, match="cannot move the outputs"), transaction(tmp_path) as build:
        stage_outputs(build, "2", undo=lambda: undone.append(True))
    assert undone == [True]
    assert versions(tmp_path) == {"1"}
    assert names(tmp_path) == [".dags", ".image", "dist"]


def fail_once(first: Callable[[Path, Path], None], then: Callable[[Path, Path], None]) -> Any:
    failed: list[bool] = []

    def rename(source: Path, target: Path) -> None:
        try:
            (then if failed else first)(source, target)
        except OSError:
            failed.append(True)
            raise

    return rename


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_between_two_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """The moves are finished first, and the message says so."""
    stage(tmp_path, "1")
    rename = os.rename

    def interrupted(source: Path, target: Path) -> None:
        rename(source, target)
        os.kill(os.getpid(), number)

    with terminable():
        monkeypatch.setattr(os, "rename", interrupted)
        with pytest.raises(Interrupted) as caught:
            stage(tmp_path, "2")
        assert outcome() == "the build is finished, and its outputs are in place"
    assert caught.value.number == number
    assert versions(tmp_path) == {"2"}
    assert names(tmp_path) == [".dags", ".image", "dist"]


_SEVERAL = """\
import pathlib, sys
sys.path.insert(0, sys.argv[3])
import test_transaction
for number in range(60):
    test_transaction.stage(pathlib.Path(sys.argv[1]), f"{number:03}{sys.argv[2]}")
"""


def test_several_builds_at_once(tmp_path: Path) -> None:
    here = Path(__file__).parent
    builds = [
        subprocess.Popen(
            [sys.executable, "-c", _SEVERAL, tmp_path, name, here], stderr=subprocess.PIPE
        )
        for name in "abc"
    ]
    assert [(b.communicate()[1], b.returncode) for b in builds] == [(b"", 0)] * 3
    one, two = ((tmp_path / name).read_text() for name in (".image/info", ".dags/dag.py"))
    assert one == two
    assert names(tmp_path) == [".dags", ".image", "dist"]


def test_a_directory_of_the_user_stays(tmp_path: Path) -> None:
    """Also one whose name is that of a staging directory, and one with a copy of a lock."""
    kept = [".bigflow-build-0123456789ab/file", ".bigflow-build-mine/file"]
    with transaction(tmp_path) as running:
        copied = tmp_path / ".bigflow-build-ba9876543210"
        shutil.copytree(running.outputs.root, copied)
    for name in kept:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    stage(tmp_path, "1")
    assert all((tmp_path / name).exists() for name in kept)
    assert (copied / "bigflow.lock").exists()


@pytest.mark.parametrize("content", ["dist/x.whl", "bigflow.lock"])
def test_a_commit_that_a_repository_contains_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / ".bigflow-build-commit" / content
    path.parent.mkdir(parents=True)
    path.write_text("")
    with pytest.raises(UserError, match="does not belong to a build"):
        recover(tmp_path)
    assert path.exists()


@pytest.mark.parametrize("kind", ["a file", "read-only", "another file system"])
def test_a_dist_that_takes_no_file(project_of_nobody: Path, kind: str) -> None:
    """The build ends before its first step."""
    dist = project_of_nobody / "dist"
    if kind == "a file":
        dist.touch()
    elif kind == "read-only":
        dist.mkdir(0o500)
    else:
        dist.symlink_to("/dev/shm")
    with pytest.raises(UserError) as caught, transaction(project_of_nobody):
        pytest.fail("the build started")
    expected = {
        "a file": f"{dist} is not a directory, and a build writes into it",
        "read-only": f"cannot write in {dist}: you have no write permission in it",
        "another file system": f"{dist} is not on the file system of the project",
    }
    assert caught.value.message == expected[kind]


@pytest.mark.parametrize("output", [".image", ".dags", ".image/inner"])
def test_an_output_of_another_user(project_of_nobody: Path, output: str) -> None:
    """The build ends before its first step."""
    directory = project_of_nobody / output
    directory.mkdir(parents=True)
    (directory / "file").touch()
    directory.chmod(0o500)
    with pytest.raises(UserError, match="you have no write permission in it"):
        stage(project_of_nobody, "1")
    assert (directory / "file").exists()


@pytest.fixture
def project_of_nobody() -> Iterator[Path]:
    """An empty directory of a user without privileges, who is the effective user meanwhile."""
    with tempfile.TemporaryDirectory() as name:  # pytest's are private to root
        if os.geteuid():
            yield Path(name)
            return
        shutil.chown(name, "nobody")
        os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can set attributes")
@pytest.mark.parametrize(
    ("name", "attribute"),
    [("dist", "i"), (".image", "i"), (".image/info", "i"), (".dags/dag.py", "a")],
)
def test_an_immutable_output(name: str, attribute: str) -> None:
    """The build ends before its first step."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory:
        root = Path(directory)
        stage(root, "1")
        if subprocess.run(["chattr", f"+{attribute}", root / name], check=False).returncode:
            pytest.skip("the file system has no attributes")
        try:
            with pytest.raises(UserError, match=r"cannot (write|replace)"):
                stage(root, "2")
        finally:
            subprocess.run(["chattr", "-ia", root / name], check=True)
        assert versions(root) == {"1"}
        assert names(root) == [".dags", ".image", "dist"]


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(_file: int, _kind: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UserError, match="cannot lock files in") as caught:
        stage(tmp_path, "1")
    assert caught.value.hint == "move the project to a local disk: its file system has no locks"
    assert names(tmp_path) == []
