"""The memory limit of a sandbox: what the kernel's control groups do for an engine.

It reads the memory of the processes in the sandbox ten times a second, and kills the largest when
all of them together have more than the limit.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path

_POLL_SECONDS = 0.1
_FILES = {"memory.events": "oom_kill 0\n", "memory.max": "{limit}\n"}


class MemoryLimit:
    """A thread that watches the processes in the PID namespace of a process."""

    def __init__(self, limit: int, directory: Path) -> None:
        self._limit = limit
        self.directory = directory
        """The files of the control group: the runtime reads in them why a process was killed."""
        self.was_exceeded = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory limit")
        self._namespace = ""
        for name, text in _FILES.items():
            (directory / name).write_text(text.format(limit=limit))

    def start(self, pid: int) -> None:
        """Watch the namespace of which ``pid`` is the first process."""
        self._namespace = _namespace(pid)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        while self._namespace and not self._ended.wait(_POLL_SECONDS):
            sizes = {pid: _memory(pid) for pid in self._processes()}
            if sum(sizes.values()) > self._limit:
                self.was_exceeded = True
                (self.directory / "memory.events").write_text("oom_kill 1\n")
                with contextlib.suppress(ProcessLookupError):
                    os.kill(max(sizes, key=lambda pid: sizes[pid]), signal.SIGKILL)

    def _processes(self) -> list[int]:
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
        return [pid for pid in pids if _namespace(pid) == self._namespace]


def _namespace(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""


def _memory(pid: int) -> int:
    """Return the bytes of memory that are the process's own."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines()
    except OSError:
        return 0
    own = [line.split()[1] for line in lines if line.startswith(("RssAnon:", "RssShmem:"))]
    return sum(map(int, own)) * 1024
