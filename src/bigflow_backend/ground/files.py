"""Files and directories that are written beside their target and then moved into place.

A build that is interrupted or fails leaves the results of the last good build as they were.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.ground.limits import PROJECT_FILE


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading. A link to one is followed.

    A FIFO would block, and a device would never end.

    :raises UserError: if it cannot be opened, or is not a regular file.
    """
    try:
        # O_NONBLOCK: without it, the call itself waits for a writer of the FIFO.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UserError(f"{path} is not a regular file", hint="replace it with a regular file")
    return os.fdopen(descriptor, "rb")


def read_bounded(path: Path, limit: int) -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes.

    :raises UserError: if it cannot be read, is not a regular file, or is larger.
    """
    with open_regular(path) as file:
        try:
            data = file.read(limit + 1)
        except OSError as error:
            raise unreadable(path, error) from error
    if len(data) > limit:
        raise UserError(
            f"{path} is too large: the limit is {limit:,} bytes",
            hint="check that it is the file that you mean",
        )
    return data


def unreadable(path: str | Path, error: OSError) -> UserError:
    """Return the error for a file or directory that cannot be read."""
    return UserError(
        f"cannot read {path}: {error.strerror}",
        hint="check that it exists and that you have permission to read it",
    )


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file of the project, without a byte order mark.

    :raises UserError: if it cannot be read, is too large, or with the line that is not UTF-8.
    """
    data = read_bounded(path, PROJECT_FILE)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, line {line}: not UTF-8", hint="save the file as UTF-8") from error


@dataclass(frozen=True)
class Outputs:
    """The directories that a build writes: those of the project, or those of a staging directory.

    Results of a build hold paths relative to ``root``, so they are valid before and after the move.
    """

    root: Path

    @property
    def dist(self) -> Path:
        return self.root / "dist"

    @property
    def images(self) -> Path:
        return self.root / ".image"

    @property
    def dags(self) -> Path:
        return self.root / ".dags"


@contextlib.contextmanager
def replaced_file(target: Path) -> Iterator[Path]:
    """Yield the path of a new file, which replaces ``target`` if the block does not raise.

    The file has the mode that ``open`` would give it, so the group of a build server can read it.
    """
    with _reported(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(descriptor)
    new = Path(name)
    try:
        new.chmod(0o666 & ~_umask())
        yield new
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)


def temporary_directory(parent: Path, prefix: str) -> Path:
    """Return a new directory in ``parent``, private to the user.

    :raises UserError: if ``parent`` is not writable.
    """
    with _reported(parent):
        return Path(tempfile.mkdtemp(prefix=prefix, dir=parent))


@contextlib.contextmanager
def _reported(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write in {directory}: {error.strerror}",
            hint="check its permissions and the free space of its file system",
        ) from error


def move_file(new: Path, target: Path) -> None:
    """Replace ``target`` with a finished file of the same file system.

    :raises UserError: if the directory of ``target`` is not writable.
    """
    with _reported(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        new.replace(target)


@contextlib.contextmanager
def swapped(new: Path, target: Path) -> Iterator[None]:
    """Replace ``target`` with a finished directory; if the block raises, put the old one back.

    The old one stays beside it until :func:`remove_replaced`. Hold :func:`alone_in` around both.

    :raises UserError: if ``target`` cannot be replaced.
    """
    # rename() cannot replace a directory that is not empty. The old one gets a name that `recover`
    # knows, in case the process is killed between the two renames.
    old = _aside(target)
    _remove(old)
    try:
        with _reported(target.parent):
            if os.path.lexists(target):
                target.rename(old)
            new.rename(target)
        yield
    except BaseException:
        if not os.path.lexists(new):
            target.rename(new)
        if os.path.lexists(old):
            old.rename(target)
        raise


def remove_replaced(target: Path) -> None:
    """Remove what :func:`swapped` has replaced."""
    try:
        _remove(_aside(target))
    except UserError as left:  # the build is complete; the next build reports it as an error
        warnings.warn(f"{left.message}; {left.hint}", BigflowWarning, stacklevel=2)


def _remove(path: Path) -> None:
    """Remove a file, a link or a directory.

    :raises UserError: if a file in it belongs to another user.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    if os.path.lexists(path):
        raise UserError(
            f"cannot remove {path}, the old output of a build: you have no write permission in it",
            hint="remove it as the user who owns its files",
        )


def recover(target: Path) -> None:
    """Restore ``target`` if a killed build had renamed it and not yet replaced it.

    :raises UserError: if ``target`` cannot be replaced because it belongs to another user.
    """
    old = _aside(target)
    if os.path.lexists(old):
        with alone_in(target.parent):
            if target.exists():
                _remove(old)
            elif old.exists():
                old.rename(target)
    if _is_read_only(target):
        raise UserError(
            f"cannot replace {target}: you have no write permission in it",
            hint="build as the user who owns it, or remove it as that user",
        )


def check_directory(directory: Path) -> None:
    """Check a directory that a build writes files into; it need not exist.

    :raises UserError: if it is not a directory, or not writable.
    """
    if os.path.lexists(directory) and not directory.is_dir():
        raise UserError(
            f"{directory} is not a directory, and a build writes into it",
            hint="move it to another place",
        )
    if directory.is_dir() and not _is_writable(directory):
        raise UserError(
            f"cannot write in {directory}: you have no write permission in it",
            hint="build as the user who owns it, or change its permissions as that user",
        )


def _is_read_only(directory: Path) -> bool:
    """Return whether the files of a directory cannot be removed."""
    return (
        directory.is_dir()
        and not directory.is_symlink()
        and not _is_writable(directory)
        and any(directory.iterdir())
    )


def _is_writable(directory: Path) -> bool:
    effective = os.access in os.supports_effective_ids
    return os.access(directory, os.W_OK | os.X_OK, effective_ids=effective)


@contextlib.contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Lock ``directory``, so that two builds that end at once move their results in turn.

    The kernel releases the lock of a process that is killed.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Some network file systems have no locks.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _aside(target: Path) -> Path:
    return target.with_name(f".bigflow-replaced-{target.name.lstrip('.')}")


def _umask() -> int:
    # POSIX has no call that only reads it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
