"""Directories of the user and of the machine: the cache, and directories of one process."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.ground.files import cannot_write, lock_file

_SCRATCH = "bigflow-"
_LOCK = "bigflow.lock"
_ATTEMPTS = 100


def cache_directory() -> Path:
    """Return the cache of the settings, else ``bigflow`` in the user's XDG cache directory.

    https://specifications.freedesktop.org/basedir-spec/latest/
    """
    from bigflow_backend.ground.settings.machine import machine_settings

    if own := machine_settings().cache:
        return Path(own).expanduser().absolute()
    # The specification says to ignore a relative path.
    shared = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(shared) if Path(shared).is_absolute() else Path.home() / ".cache"
    return home / "bigflow"


@contextlib.contextmanager
def scratch_directory() -> Iterator[Path]:
    """Yield a new directory for temporary files, as :func:`own_directory`."""
    hint = "set TMPDIR to a directory on a local disk"
    import tempfile

    with own_directory(Path(tempfile.gettempdir()), _SCRATCH, hint=hint) as scratch:
        yield scratch


@contextlib.contextmanager
def temporary_files_together() -> Iterator[None]:
    """Keep the temporary files of the block in one scratch directory.

    ``TMPDIR`` leads to it, so it also gets the files that killed child processes leave. The
    environment belongs to the whole process: only a command calls this.
    """
    import tempfile

    with scratch_directory() as scratch:
        scratch.chmod(0o711)  # started by root, the sandbox runs as nobody
        variable, directory = os.environ.get("TMPDIR"), tempfile.tempdir
        os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)
        try:
            yield
        finally:
            tempfile.tempdir = directory
            if variable is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = variable


@contextlib.contextmanager
def own_directory(parent: Path, prefix: str, *, hint: str) -> Iterator[Path]:
    """Yield a new directory in ``parent``, private to the user; remove it at the end.

    The directories of killed processes are removed first. A file in each directory is locked
    while its process lives: the kernel releases the lock. Other directories are left alone.

    :param hint: the fix if the file system of ``parent`` has no locks.

    :raises UserError: if ``parent`` is not writable, or has no locks.
    """
    _remove_dead(parent, prefix)
    directory, lock = _new_directory(parent, prefix, hint)
    try:
        yield directory
    finally:
        try:
            remove_own_directory(directory)
        except FileNotFoundError:
            pass  # it has another name now
        except OSError as error:
            message = (
                f"cannot remove {error.filename}: {error.strerror}; the next build tries again"
            )
            warnings.warn(message, BigflowWarning, stacklevel=3)
        finally:
            os.close(lock)


def unused_name(parent: Path, prefix: str) -> Path:
    """Return a path in ``parent`` for a directory of this process."""
    return parent / f"{prefix}{os.urandom(6).hex()}"


@contextlib.contextmanager
def taken_over(directory: Path, *, hint: str) -> Iterator[bool]:
    """Wait until the process of an own directory has ended, and lock the directory.

    Yield False if it is not an own directory, or has gone in the meantime.

    :raises UserError: if the file system has no locks.
    """
    try:
        lock = os.open(directory / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        yield False
        return
    try:
        lock_file(lock, fcntl.LOCK_EX, directory=directory.parent, hint=hint)
        yield _is_own(directory, lock)
    finally:
        os.close(lock)


def remove_own_directory(directory: Path) -> None:
    """Remove a directory that this process has locked.

    :raises OSError: if a file in it cannot be removed.
    """
    # The lock goes last. A directory without it is nobody's, if this process is killed now.
    for entry in sorted(directory.iterdir()):
        if entry.name != _LOCK:
            remove_tree(entry)
    (directory / _LOCK).unlink()
    directory.rmdir()


@contextlib.contextmanager
def reported_full_disk() -> Iterator[None]:
    """Report a full temporary directory as a user error.

    Code in the block that writes to other directories must report their errors itself.
    """
    try:
        yield
    except OSError as error:
        import tempfile

        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise UserError(
            f"no space for temporary files in {tempfile.gettempdir()}: {error.strerror}",
            hint="free space there, or set TMPDIR to a directory on a larger disk",
        ) from error


@contextlib.contextmanager
def temporary_file() -> Iterator[IO[bytes]]:
    """Yield a file without a name."""
    import tempfile

    file = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        yield file
    finally:
        with contextlib.suppress(OSError):
            file.close()  # this may write to a full disk, which was reported already


def _new_directory(parent: Path, prefix: str, hint: str) -> tuple[Path, int]:
    """Return a new directory and its lock."""
    for _ in range(_ATTEMPTS):
        directory = unused_name(parent, prefix)
        try:
            directory.mkdir(0o700)
        except OSError as error:
            raise cannot_write(parent, error) from error
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            lock = os.open(directory / _LOCK, flags, 0o600)
        except FileNotFoundError:
            continue  # another process took the empty directory for one of a killed process
        except OSError as error:
            directory.rmdir()
            raise cannot_write(parent, error) from error
        try:
            lock_file(lock, fcntl.LOCK_EX, directory=parent, hint=hint)
            if _is_at(directory / _LOCK, lock):
                os.write(lock, _mark(lock))
                return directory, lock
        except BaseException as error:
            with contextlib.suppress(OSError):
                remove_own_directory(directory)
            os.close(lock)
            if isinstance(error, OSError):  # the disk is full
                raise cannot_write(parent, error) from error
            raise
        os.close(lock)
    raise UserError(
        f"cannot make a directory in {parent}: another process removes it each time",
        hint="end the program that removes new directories there",
    )


def _remove_dead(parent: Path, prefix: str) -> None:
    """Remove the directories of processes that were killed."""
    name = re.compile(re.escape(prefix) + "[0-9a-f]{12}")
    for path in parent.glob(f"{prefix}*"):
        if name.fullmatch(path.name):
            with contextlib.suppress(OSError):  # in use, of another user, or removed just now
                _remove_if_dead(path)


def _remove_if_dead(directory: Path) -> None:
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        return
    try:
        lock = os.open(directory / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        directory.rmdir()  # killed before it made the lock; this refuses a directory with files
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        killed_early = os.fstat(lock).st_size == 0 and [*directory.iterdir()] == [directory / _LOCK]
        if killed_early or _is_own(directory, lock):
            remove_own_directory(directory)
    finally:
        os.close(lock)


def _is_own(directory: Path, lock: int) -> bool:
    mark = _mark(lock)
    return _is_at(directory / _LOCK, lock) and os.pread(lock, len(mark) + 1, 0) == mark


def _mark(lock: int) -> bytes:
    """Return the content of a lock. A copy of it, as in a clone, has another inode."""
    return b"bigflow-backend removes this directory; inode %d\n" % os.fstat(lock).st_ino


def _is_at(path: Path, file: int) -> bool:
    """Return whether the open file is still at the path."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(file))
    except FileNotFoundError:
        return False


def remove_tree(path: Path) -> None:
    """Remove a file, a link or a directory, also if its directories are read-only or very deep.

    :raises OSError: if a file in it cannot be removed.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    directories = [path]
    for directory in directories:
        if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
            directory.chmod(0o700)
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    directories.append(Path(entry.path))
                else:
                    Path(entry.path).unlink()
    for directory in reversed(directories):
        directory.rmdir()
