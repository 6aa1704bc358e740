"""Directories for a while: those of builds that were killed go, those of living ones stay."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.directories import scratch_directory

if TYPE_CHECKING:
    import pytest

_WORK = """\
import sys
from bigflow_backend.ground.directories import scratch_directory
with scratch_directory() as directory:
    (directory / "file").touch()
    print(directory, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_build_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", _WORK],
        env={"TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdout is not None
        other = Path(worker.stdout.readline().strip())
        with scratch_directory() as own:
            assert sorted(tmp_path.iterdir()) == sorted([other, own])
            assert (other / "file").exists()
        worker.kill()
    with scratch_directory() as own:
        assert list(tmp_path.iterdir()) == [own]
    assert list(tmp_path.iterdir()) == []
