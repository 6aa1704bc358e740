"""Outputs are made beside their target and moved into place whole.

An interrupted or failed build leaves the artifacts of the last good one as they were.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from bigflow_backend.ground.errors import BigflowWarning, UserError


def read_bytes(path: Path) -> bytes:
    """Return the content of the file.

    :raises UserError: if it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: str | Path, error: OSError) -> UserError:
    """Return the error for a file or directory that cannot be read."""
    return UserError(
        f"cannot read {path}: {error.strerror}",
        hint="check that it exists and that you have permission to read it",
    )


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, without a byte order mark.

    :raises UserError: if it cannot be read, or with the line that is not UTF-8.
    """
    data = read_bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, line {line}: not UTF-8", hint="save the file as UTF-8") from error


@contextlib.contextmanager
def replaced_directory(target: Path) -> Iterator[Path]:
    """A new directory to fill; when the block ends well, it takes the place of ``target``.

    When the block raises, ``target`` is untouched and nothing is left beside it.
    """
    with _told(target.parent):
        recover(target)
        target.parent.mkdir(parents=True, exist_ok=True)
    new = temporary_directory(target.parent, f"{target.name}.new-")
    try:
        new.chmod(0o777 & ~_umask())  # mkdtemp makes it private to the user
        with _room_told(target.parent):
            yield new
            _swap(new, target)
    finally:
        shutil.rmtree(new, ignore_errors=True)


@contextlib.contextmanager
def replaced_file(target: Path) -> Iterator[Path]:
    """The path of a file to write; when the block ends well, it takes the place of ``target``.

    The file has the mode of one made by ``open``, so a build server's group can read it.
    """
    with _told(target.parent):
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
    """A new directory in ``parent``, private to the user.

    :raises UserError: when nothing can be written there.
    """
    with _told(parent):
        return Path(tempfile.mkdtemp(prefix=prefix, dir=parent))


@contextlib.contextmanager
def _told(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write in {directory}: {error.strerror}",
            hint="check the directory, its rights, and the space on its file system",
        ) from error


@contextlib.contextmanager
def _room_told(directory: Path) -> Iterator[None]:
    """Other places are told by those who write there."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise UserError(
            f"no room in {directory}: {error.strerror}", hint="make room on its file system"
        ) from error


def move_into_place(new: Path, target: Path) -> None:
    """Puts a finished file or directory in the place of ``target``, on the same file system."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if new.is_dir():
        _swap(new, target)
    else:
        new.replace(target)


def _swap(new: Path, target: Path) -> None:
    # A directory cannot be renamed over one that is not empty, so the old one steps aside under a
    # name that `recover` knows, should the process be killed between the two renames.
    old = _aside(target)
    with _alone_in(target.parent), _told(target.parent):
        _remove(old)
        if os.path.lexists(target):
            target.rename(old)
        try:
            new.rename(target)
        except BaseException:
            if os.path.lexists(old):
                old.rename(target)
            raise
        try:
            _remove(old)
        except UserError as left:  # what was asked for is done; the next build says it again
            warnings.warn(f"{left.message}; {left.hint}", BigflowWarning, stacklevel=2)


def _remove(path: Path) -> None:
    """Whatever there is; a user may have put a file or a link where a build makes a directory.

    :raises UserError: where that is not allowed, as for what another user has made.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    if os.path.lexists(path):
        raise UserError(
            f"{path}, which a build has replaced, cannot be removed: you may not write in it",
            hint="remove it as the user who owns what is in it",
        )


def recover(target: Path) -> None:
    """Brings back what stepped aside for something that never came, as its mover was killed.

    :raises UserError: when ``target`` could not be replaced, as another user's.
    """
    old = _aside(target)
    if os.path.lexists(old):
        with _alone_in(target.parent):
            if target.exists():
                _remove(old)
            elif old.exists():
                old.rename(target)
    if _is_read_only(target):
        raise UserError(
            f"{target} cannot be replaced: you may not write in it",
            hint="build as the user who owns it, or remove it as that user",
        )


def _is_read_only(directory: Path) -> bool:
    """Whether what is in a directory cannot be removed from there."""
    return (
        directory.is_dir()
        and not directory.is_symlink()
        and not os.access(
            directory, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids
        )
        and any(directory.iterdir())
    )


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Two builds of one project may end at once: one after the other moves what it has made.

    The lock is the kernel's, so that of a process that was killed is gone with it.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # A file system without locks (some of networks) has builds take their chance, as before.
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
