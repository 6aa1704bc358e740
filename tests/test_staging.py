"""What is made takes the place of what was there whole, also when several processes do so."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

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
