"""The termination message of a container.

https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["TerminationMessage"]

_PATH = "/dev/termination-log"
_LONGEST = 4096
_LOG_LINES = 80
_LONGEST_LOG = 2048


class TerminationMessage:
    """A file that is mounted into the container, and read when it has ended."""

    def __init__(self, container: Mapping[str, Any]) -> None:
        self._container = container
        descriptor, self._file = tempfile.mkstemp(prefix="termination-")
        os.close(descriptor)
        Path(self._file).chmod(0o666)

    @property
    def volumes(self) -> dict[str, dict[str, str]]:
        """The argument of the Docker Engine."""
        path = self._container.get("terminationMessagePath", _PATH)
        return {self._file: {"bind": path, "mode": "rw"}}

    def read(self, code: int, log: Sequence[bytes]) -> str | None:
        """Return the message of a container that ended with this exit code, and this log."""
        message = Path(self._file).read_bytes()[:_LONGEST]
        falls_back = self._container.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        if not message and code and falls_back:
            message = b"\n".join(deque(log, _LOG_LINES))[-_LONGEST_LOG:]
        return message.decode("utf-8", "replace") or None

    def remove(self) -> None:
        Path(self._file).unlink()
