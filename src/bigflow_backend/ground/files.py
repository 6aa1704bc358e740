"""Files of a project: how they are read, replaced, locked and checked."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shlex
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.text import quoted
from bigflow_backend.ground.limits import LEVELS, MODULE, PROJECT_FILE

if TYPE_CHECKING:
    from tarfile import TarFile


def open_regular(path: Path | str) -> BinaryIO:
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


def read_bounded(path: Path | str, limit: int) -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes.

    :raises UserError: if it cannot be read, is not a regular file, or is larger.
    """
    with open_regular(path) as file:
        try:
            data = file.read(limit + 1)
        except OSError as error:
            raise unreadable(path, error) from error
    if len(data) > limit:
        raise _too_large(path, limit)
    return data


def has_file(path: Path, limit: int | None = None) -> bool:
    """Return True for a regular file or a link to one, and False if nothing has that name.

    Use it before other code opens the file: it may wait for a FIFO, or read all of a device.

    :raises UserError: for everything else of that name, such as a directory or a broken link, and
        for a file of more than ``limit`` bytes.
    """
    if not os.path.lexists(path):
        return False
    with open_regular(path) as file:
        if limit is not None and os.fstat(file.fileno()).st_size > limit:
            raise _too_large(path, limit)
    return True


def check_modules(directory: Path) -> float:
    """Check the size of all Python files below ``directory``, before another process loads them.

    Return the time of the last change, in seconds since the epoch; 0 without files.

    :raises UserError: for a file of more than 16 MiB.
    """
    newest = 0.0
    for path in walk(directory):
        if path.name.endswith(".py") and path.is_file():
            has_file(path, MODULE)
            newest = max(newest, path.stat().st_mtime)
    return newest


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of an open file. Several threads may read it at once."""

    file: IO[bytes]
    start: int
    size: int

    def pieces(self, most: int) -> Iterator[bytes]:
        """Yield the content in pieces of at most ``most`` bytes."""
        place, end = self.start, self.start + self.size
        while place < end:
            piece = os.pread(self.file.fileno(), min(most, end - place), place)
            if not piece:
                return
            yield piece
            place += len(piece)


def walk(root: Path) -> Iterator[Path]:
    """Yield the files, links and directories below ``root``. Links are not followed.

    :raises UserError: for more than 100 directories inside each other.
    """
    for parent, directories, names in os.walk(root):
        check_levels(Path(parent), root)
        for name in (*directories, *names):
            yield Path(parent, name)


def check_levels(directory: Path, root: Path) -> None:
    """
    :raises UserError: if there are more than 100 directories between the two.
    """
    inside = directory.relative_to(root)
    if len(inside.parts) > LEVELS:
        raise UserError(
            f"more than {LEVELS} directories are inside each other: {quoted(inside.as_posix())}",
            hint="remove them, or the distribution that has them",
        )


def unreadable(path: str | Path, error: OSError) -> UserError:
    """Return the error for a file or directory that cannot be read."""
    return UserError(
        f"cannot read {path}: {error.strerror}",
        hint="check that it exists and that you have permission to read it",
    )


def _too_large(path: Path | str, limit: int) -> UserError:
    return UserError(
        f"{path} is too large: the limit is {limit:,} bytes",
        hint="check that it is the file that you mean",
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

    def hide_from_git(self) -> None:
        """Write a ``.gitignore`` into each directory of outputs that exists, except ``dist``.

        So ``git add .`` never adds an archive of hundreds of megabytes.
        """
        for directory in (self.images, self.dags):
            if directory.is_dir():
                (directory / ".gitignore").write_text("*\n", "ascii")


@contextlib.contextmanager
def replaced_file(target: Path) -> Iterator[Path]:
    """Yield the path of a new file, which replaces ``target`` if the block does not raise.

    The file has the mode that ``open`` would give it, so the group of a build server can read it.
    """
    import tempfile

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise cannot_write(target.parent, error) from error
    os.close(descriptor)
    new = Path(name)
    try:
        new.chmod(0o666 & ~_umask())
        yield new
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)


def cannot_write(directory: Path, error: OSError) -> UserError:
    """Return the error for a directory in which nothing can be written."""
    is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return UserError(
        f"cannot write in {directory}: {error.strerror}",
        hint="free space on its file system"
        if is_full
        else "check its permissions and the free space of its file system",
    )


def lock_file(file: int, kind: int, *, directory: Path, hint: str) -> None:
    """Lock an open file; wait until no other process has the lock.

    The kernel releases the lock at the end of the process, also of a killed one.

    :param kind: ``fcntl.LOCK_EX`` or ``fcntl.LOCK_SH``.
    :param directory: the place of the file, for the message.
    :param hint: the fix if the file system has no locks.

    :raises UserError: if the file system has no locks.
    """
    try:
        fcntl.flock(file, kind)
    except OSError as error:
        raise UserError(
            f"cannot lock files in {directory}: {error.strerror}",
            hint=f"{hint}: its file system has no locks",
        ) from error


def check_directory(directory: Path, root: Path) -> None:
    """Check that a build can move a file into ``directory``, which need not exist.

    :param root: the directory of the project, from which the file comes.

    :raises UserError: if it is not a directory of the same file system, or not writable.
    """
    if not os.path.lexists(directory):
        return
    if not directory.is_dir():
        raise UserError(
            f"{directory} is not a directory, and a build writes into it",
            hint="move it to another place",
        )
    if directory.stat().st_dev != root.stat().st_dev:
        raise UserError(
            f"{directory} is not on the file system of the project",
            hint="remove the mount or the link, and copy the results there after the build",
        )
    if not _is_writable(directory):
        raise UserError(
            f"cannot write in {directory}: you have no write permission in it",
            hint="build as the user who owns it, or change its permissions as that user",
        )


def check_replaceable(target: Path) -> None:
    """Check that a build can replace a file or a directory, which need not exist.

    :raises UserError: if it, or a file in it, cannot be removed.
    """
    if target.is_symlink() or not target.is_dir():
        _check_removable(target)
        return
    check_directory(target, target.parent)
    for directory, names, files in os.walk(target):
        for path in (Path(directory, name) for name in names):
            if not path.is_symlink():
                check_directory(path, target)
        for name in files:
            _check_removable(Path(directory, name))


def _check_removable(path: Path) -> None:
    """Refuse a file with the attribute `immutable` or `append only`."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        # Other errors, as for a read-only file, do not concern its removal.
        if error.errno == errno.EPERM:
            raise UserError(
                f"cannot replace {path}: {error.strerror}",
                hint=f"remove its attributes: chattr -ia {shlex.quote(str(path))}",
            ) from error


def _is_writable(directory: Path) -> bool:
    effective = os.access in os.supports_effective_ids
    return os.access(directory, os.W_OK | os.X_OK, effective_ids=effective)


def _umask() -> int:
    # POSIX has no call that only reads it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def unpack_tar(archive: TarFile, directory: Path) -> None:
    """Write the content of an archive of our own. Where Python can, it refuses other places."""
    import tarfile

    # Python 3.11 of Debian 12 has no filters: https://docs.python.org/3/library/tarfile.html
    options: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    archive.extractall(directory, **options)  # noqa: S202 - it is ours
