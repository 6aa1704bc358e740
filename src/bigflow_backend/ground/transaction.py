"""The one transaction of a build: all outputs are staged once and moved into place once."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import Outputs, move_into_place, recover, temporary_directory

_STAGING = ".bigflow-build-"


class Transaction:
    """A running build: its staging directory, and what to do when it fails or succeeds."""

    def __init__(self, outputs: Outputs) -> None:
        self.outputs = outputs
        self._undo: list[Callable[[], None]] = []
        self._cleanup: list[Callable[[], None]] = []

    def on_failure(self, undo: Callable[[], None]) -> None:
        """Call ``undo`` if the build fails later; the last function added is called first."""
        self._undo.append(undo)

    def after_commit(self, cleanup: Callable[[], None]) -> None:
        """Call ``cleanup`` after the outputs are in place; it must not raise."""
        self._cleanup.append(cleanup)

    def roll_back(self) -> None:
        """Call the functions of :meth:`on_failure`."""
        while self._undo:
            self._undo.pop()()

    def commit(self, outputs: Outputs) -> None:
        """Move each staged output into its place in ``outputs``."""
        staged = self.outputs
        for path in sorted(staged.dist.glob("*")) if staged.dist.is_dir() else ():
            move_into_place(path, outputs.dist / path.name)
        for made, target in ((staged.images, outputs.images), (staged.dags, outputs.dags)):
            if made.is_dir():
                move_into_place(made, target)
        for cleanup in self._cleanup:
            cleanup()


@contextlib.contextmanager
def transaction(root: Path) -> Iterator[Transaction]:
    """Yield a transaction that writes the outputs of the project in ``root``.

    If the block raises, the outputs of the last build stay as they are.

    :raises UserError: if an output cannot be replaced, or the project is not writable.
    """
    _remove_leftovers(root)
    outputs = Outputs(root)
    for target in (outputs.images, outputs.dags):
        recover(target)
    staging = temporary_directory(root, f"{_STAGING}{os.getpid()}-")
    running = Transaction(Outputs(staging))
    try:
        with _reported_full_disk(root):
            yield running
            running.commit(outputs)
    except BaseException:
        running.roll_back()
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


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


def _remove_leftovers(root: Path) -> None:
    """Remove the staging directories of killed builds, and keep those of running builds."""
    for directory in root.glob(f"{_STAGING}*"):
        pid = directory.name.removeprefix(_STAGING).partition("-")[0]
        if pid.isdigit() and not _is_running(int(pid)):
            shutil.rmtree(directory, ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
