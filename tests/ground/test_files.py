"""Results replace the last ones as a whole, also if several processes do this at once."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.ground.files import (
    alone_in,
    read_bounded,
    recover,
    remove_replaced,
    swapped,
    temporary_directory,
)
from bigflow_backend.ground.transaction import transaction

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOVE = """\
import pathlib, sys
from bigflow_backend.ground.files import alone_in, remove_replaced, swapped, temporary_directory
target, name = pathlib.Path(sys.argv[1]), sys.argv[2]
for number in range(200):
    new = temporary_directory(target.parent, ".new-")
    for part in ("one", "two"):
        (new / part).write_text(f"{name} {number}")
    with alone_in(target.parent):
        with swapped(new, target):
            pass
        remove_replaced(target)
"""


def replace(target: Path, name: str) -> None:
    """Replace ``target`` with a new directory that holds the file ``name``."""
    recover(target)
    new = temporary_directory(target.parent, ".new-")
    (new / name).touch()
    move(new, target)


def move(new: Path, target: Path) -> None:
    with alone_in(target.parent):
        with swapped(new, target):
            pass
        remove_replaced(target)


def test_several_at_once(tmp_path: Path) -> None:
    target = tmp_path / "out"
    movers = [
        subprocess.Popen([sys.executable, "-c", _MOVE, target, name], stderr=subprocess.PIPE)
        for name in "abc"
    ]
    assert [(m.communicate()[1], m.returncode) for m in movers] == [(b"", 0)] * 3
    one, two = ((target / part).read_text() for part in ("one", "two"))
    assert one == two
    assert one.endswith(" 199")
    assert list(tmp_path.iterdir()) == [target]


def test_a_mover_that_was_killed(tmp_path: Path) -> None:
    """Between its two steps: what was there comes back, and the next one takes its place."""
    aside, target = tmp_path / ".bigflow-replaced-out", tmp_path / "out"
    aside.mkdir()
    (aside / "last").touch()
    recover(target)
    assert (target / "last").exists()
    target.rename(aside)
    replace(target, "next")
    assert [p.name for p in target.iterdir()] == ["next"]
    target.rename(aside)
    (tmp_path / "new").mkdir()
    move(tmp_path / "new", target)
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("name", ["out", ".bigflow-replaced-out"])
@pytest.mark.parametrize("kind", ["file", "link to a directory", "link to nothing"])
def test_what_is_no_directory_gives_way(tmp_path: Path, kind: str, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    place = tmp_path / "in" / name
    place.parent.mkdir()
    if kind == "file":
        place.touch()
    else:
        place.symlink_to(elsewhere if "directory" in kind else "nothing")
    for _ in range(2):
        replace(tmp_path / "in" / "out", "made")
    assert [p.name for p in place.parent.iterdir()] == ["out"]
    assert [p.name for p in (place.parent / "out").iterdir()] == ["made"]
    assert not (place.parent / "out").is_symlink()
    assert (elsewhere / "kept").exists()


def test_a_build_after_one_that_was_killed(tmp_path: Path) -> None:
    """Also one that fails finds the image of the last good one in its place."""
    (tmp_path / ".bigflow-replaced-image").mkdir()
    (tmp_path / ".bigflow-replaced-image" / "last").touch()
    with pytest.raises(UserError), transaction(tmp_path):
        raise UserError("an error")
    assert (tmp_path / ".image" / "last").exists()
    assert not (tmp_path / ".bigflow-replaced-image").exists()


@pytest.mark.parametrize("failing", [".dags", "dist"])
def test_an_output_that_cannot_be_replaced(project_of_nobody: Path, failing: str) -> None:
    """All outputs are those of the last build, and the functions of `on_failure` are called."""
    undone: list[bool] = []
    with pytest.raises(UserError, match="cannot"):
        _build_and_lock(project_of_nobody, failing, undone)
    assert undone == [True]
    for output in (".image", ".dags", "dist"):
        names = [path.name for path in (project_of_nobody / output).iterdir()]
        assert "last" in names
        assert "new" not in names


def _build_and_lock(root: Path, failing: str, undone: list[bool]) -> None:
    with transaction(root) as running:
        running.on_failure(lambda: undone.append(True))
        for name in (".image", ".dags", "dist"):
            for parent, file in ((root, "last"), (running.outputs.root, "new")):
                (parent / name).mkdir()
                (parent / name / file).touch()
        locked = root / ("dist" if failing == "dist" else ".bigflow-replaced-dags")
        locked.mkdir(exist_ok=True)
        (locked / "left").touch()
        locked.chmod(0o500)


@pytest.mark.parametrize("kind", ["a file", "read-only"])
def test_a_dist_that_takes_no_file(project_of_nobody: Path, kind: str) -> None:
    """The build ends before its first step."""
    dist = project_of_nobody / "dist"
    if kind == "a file":
        dist.touch()
    else:
        dist.mkdir(0o500)
    with pytest.raises(UserError) as caught, transaction(project_of_nobody):
        pytest.fail("the build started")
    expected = {
        "a file": f"{dist} is not a directory, and a build writes into it",
        "read-only": f"cannot write in {dist}: you have no write permission in it",
    }
    assert caught.value.message == expected[kind]


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


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can become another user")
@pytest.mark.parametrize("whole", [True, False])
def test_what_another_user_has_made(*, whole: bool) -> None:
    """The build refuses it at the start; what shows only later is a warning first."""
    with tempfile.TemporaryDirectory() as name:  # pytest's are private to root
        place = Path(name)
        target = place / "out"
        (target / "inner").mkdir(parents=True)
        (target / "inner" / "theirs").touch()
        for path in (place, *([] if whole else [target])):
            shutil.chown(path, "nobody")
        if whole:
            with pytest.raises(UserError) as caught:
                replace_as_nobody(target)
            assert (
                caught.value.message
                == f"cannot replace {target}: you have no write permission in it"
            )
            assert (target / "inner" / "theirs").exists()
            return
        with pytest.warns(
            BigflowWarning, match="the old output of a build: you have no write permission"
        ):
            replace_as_nobody(target)
        with pytest.raises(UserError, match=r"\.bigflow-replaced-out, the old output of a build"):
            replace_as_nobody(target)
        assert [p.name for p in target.iterdir()] == ["made"]


def replace_as_nobody(target: Path) -> None:
    os.seteuid(65534)
    try:
        replace(target, "made")
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("kind", ["fifo", "directory", "device", "socket"])
def test_only_a_regular_file_is_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    with pytest.raises(UserError, match=r"not a regular file|cannot read"):
        read_bounded(path, 10)


def test_a_file_above_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)
    assert read_bounded(path, 10) == b"x" * 10
    with pytest.raises(UserError, match="too large: the limit is 9 bytes"):
        read_bounded(path, 9)
