"""Directories for what a build needs for a while, such as the files of a layer."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["scratch_directory"]

_PREFIX = "bigflow-image-"


@contextlib.contextmanager
def scratch_directory() -> Iterator[Path]:
    """A new directory, private to the user, which is gone at the end of the block.

    Those of builds that were killed go at its beginning: each is locked as long as its build lives,
    and the lock is the kernel's.
    """
    _remove_dead()
    directory, lock = _locked()
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(lock)


def _locked() -> tuple[Path, int]:
    while True:
        directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
        with contextlib.suppress(OSError):  # another build took it for one of a dead build
            lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if directory.is_dir():
                return directory, lock


def _remove_dead() -> None:
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, alive, or gone at this moment
            lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory, ignore_errors=True)
            finally:
                os.close(lock)
