"""The output of one container, line by line. Readers can follow it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from bigflow_backend.ground.limits import POD_LOG

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


_LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class LogLine:
    """A line without its end, and its time."""

    time: datetime
    content: bytes

    def encoded(self, *, timestamp: bool) -> bytes:
        """Return the line in the format of the API. The time is RFC 3339 with nanoseconds."""
        stamp = self.time.strftime("%Y-%m-%dT%H:%M:%S.%f000Z ").encode() if timestamp else b""
        return stamp + self.content + b"\n"


class ContainerLog:
    """Lines that one thread appends while other threads read them."""

    def __init__(self) -> None:
        self._lines: list[LogLine] = []
        self._size = 0
        self._closed = False
        self._changed = threading.Condition()

    def write(self, chunks: Iterable[bytes]) -> None:
        """Append the lines of a stream until its end. A chunk can end within a line.

        A log of more than ``POD_LOG`` bytes ends with a line that says so.
        """
        rest = b""
        for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _LONGEST_LINE:
                lines.append(rest)
                rest = b""
            self._append(lines)
        if rest:
            self._append([rest])

    def close(self) -> None:
        """End the log, and with it the readers that follow it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def text(self) -> str:
        """All lines. Bytes that are not UTF-8 are replaced."""
        return b"".join(line.encoded(timestamp=False) for line in self.read()).decode(
            errors="replace"
        )

    def read(self, *, since: datetime | None = None, tail: int | None = None) -> list[LogLine]:
        """Return the last ``tail`` lines so far, without those before ``since``."""
        with self._changed:
            lines = self._lines if tail is None else self._lines[max(0, len(self._lines) - tail) :]
            return [line for line in lines if since is None or line.time >= since]

    def follow(
        self, *, since: datetime | None = None, tail: int | None = None
    ) -> Iterator[list[LogLine]]:
        """Yield the lines of :meth:`read`, then later ones, until the log is closed."""
        with self._changed:
            seen = len(self._lines)
            lines = self.read(since=since, tail=tail)
        while True:
            if lines:
                yield lines
            with self._changed:
                while not self._closed and len(self._lines) == seen:
                    self._changed.wait()
                lines = self._lines[seen:]
                seen += len(lines)
                if not lines:
                    return

    def _append(self, lines: list[bytes]) -> None:
        if self._size > POD_LOG:
            return
        self._size += sum(map(len, lines)) + len(lines)
        if self._size > POD_LOG:
            lines = [f"bigflow: the rest of this log is not kept: {POD_LOG:,} bytes".encode()]
        if lines:
            now = datetime.now(timezone.utc)
            with self._changed:
                self._lines.extend(LogLine(now, line) for line in lines)
                self._changed.notify_all()
