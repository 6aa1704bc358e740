"""Child processes that end with their block: also their own children, and also after a signal."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

from bigflow_backend.ground.signals import held, interruptible

_SECONDS_TO_STOP = 3.0


@contextlib.contextmanager
def child(
    command: Sequence[str],
    *,
    stop: signal.Signals = signal.SIGTERM,
    ends_with_parent: bool = True,
    **options: Any,
) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a new process. When the block ends, the process and its children have ended.

    It has a session of its own, so Ctrl-C in a terminal does not reach it. If the block ends
    earlier than the process, the session gets ``stop``, and SIGKILL 3 seconds later. With
    ``ends_with_parent``, the kernel kills the process if this one is killed. ``options`` are those
    of :class:`subprocess.Popen`.
    """
    # Without the program, Popen raises its error, and not `setpriv`.
    wanted = ends_with_parent and shutil.which(command[0])
    before = _ends_with_parent() if wanted else ()
    with held():
        process = subprocess.Popen([*before, *command], start_new_session=True, **options)
        try:
            with interruptible():
                yield process
        finally:
            _end(process, stop)


def run(command: Sequence[str], *, stop: signal.Signals = signal.SIGTERM, **options: Any) -> int:
    """Run ``command`` as :func:`child` does, and return its exit status."""
    with child(command, stop=stop, **options) as process:
        return process.wait()


def _end(process: subprocess.Popen[bytes], stop: signal.Signals) -> None:
    if process.poll() is None:
        _signal_session(process, stop)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_SECONDS_TO_STOP)
    _signal_session(process, signal.SIGKILL)
    process.wait()


def _signal_session(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # macOS: PermissionError if only zombies are left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


@functools.cache
def _ends_with_parent() -> tuple[str, ...]:
    """Return the words before a command that make the kernel kill it with its parent.

    Without such a command, a child of a killed process runs to its end.
    https://man7.org/linux/man-pages/man2/pr_set_pdeathsig.2const.html
    """
    program = shutil.which("setpriv")
    if program is None:
        return ()
    words = (program, "--pdeathsig", "KILL", "--")
    # That of BusyBox does not have the option.
    tried = subprocess.run([*words, "true"], capture_output=True, check=False)
    return () if tried.returncode else words
