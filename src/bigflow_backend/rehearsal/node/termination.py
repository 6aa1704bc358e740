"""The termination message of a container.

https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.rehearsal.node.runtime import Mount

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PATH = "/dev/termination-log"
_LONGEST = 4096
LINES = 80
"""The lines of a log that a message can have."""
_LONGEST_LOG = 2048


class TerminationMessage:
    """A file that is mounted into the container, and read when it has ended."""

    def __init__(self, container: Mapping[str, Any]) -> None:
        self._container = container
        descriptor, path = tempfile.mkstemp(prefix="termination-")
        os.close(descriptor)
        self._file = Path(path)
        self._file.chmod(0o666)  # the user of the container writes it

    @property
    def mount(self) -> Mount:
        """The file in the container."""
        return Mount(self._container.get("terminationMessagePath", _PATH), self._file)

    def read(self, code: int, log: Sequence[bytes]) -> str | None:
        """Return the message of a container that ended with this exit code, and this log."""
        with self._file.open("rb") as file:
            message = file.read(_LONGEST)
        falls_back = self._container.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        if not message and code and falls_back:
            message = b"\n".join(log[-LINES:])[-_LONGEST_LOG:]
        return message.decode("utf-8", "replace") or None

    def remove(self) -> None:
        self._file.unlink()
