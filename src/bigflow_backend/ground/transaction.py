"""The one transaction of a build: all outputs are staged, and one rename decides.

Every output is written into a staging directory. At the end, this directory gets the name
``.bigflow-build-commit``: from then on the build is done. Then its outputs move into their places.
If the process is killed in between, the next command of the project finishes the moves.
"""

from __future__ import annotations

import contextlib
import errno
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from bigflow_backend.ground.directories import (
    own_directory,
    remove_own_directory,
    taken_over,
    unused_name,
)
from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.ground.files import Outputs, check_directory, check_replaceable
from bigflow_backend.ground.signals import held, set_outcome

_STAGING = ".bigflow-build-"
_COMMIT = ".bigflow-build-commit"
_NO_LOCKS = "move the project to a local disk"
_ATTEMPTS = 1000


class _UnfinishedError(UserError):
    """Some outputs have moved, and cannot be put back. The next command tries it again."""


class Transaction:
    """A running build: its staging directory, and what to do when it fails or succeeds."""

    def __init__(self, outputs: Outputs, project: Outputs) -> None:
        self.outputs = outputs
        self._project = project
        self._undo: list[Callable[[], None]] = []
        self._cleanup: list[Callable[[], None]] = []

    def on_failure(self, undo: Callable[[], None]) -> None:
        """Call ``undo`` if the build fails later; the last function added is called first."""
        self._undo.append(undo)

    def after_commit(self, cleanup: Callable[[], None]) -> None:
        """Call ``cleanup`` after the outputs are in place; it must not raise."""
        self._cleanup.append(cleanup)

    def check(self, output: Path) -> None:
        """Check that the project's file or directory ``output`` can be replaced.

        :param output: the path relative to the project.

        :raises UserError: if it, or a file in it, cannot be removed.
        """
        check_replaceable(self._project.root / output)

    def roll_back(self) -> None:
        """Call the functions of :meth:`on_failure`."""
        while self._undo:
            self._undo.pop()()

    def commit(self) -> None:
        """Move the staged outputs into the project: all of them, or none.

        :raises UserError: if one cannot be replaced; then the others are put back.
        """
        staging, root = self.outputs.root, self._project.root
        self.outputs.hide_from_git()
        _flush(staging)
        with held():
            decided = _decide(staging, root)
            try:
                _move_into_place(decided, root)
            except _UnfinishedError:
                raise
            except UserError:
                decided.rename(staging)
                raise
            decided.rename(staging)
            self._undo.clear()
            set_outcome("the build is finished, and its outputs are in place")
        for cleanup in self._cleanup:
            cleanup()


@contextlib.contextmanager
def transaction(root: Path, *, keeps: bool = True) -> Iterator[Transaction]:
    """Yield a transaction that writes the outputs of the project in ``root``.

    If the block raises, or with ``keeps`` False, the outputs of the last build stay as they are.

    :raises UserError: if an output cannot be replaced, or the project is not writable.
    """
    recover(root)
    project = Outputs(root)
    check_directory(project.dist, root)
    check_replaceable(project.images)
    check_replaceable(project.dags)
    set_outcome("this build changed no outputs")
    with own_directory(root, _STAGING, hint=_NO_LOCKS) as staging:
        running = Transaction(Outputs(staging), project)
        try:
            with _reported_full_disk(root):
                yield running
                if keeps:
                    running.commit()
                else:
                    running.roll_back()
        except BaseException:
            running.roll_back()
            raise


def recover(root: Path) -> None:
    """Finish the moves of a build that was killed between them. Each command begins with this.

    :raises UserError: if an output cannot be moved.
    """
    decided = root / _COMMIT
    for _ in range(_ATTEMPTS):
        if not os.path.lexists(decided):
            return
        try:
            with taken_over(decided, hint=_NO_LOCKS) as is_own:
                if is_own:
                    _finish(decided, root)
        except OSError as error:
            raise UserError(
                f"cannot finish the moves of a killed build in {decided}: {error.strerror}",
                hint="run the command as the user who built",
            ) from error
    raise UserError(
        f"{decided} does not belong to a build in this directory", hint="move it to another place"
    )


def _finish(decided: Path, root: Path) -> None:
    with held():
        _move_into_place(decided, root)
        done = decided.rename(unused_name(root, _STAGING))
    with contextlib.suppress(OSError):  # the next build removes the rest
        remove_own_directory(done)
    message = "a build was killed while its outputs moved into place; now they are all there"
    warnings.warn(message, BigflowWarning, stacklevel=3)


def _flush(directory: Path) -> None:
    """Write all files to the disk, so that they are whole after a power failure."""
    for path, _names, files in os.walk(directory):
        for name in (*files, ""):
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with contextlib.suppress(OSError):  # a link, or a file system without fsync
                file = os.open(Path(path, name), flags)
                try:
                    os.fsync(file)
                finally:
                    os.close(file)


def _decide(staging: Path, root: Path) -> Path:
    """Give the staging directory the name that means: its outputs are those of the project."""
    decided = root / _COMMIT
    for _ in range(_ATTEMPTS):
        recover(root)  # it waits for another build that moves its outputs
        if _renamed(staging, decided):
            _flush_directory(root)
            return decided
    raise UserError(
        f"cannot move the outputs into {root}: other builds always come first",
        hint="run fewer builds at once",
    )


def _renamed(staging: Path, decided: Path) -> bool:
    """Rename the directory; return False if another build has the name."""
    try:
        staging.rename(decided)
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
            return False
        raise UserError(
            f"cannot rename {staging}: {error.strerror}",
            hint="let no other program change it, and build again",
        ) from error
    return True


def _move_into_place(decided: Path, root: Path) -> None:
    """Move all outputs of ``decided`` into the project; those that have moved stay.

    No reader finds outputs of two builds: the old ones go before the first new one comes. DAGs go
    first and come last.

    :raises UserError: if one cannot be moved; then the others are put back.
    """
    import tempfile

    new = Outputs(decided)
    paths = [*sorted(new.dist.glob("*")), new.images, new.dags]
    names = [path.relative_to(decided) for path in paths if os.path.lexists(path)]
    done: list[tuple[Path, Path]] = []

    def move(source: Path, target: Path) -> None:
        source.rename(target)
        done.append((source, target))

    try:
        old = Path(tempfile.mkdtemp(prefix="replaced-", dir=decided))
        (old / "dist").mkdir()
        for name in reversed(names):
            if os.path.lexists(root / name):
                move(root / name, old / name)
        for name in names:
            (root / name).parent.mkdir(exist_ok=True)
            move(decided / name, root / name)
    except OSError as error:
        problem = f"cannot move the outputs into {root}: {error.filename}: {error.strerror}"
        try:
            for source, target in reversed(done):
                target.rename(source)
        except OSError as second:
            raise _UnfinishedError(
                f"{problem}; some are not in their place: {second.strerror}",
                hint="make it writable; then `bigflow project-version` moves the rest",
            ) from error
        raise UserError(
            problem, hint="check the permissions and attributes of that file, and build again"
        ) from error
    for directory in {(root / name).parent for name in names}:
        _flush_directory(directory)


def _flush_directory(directory: Path) -> None:
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # a file system without fsync
            os.fsync(file)
    finally:
        os.close(file)


@contextlib.contextmanager
def _reported_full_disk(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise UserError(
            f"no space in {root}: {error.strerror}", hint="free space on its file system"
        ) from error
