"""Child processes that end with their block, and their limits of time and output."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigflow_backend.ground.limits import CHILD_MESSAGES
from bigflow_backend.ground.progress import output_of_child, print_command
from bigflow_backend.ground.signals import held, interruptible

_SECONDS_TO_STOP = 3.0
_PIECE = 1 << 16
_POLL = 0.1
"""Seconds between two looks at a process whose pipes stay open."""


class TooSlowError(Exception):
    """The program did not end in time. It was killed."""


class TooMuchOutputError(Exception):
    """The program wrote more to stdout than its limit. It was killed."""


@dataclass(frozen=True)
class Finished:
    """The exit status of a program, negative for a signal, and what it wrote."""

    status: int
    stdout: bytes
    """Empty if it was not captured."""
    stderr: bytes
    """The last part, if it is longer than its limit. Empty if it was not captured."""


@contextlib.contextmanager
def child(
    command: Sequence[str],
    *,
    stop: signal.Signals | None = signal.SIGTERM,
    supervised: bool = True,
    **options: Any,
) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a new process. When the block ends, the process and its children have ended.

    It has a session of its own, so Ctrl-C in a terminal does not reach it. If the block ends
    earlier than the process, the session gets ``stop``, and 3 seconds later it is killed; without
    ``stop``, it is killed at once. On Linux, a ``supervised`` process and all of its descendants
    also end if they leave the session, or if this process is killed. ``options`` are those of
    :class:`subprocess.Popen`.
    """
    # Without the program, Popen raises its error, and not the supervisor.
    before = _supervisor() if supervised and shutil.which(command[0]) else ()
    print_command(command)
    with contextlib.ExitStack() as stack, held():
        if options.get("stderr") is None:
            options["stderr"] = stack.enter_context(output_of_child())
        process = subprocess.Popen([*before, *command], start_new_session=True, **options)
        try:
            with interruptible():
                yield process
        finally:
            _end(process, stop, has_supervisor=bool(before))


def run(command: Sequence[str], **options: Any) -> int:
    """Run ``command`` as :func:`child` does, and return its exit status."""
    with child(command, **options) as process:
        return process.wait()


def run_with_output(command: Sequence[str], **options: Any) -> int:
    """Run ``command`` as :func:`run` does, with all of its output where progress goes.

    stdout of this process is for its result.
    """
    with output_of_child() as messages:
        stdout = sys.stderr.fileno() if messages is None else messages
        return run(command, stdout=stdout, stderr=messages, **options)


def run_bounded(
    command: Sequence[str | Path],
    *,
    cwd: Path | None,
    limit: int | None,
    environment: Mapping[str, str] | None = None,
    seconds: float | None = None,
    capture_stderr: bool = False,
    on_line: Callable[[str], None] = lambda _line: None,
    supervised: bool = True,
) -> Finished:
    """Run ``command`` without stdin, as :func:`child` does, and capture its output.

    ``limit`` is the largest size of stdout in bytes; with None, stdout is not captured. ``on_line``
    gets each line of a captured stderr as it comes. If a background process keeps a pipe open, this
    function does not wait for it.

    :raises OSError: if the program cannot be started.
    :raises TooSlowError: after ``seconds``.
    :raises TooMuchOutputError: if stdout is longer than ``limit``.
    """
    options: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.DEVNULL if limit is None else subprocess.PIPE,
        "stderr": subprocess.PIPE if capture_stderr else None,
    }
    words = [str(word) for word in command]
    # The pipes close after the process has ended: it never sees a broken pipe.
    with (
        contextlib.ExitStack() as pipes,
        child(
            words, stop=None, supervised=supervised, cwd=cwd, env=environment, **options
        ) as process,
    ):
        for stream in filter(None, (process.stdout, process.stderr)):
            pipes.enter_context(stream)
        stdout, stderr = _read(process, limit or 0, seconds, on_line)
    return Finished(process.returncode, stdout, stderr)


def _end(
    process: subprocess.Popen[bytes], stop: signal.Signals | None, *, has_supervisor: bool
) -> None:
    if stop is not None and process.poll() is None:
        _signal_session(process, stop)
        _wait_a_moment(process)
    if has_supervisor and process.poll() is None:
        process.send_signal(signal.SIGUSR1)
        _wait_a_moment(process)
    _signal_session(process, signal.SIGKILL)
    process.wait()


def _wait_a_moment(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_SECONDS_TO_STOP)


def _signal_session(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # macOS: PermissionError if only zombies are left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


@functools.cache
def _supervisor_program() -> tuple[str, ...]:
    if sys.platform != "linux" or importlib.util.find_spec("_ctypes") is None:
        return ()
    return (sys.executable, "-I", "-S", str(Path(__file__).with_name("supervisor.py")))


def _supervisor() -> tuple[str, ...]:
    """Return the words before a command that leaves no process behind; none where it cannot be."""
    program = _supervisor_program()
    return (*program, str(os.getpid())) if program else ()


def _read(
    process: subprocess.Popen[bytes],
    limit: int,
    seconds: float | None,
    on_line: Callable[[str], None],
) -> list[bytes]:
    """Read both pipes until the program ends; return their contents."""
    end = None if seconds is None else time.monotonic() + seconds
    captured = [bytearray(), bytearray()]
    unfinished = b""
    with selectors.DefaultSelector() as pipes:
        for number, stream in enumerate((process.stdout, process.stderr)):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                pipes.register(stream, selectors.EVENT_READ, number)
        while pipes.get_map():
            has_ended = process.poll() is not None  # before the pipes are read for the last time
            ready = pipes.select(0 if has_ended else _POLL)
            for key, _ in ready:
                piece = os.read(key.fd, _PIECE)
                if not piece:
                    pipes.unregister(key.fileobj)
                _keep(captured[key.data], piece, is_stdout=key.data == 0, limit=limit)
                if key.data == 1:
                    unfinished = _lines(unfinished + piece, on_line)
            if has_ended and not ready:
                return [bytes(part) for part in captured]
            if end is not None and time.monotonic() > end:
                raise TooSlowError
    try:
        process.wait(None if end is None else max(0, end - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise TooSlowError from error
    return [bytes(part) for part in captured]


def _lines(text: bytes, on_line: Callable[[str], None]) -> bytes:
    """Hand the whole lines over, and return the rest, or the end of a very long one."""
    *lines, rest = text.split(b"\n")
    for line in lines:
        on_line(line.decode("utf-8", "replace"))
    return rest[-_PIECE:]


def _keep(content: bytearray, piece: bytes, *, is_stdout: bool, limit: int) -> None:
    content += piece
    if is_stdout and len(content) > limit:
        raise TooMuchOutputError
    if not is_stdout:
        del content[:-CHILD_MESSAGES]
