"""Only regular files are read, up to a limit."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import read_bounded

if TYPE_CHECKING:
    from pathlib import Path


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
