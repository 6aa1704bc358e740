"""The init process of a pod: it starts the job as its child.

The kernel protects process 1 of a container. It ignores signals without a handler, and even the
SIGKILL that the process sends to itself: https://man7.org/linux/man-pages/man7/pid_namespaces.7.html
Orphans become its children, and stay zombies until it waits for them. A job expects neither.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_OWN_ERRORS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
_LONGEST_MESSAGE = 4096


def start_job(conclude: Callable[[int, str], None]) -> int | None:
    """Fork in process 1, and return in the child: the descriptor for its last message.

    In another process, return None and do nothing.

    The parent never returns. It forwards signals to the child, waits for orphans, and exits as the
    child does: with its status, or with 128 and the number of the signal that killed it. Before, it
    calls ``conclude(code, message)``. The code is that of ``os.waitstatus_to_exitcode``.
    """
    if os.getpid() != 1:
        return None
    waited = signal.valid_signals() - _OWN_ERRORS
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, waited)  # the kernel ignores no blocked signal
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(reader)
        return writer
    os.close(writer)
    os.set_blocking(reader, False)  # a process that the job has left behind can hold the other end
    code = _wait_for(child, waited)
    try:
        message = os.read(reader, _LONGEST_MESSAGE).decode("utf-8", "replace")
    except BlockingIOError:
        message = ""
    conclude(code, message)
    os._exit(code if code >= 0 else 128 - code)


def _wait_for(child: int, waited: set[signal.Signals]) -> int:
    while True:
        received = signal.sigwaitinfo(waited)
        if received.si_signo == signal.SIGCHLD:
            code = _reap(child)
            if code is not None:
                return code
        # The kernel itself sends the signals of a terminal, to the child as well: their code is
        # positive. https://man7.org/linux/man-pages/man2/sigaction.2.html
        elif received.si_code <= 0:
            os.kill(child, received.si_signo)


def _reap(child: int) -> int | None:
    """Wait for all children that have ended; return the exit code of ``child`` if it has."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            return os.waitstatus_to_exitcode(status)
        if pid == 0:
            return None
