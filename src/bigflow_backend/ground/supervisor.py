"""A program that runs a command and leaves no process behind.

    python -I -S supervisor.py PARENT WORD...

A process of the command can leave the session, and so escape from a signal to it. This program is
the "subreaper": the kernel gives it each descendant whose parent has ended. It kills all of them
when the command has ended, at SIGUSR1, and if the process PARENT ends. It exits as the command.

https://man7.org/linux/man-pages/man2/pr_set_child_subreaper.2const.html
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
from types import FrameType
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_CANNOT_START = 127


def main(parent: str, *command: str) -> NoReturn:
    """Run the command, and exit as it does."""
    # Handlers, because the command would inherit ignored signals.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave_it_to_the_command)
    signal.signal(signal.SIGUSR1, _end_at_once)
    kernel = ctypes.CDLL(None)
    kernel.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    kernel.prctl(_PR_SET_PDEATHSIG, int(signal.SIGUSR1), 0, 0, 0)
    if os.getppid() != int(parent):
        os._exit(1)  # it has ended before the last line
    try:
        ignored_by_python = (signal.SIGPIPE, signal.SIGXFSZ)
        process = os.posix_spawnp(command[0], command, os.environ, setsigdef=ignored_by_python)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        os._exit(_CANNOT_START)
    ended, status = os.wait()
    while ended != process:
        ended, status = os.wait()
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    _end_children()
    _exit_as(os.waitstatus_to_exitcode(status))


def _leave_it_to_the_command(_number: int, _frame: FrameType | None) -> None:
    """Go on: the command is in the same session, and has got the signal too."""


def _end_at_once(_number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    _end_children()
    _exit_as(-signal.SIGKILL)


def _end_children() -> None:
    """Kill all descendants: the children of a killed one become children of this process."""
    while killed := [child for child in _children() if _is_killed(child)]:
        for child in killed:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


def _children() -> list[int]:
    # pathlib would double the time that this program takes.
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:  # noqa: PTH123
            return [int(child) for child in file.read().split()]
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        return []


def _is_killed(process: int) -> bool:
    """Kill a process; return False if it runs as another user, such as a program of `sudo`."""
    try:
        os.kill(process, signal.SIGKILL)
    except PermissionError:
        return False
    return True


def _exit_as(status: int) -> NoReturn:
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])
