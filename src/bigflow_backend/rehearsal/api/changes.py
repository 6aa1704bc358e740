"""The log of all changes. It feeds the watches, and gives each object its resource version."""

from __future__ import annotations

import copy
import itertools
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bigflow_backend.rehearsal.api.selectors import Selector

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(frozen=True)
class Change:
    """One object, before and after a change."""

    version: int
    resource: str
    type: ChangeType
    object: dict[str, Any]
    previous: dict[str, Any] | None

    def seen_through(self, selector: Selector) -> ChangeType | None:
        """Return the change for a watch with this selector. An object that leaves it is deleted."""
        was = self.previous is not None and selector(self.previous)
        now = self.type != "DELETED" and selector(self.object)
        if was and now:
            return "MODIFIED"
        if was or now:
            return "ADDED" if now else "DELETED"
        return None


class ChangeLog:
    """A list that only grows. Its condition is the lock of the whole cluster."""

    def __init__(self) -> None:
        self.condition = threading.Condition(threading.RLock())
        self.closed = False
        self._changes: list[Change] = []

    @property
    def version(self) -> int:
        return len(self._changes)

    def append(
        self,
        resource: str,
        change: ChangeType,
        found: dict[str, Any],
        previous: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Record a change. Return the object with its resource version."""
        with self.condition:
            new = copy.deepcopy(found)
            new["metadata"]["resourceVersion"] = str(self.version + 1)
            self._changes.append(Change(self.version + 1, resource, change, new, previous))
            self.condition.notify_all()
            return new

    def of(self, resource: str) -> list[Change]:
        with self.condition:
            return [change for change in self._changes if change.resource == resource]

    def watch(self, resource: str, *, after: int, timeout: float | None) -> Iterator[Change]:
        """Yield the changes after a version, and later ones, until the timeout or the close."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            with self.condition:
                while not self.closed and self.version == after:
                    left = None if end is None else end - time.monotonic()
                    if left is not None and left <= 0:
                        return
                    self.condition.wait(left)
                new = list(itertools.islice(self._changes, after, None))
                closed = self.closed
            if closed:
                return
            after = new[-1].version
            yield from (change for change in new if change.resource == resource)

    def wait_for(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Check the predicate after each change. Return False if it is false until the timeout."""
        with self.condition:
            return self.condition.wait_for(predicate, timeout)

    def close(self) -> None:
        with self.condition:
            self.closed = True
            self.condition.notify_all()
