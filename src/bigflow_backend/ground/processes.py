"""Run a program until it ends, or until a limit of time or output."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from bigflow_backend.ground.child import child
from bigflow_backend.ground.limits import CHILD_MESSAGES

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
    stderr: bytes
    """The first part, if it is longer than its limit. Empty if it was not captured."""


def run_bounded(
    command: Sequence[str | Path],
    *,
    cwd: Path | None,
    limit: int,
    environment: Mapping[str, str] | None = None,
    seconds: float | None = None,
    capture_stderr: bool = False,
) -> Finished:
    """Run ``command`` without stdin in a session of its own, and capture its stdout.

    ``limit`` is the largest size of stdout in bytes. The session ends with this call: after an
    error, a signal to us, or if a background process keeps a pipe open, the rest is killed.

    :raises OSError: if the program cannot be started.
    :raises TooSlowError: after ``seconds``.
    :raises TooMuchOutputError: if stdout is longer than ``limit``.
    """
    with child(
        [str(word) for word in command],
        stop=signal.SIGKILL,
        ends_with_parent=False,  # it writes no files, and the error of a bad program is clear
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if capture_stderr else None,
    ) as process:
        try:
            stdout, stderr = _read(process, limit, seconds)
        finally:
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
    return Finished(process.returncode, stdout, stderr)


def run_for_messages(
    command: Sequence[str], *, seconds: float, limit: int, **options: Any
) -> tuple[int, bytes]:
    """Run ``command``; return its exit status, and the last ``limit`` bytes of its stderr.

    The session ends with this call. ``options`` are those of :class:`subprocess.Popen`.

    :raises TooSlowError: after ``seconds``.
    """
    end = time.monotonic() + seconds
    messages = bytearray()
    with child(command, stderr=subprocess.PIPE, **options) as process:
        stream = cast("IO[bytes]", process.stderr)
        with stream, selectors.DefaultSelector() as pipe:
            pipe.register(stream, selectors.EVENT_READ)
            # A process that has left the session could keep the pipe open.
            while process.poll() is None or pipe.select(0):
                if time.monotonic() > end:
                    raise TooSlowError
                if pipe.select(_POLL):
                    piece = os.read(stream.fileno(), _PIECE)
                    if not piece:
                        break
                    messages += piece
                    del messages[: -2 * limit]
        try:
            return process.wait(max(0, end - time.monotonic())), bytes(messages[-limit:])
        except subprocess.TimeoutExpired as error:
            raise TooSlowError from error


def _read(process: subprocess.Popen[bytes], limit: int, seconds: float | None) -> list[bytes]:
    """Read both pipes until the program ends; return their contents."""
    end = None if seconds is None else time.monotonic() + seconds
    captured = [bytearray(), bytearray()]
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
            if has_ended and not ready:
                return [bytes(part) for part in captured]
            if end is not None and time.monotonic() > end:
                raise TooSlowError
    try:
        process.wait(None if end is None else max(0, end - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise TooSlowError from error
    return [bytes(part) for part in captured]


def _keep(content: bytearray, piece: bytes, *, is_stdout: bool, limit: int) -> None:
    if is_stdout:
        content += piece
        if len(content) > limit:
            raise TooMuchOutputError
    else:
        content += piece[: CHILD_MESSAGES - len(content)]
