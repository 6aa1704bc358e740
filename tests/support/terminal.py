"""Commands in a real pseudo-terminal, and in a pipe."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["Running", "started"]

# Ctrl-C reaches the processes in the foreground of the session's terminal.
_IN_TERMINAL = """\
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
_SECONDS = 120
"""The longest time without output. A test that waits so long fails."""
_SIGNALS = 3


class Running:
    """A command whose stdout and stderr are a terminal, or a pipe."""

    def __init__(self, process: subprocess.Popen[bytes], output: int) -> None:
        self.process = process
        self.output = ""
        self._fd = output

    def read_until(self, is_enough: Callable[[str], bool]) -> str:
        """Return the output so far, as soon as it is enough."""
        while not is_enough(self.output):
            assert self._read(), f"the command ended: {self.output}"
        return self.output

    def wait_until(self, is_reached: Callable[[], bool]) -> None:
        """Read the output until something has happened, such as a file that exists."""
        deadline = time.monotonic() + _SECONDS
        while not is_reached():
            ready, _, _ = select.select([self._fd], [], [], 0.05)
            assert not ready or self._read(), f"the command ended: {self.output}"
            assert time.monotonic() < deadline, f"nothing happens: {self.output}"

    def finish(self) -> int:
        """Read the output to its end, and return the exit status."""
        while self._read():
            pass
        return self.process.wait(_SECONDS)

    def interrupt(self, send: Callable[[], None]) -> int:
        """Send a signal, and return the exit status.

        Python sees a signal that comes just before a system call only after the call. So it is sent
        again to a command that does not end.
        """
        for _ in range(_SIGNALS):
            send()
            again = time.monotonic() + _SECONDS
            while time.monotonic() < again:
                ready, _, _ = select.select([self._fd], [], [], 1)
                if ready and not self._read():
                    return self.process.wait(_SECONDS)
        raise AssertionError(f"it does not end: {self.output}")

    def type(self, text: str) -> None:
        """Type a text in the terminal."""
        os.write(self._fd, text.encode())

    def _read(self) -> bool:
        ready, _, _ = select.select([self._fd], [], [], _SECONDS)
        assert ready, f"no output for {_SECONDS} s: {self.output}"
        try:
            piece = os.read(self._fd, 1 << 16)
        except OSError:  # Linux: the other end of the terminal is closed
            return False
        self.output += piece.decode("utf-8", "replace")
        return bool(piece)


@contextlib.contextmanager
def started(
    command: Sequence[str | Path],
    cwd: Path,
    environment: Mapping[str, str],
    *,
    in_terminal: bool,
) -> Iterator[Running]:
    """Start a command in a session of its own; end it at the end of the block."""
    ours, theirs = pty.openpty() if in_terminal else os.pipe()
    before = [sys.executable, "-c", _IN_TERMINAL] if in_terminal else []
    process = subprocess.Popen(
        [*before, *map(str, command)],
        cwd=cwd,
        env={**os.environ, "TERM": "xterm", **environment},
        stdin=theirs if in_terminal else subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Running(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
