"""Results replace the last ones as a whole, also if several processes do this at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.ground.files import move_into_place, recover, temporary_directory
from bigflow_backend.ground.transaction import transaction

_MOVE = """\
import pathlib, sys
from bigflow_backend.ground.files import move_into_place, temporary_directory
target, name = pathlib.Path(sys.argv[1]), sys.argv[2]
for number in range(200):
    new = temporary_directory(target.parent, ".new-")
    for part in ("one", "two"):
        (new / part).write_text(f"{name} {number}")
    move_into_place(new, target)
"""


def replace(target: Path, name: str) -> None:
    """Replace ``target`` with a new directory that holds the file ``name``."""
    recover(target)
    new = temporary_directory(target.parent, ".new-")
    (new / name).touch()
    move_into_place(new, target)


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
    move_into_place(tmp_path / "new", target)
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
            BigflowWarning, match="which a build has replaced: you have no write permission"
        ):
            replace_as_nobody(target)
        with pytest.raises(UserError, match=r"\.bigflow-replaced-out, which a build has replaced"):
            replace_as_nobody(target)
        assert [p.name for p in target.iterdir()] == ["made"]


def replace_as_nobody(target: Path) -> None:
    os.seteuid(65534)
    try:
        replace(target, "made")
    finally:
        os.seteuid(0)
