"""The verdict: one line that says why a run failed.

It is the last line of the output, and the pod's termination message, which Airflow shows:
https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
"""

from __future__ import annotations

import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_TERMINATION_LOG = "/dev/termination-log"
_LONGEST = 1000
_SECONDS_TO_READ = 0.1
_OWN_FILES = os.path.dirname(__file__) + os.sep
_OUT_OF_MEMORY = (
    # version 2 and version 1 of control groups: the file that counts kills, and the limit
    ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory.max"),
    ("/sys/fs/cgroup/memory/memory.oom_control", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


class Stopped(SystemExit):
    """The exit of a run that got SIGTERM."""


def reason_of(error: BaseException) -> str:
    """Return the type and the message of an error in one line."""
    if isinstance(error, Stopped):
        return "stopped by SIGTERM"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, SystemExit):
        code = error.code
        return f"exit status {code}" if isinstance(code, int) else f"exit: {_one_line(code)}"
    module = type(error).__module__
    name = type(error).__qualname__
    name = name if module in {"builtins", "__main__"} else f"{module}.{name}"
    try:
        text = _one_line(error)
    except Exception:  # noqa: BLE001 - the error's own __str__ can fail
        text = ""
    return f"{name}: {text}" if text else name


def reason_of_exit(code: int) -> str:
    """Return the reason for a process that left no message. A negative code is a signal's."""
    if code >= 0:
        return f"exit status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"killed by {name}"


def write_verdict(what: str, reason: str) -> None:
    """Write the last line of the output, and the pod's termination message."""
    memory = _lack_of_memory()
    reason = f"{memory} ({reason})" if memory else reason
    line = f"bigflow: {what} failed: {reason}"
    _write_termination_message(line)
    print(line, file=sys.stderr, flush=True)


def _write_termination_message(text: str) -> None:
    """Write the pod's termination message. Outside of a pod, the file does not exist."""
    try:
        file = os.open(_TERMINATION_LOG, os.O_WRONLY | os.O_TRUNC)
    except OSError:
        return
    try:
        os.write(file, text.encode("utf-8", "backslashreplace"))
    except OSError:
        pass
    finally:
        os.close(file)


def print_traceback(error: BaseException) -> None:
    """Print the traceback of an error, from the first line outside of this package on."""
    frame: TracebackType | None = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(_OWN_FILES):
        frame = frame.tb_next
    if frame is not None:
        error = error.with_traceback(frame)
    sys.excepthook(type(error), error, error.__traceback__)


def await_readers() -> None:
    """Wait until the container's log has what is written: stdout and stderr have a reader each."""
    sys.stdout.flush()
    time.sleep(_SECONDS_TO_READ)


def _lack_of_memory() -> str:
    """Return the memory limit, if the kernel has killed a process of this container for it."""
    if os.path.exists(_TERMINATION_LOG):
        for events, limit in _OUT_OF_MEMORY:
            lines = _read(events).splitlines()
            kills = [line.split()[1] for line in lines if line.startswith("oom_kill ")]
            if kills and kills[0] != "0":
                size = _read(limit).strip()
                mebibytes = f", limit {int(size) // 2**20}Mi" if size.isdigit() else ""
                return f"out of memory{mebibytes}"
    return ""


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read(4096)
    except OSError:
        return ""


def _one_line(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
