"""How registries are spoken to: for how long, how often, and over what."""

from __future__ import annotations

import contextlib
import email.utils
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.reference import is_loopback
from bigflow_backend.image.registry.errors import TransientError

_PROGRESS = 1 << 20
_LONGEST_PAUSE = 120.0


@dataclass(frozen=True, kw_only=True)
class Access:
    """The rules for the ways to registries."""

    plain_http: frozenset[str] = frozenset()
    """Registries that are spoken to without TLS; those on this machine may be."""
    connect_timeout: float = 15
    """Seconds for a connection to come about."""
    idle_timeout: float = 60
    """Seconds that a registry may be silent."""
    deadline: float | None = None
    """When everything must be done, as :func:`time.monotonic` counts."""
    attempts: int = 5
    """How often something is tried that may succeed at the next try."""
    pause: Callable[[float], None] = field(default=time.sleep, repr=False)
    """Waits so many seconds between two tries."""
    say: Callable[[str], None] = field(default=lambda _line: None, repr=False)
    """Takes a line for the user before each such wait."""

    def allows_plain_http(self, registry: str) -> bool:
        return registry in self.plain_http or is_loopback(registry)

    def check_deadline(self, registry: str) -> None:
        """:raises UserError: when the time is over."""
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise UserError(
                f"the registry {registry} was too slow: the time for the build is over",
                hint="raise timeout in [tool.bigflow.image], or find a faster way to it",
            )

    def longest_pause(self) -> float:
        """How many seconds between two tries the user may be asked to wait."""
        if self.deadline is None:
            return _LONGEST_PAUSE
        return min(_LONGEST_PAUSE, self.deadline - time.monotonic())


class Patience(contextlib.AbstractContextManager["Patience"]):
    """The tries of one thing: a block that may fail and be entered again::

        while True:
            with patience:
                return operation()

    It swallows each :exc:`TransientError` but the last, after a pause that is twice as long each
    time, or as long as the registry asks, if that is not too long. ``doing`` is a gerund for the
    messages.
    """

    def __init__(self, access: Access, registry: str, doing: str) -> None:
        self._access = access
        self._registry = registry
        self._doing = doing
        self._failures = 0
        self._furthest = 0

    def progress(self, position: int) -> None:
        """How many bytes of the whole are there: what gets on has not failed again and again.

        Only new ground counts, so that no registry can send the same part for ever.
        """
        if position >= self._furthest + _PROGRESS:
            self._furthest = position
            self._failures = 0

    def __exit__(self, _type: object, error: object, _traceback: object) -> bool:
        if not isinstance(error, TransientError):
            return False
        self._failures += 1
        attempts = self._access.attempts
        what, while_doing = f"the registry {self._registry} {error.reason}", f"while {self._doing}"
        if self._failures >= attempts:
            times = f" {self._failures} times" if self._failures > 1 else ""
            raise UserError(f"{what}{times} {while_doing}", hint=error.hint) from error
        self._access.check_deadline(self._registry)
        asked = error.retry_after or 0
        if asked > self._access.longest_pause():
            raise UserError(
                f"{what} {while_doing}; it asks to come back in {asked:.0f} seconds, "
                "which is too long",
                hint=error.hint,
            ) from error
        # Spread, so that the many jobs that one failure stopped do not come back all at once.
        pause = 0.5 * 2 ** (self._failures - 1) * random.uniform(0.8, 1.2)  # noqa: S311
        pause = max(pause, asked)
        self._access.say(
            f"{what} {while_doing}: "
            f"try {self._failures + 1} of {attempts} comes in {math.ceil(pause)} s"
        )
        self._access.pause(pause)
        return True


def retry_after_seconds(value: str | None) -> float | None:
    """What a ``Retry-After`` asks for, in seconds: it holds a number of them, or a date.

    https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
    """
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - time.time())
