"""The one transaction of a build: all outputs are staged once and moved into place once."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import (
    Outputs,
    alone_in,
    check_directory,
    move_file,
    recover,
    remove_replaced,
    swapped,
    temporary_directory,
)

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
        """Move the staged outputs into their places in ``outputs``: all of them, or none.

        :raises UserError: if one cannot be replaced; then the others are put back.
        """
        staged = self.outputs
        directories = [
            (made, target)
            for made, target in ((staged.images, outputs.images), (staged.dags, outputs.dags))
            if made.is_dir()
        ]
        with alone_in(outputs.root):
            with contextlib.ExitStack() as swaps:
                for made, target in directories:
                    swaps.enter_context(swapped(made, target))
                # Last, because the wheel is one file: it is replaced, or it is not.
                for path in sorted(staged.dist.glob("*")):
                    move_file(path, outputs.dist / path.name)
            self._undo.clear()
            for _, target in directories:
                remove_replaced(target)
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
    check_directory(outputs.dist)
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
