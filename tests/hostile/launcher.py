"""Run one command, and write what it took and what it left behind as JSON.

    python -I -S launcher.py RESULT SECONDS COMMAND...

The process is the "subreaper" of the command: what outlives its parent becomes its child, so
nothing can hide. It is a program of its own, because the peak memory of a child of pytest would
count pytest's. See prctl(2) and getrusage(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_GRACE = 2.0  # seconds for processes that are just ending


def main(result: str, seconds: str, *command: str) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    started = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        status: int | None = process.wait(float(seconds))
    except subprocess.TimeoutExpired:
        status = None
        process.kill()
        process.wait()
    duration = time.monotonic() - started
    left = _end_children()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    document = {"status": status, "duration": duration, "peak": peak, "left": left}
    Path(result).write_text(json.dumps(document), "utf-8")


def _end_children() -> list[str]:
    """Wait a moment for all descendants, and kill the rest. Return their command lines."""
    deadline = time.monotonic() + _GRACE
    left: list[str] = []
    while True:
        try:
            number, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return left
        if number:
            continue
        if time.monotonic() > deadline:
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()
            for child in children:
                with contextlib.suppress(OSError):
                    left.append(Path(f"/proc/{child}/cmdline").read_text("utf-8", "replace"))
                    os.kill(int(child), signal.SIGKILL)
        time.sleep(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
