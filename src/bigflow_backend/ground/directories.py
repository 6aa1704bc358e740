"""Directories of the user and of the machine: the cache, and scratch space of one build."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from bigflow_backend.ground.errors import UserError

_SCRATCH = "bigflow-image-"


def cache_directory() -> Path:
    """Return ``$BIGFLOW_CACHE``, else ``bigflow`` in the user's XDG cache directory.

    https://specifications.freedesktop.org/basedir-spec/latest/
    """
    if own := os.environ.get("BIGFLOW_CACHE"):
        return Path(own).expanduser().absolute()
    # The specification says to ignore a relative path.
    shared = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(shared) if Path(shared).is_absolute() else Path.home() / ".cache"
    return home / "bigflow"


@contextlib.contextmanager
def scratch_directory() -> Iterator[Path]:
    """Yield a new directory, private to the user, and remove it at the end of the block.

    The directories of builds that were killed are removed first. Each directory is locked while
    its build lives, and the kernel releases the lock.
    """
    _remove_dead()
    directory, lock = _locked()
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(lock)


@contextlib.contextmanager
def reported_full_disk() -> Iterator[None]:
    """Report a full temporary directory as a user error.

    Code in the block that writes to other directories must report their errors itself.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise UserError(
            f"no space for temporary files in {tempfile.gettempdir()}: {error.strerror}",
            hint="free space there, or set TMPDIR to a directory on a larger disk",
        ) from error


@contextlib.contextmanager
def temporary_file() -> Iterator[IO[bytes]]:
    """Yield a file without a name."""
    file = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        yield file
    finally:
        with contextlib.suppress(OSError):
            file.close()  # this may write to a full disk, which was reported already


def _locked() -> tuple[Path, int]:
    while True:
        directory = Path(tempfile.mkdtemp(prefix=_SCRATCH))
        with contextlib.suppress(OSError):  # another build took it for one of a dead build
            lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if directory.is_dir():
                return directory, lock


def _remove_dead() -> None:
    for directory in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        with contextlib.suppress(OSError):  # of another user, in use, or removed just now
            lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory, ignore_errors=True)
            finally:
                os.close(lock)
