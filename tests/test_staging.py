"""What is made takes the place of what was there whole, also when several processes do so."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.errors import UserError
from bigflow_backend.outputs import staged_outputs
from bigflow_backend.project import read_project
from bigflow_backend.staging import move_into_place, recover, replaced_directory

if TYPE_CHECKING:
    from pathlib import Path

_MOVE = """\
import pathlib, sys
from bigflow_backend.staging import move_into_place, temporary_directory
target, name = pathlib.Path(sys.argv[1]), sys.argv[2]
for number in range(200):
    new = temporary_directory(target.parent, ".new-")
    for part in ("one", "two"):
        (new / part).write_text(f"{name} {number}")
    move_into_place(new, target)
"""


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
    aside, target = tmp_path / "out.old", tmp_path / "out"
    aside.mkdir()
    (aside / "last").touch()
    recover(target)
    assert (target / "last").exists()
    target.rename(aside)
    with replaced_directory(target) as new:
        assert (target / "last").exists()
        (new / "next").touch()
    assert [p.name for p in target.iterdir()] == ["next"]
    target.rename(aside)
    (tmp_path / "new").mkdir()
    move_into_place(tmp_path / "new", target)
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("name", ["out", "out.old"])
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
        with replaced_directory(tmp_path / "in" / "out") as new:
            (new / "made").touch()
    assert [p.name for p in place.parent.iterdir()] == ["out"]
    assert [p.name for p in (place.parent / "out").iterdir()] == ["made"]
    assert not (place.parent / "out").is_symlink()
    assert (elsewhere / "kept").exists()


def test_a_build_after_one_that_was_killed(tmp_path: Path) -> None:
    """Also one that fails finds the image of the last good one in its place."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "demo"\n')
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "__init__.py").touch()
    (tmp_path / ".image.old").mkdir()
    (tmp_path / ".image.old" / "last").touch()
    with pytest.raises(UserError), staged_outputs(read_project(tmp_path)):
        raise UserError("a fault")
    assert (tmp_path / ".image" / "last").exists()
    assert not (tmp_path / ".image.old").exists()
