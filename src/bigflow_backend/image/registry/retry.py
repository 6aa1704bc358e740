"""Timeouts, retries and pauses of requests to registries."""

from __future__ import annotations

import contextlib
import email.utils
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.limits import RETRY_AFTER
from bigflow_backend.image.reference import is_loopback
from bigflow_backend.image.registry.errors import TransientError
from bigflow_backend.image.registry.parallel import check_running, in_caller, pause

if TYPE_CHECKING:
    from bigflow_backend.image.oci import Descriptor

_PROGRESS = 1 << 20
_DAY = 86_400
_LONGEST_DATE = 64


def _nothing(_kind: str, _digest: str, _done: int, _size: int) -> None:
    """Report no transfer."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """The rules of requests to registries."""

    plain_http: frozenset[str] = frozenset()
    """Registries without TLS. Those on this machine need not be named."""
    connect_timeout: float = 15
    """Seconds to open a connection."""
    idle_timeout: float = 60
    """Seconds without data from a registry."""
    deadline: float | None = None
    """The end of all requests, as a value of :func:`time.monotonic`."""
    attempts: int = 5
    """The number of tries after transient errors."""
    mirrors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """A registry, and its mirrors as ``host[:port][/path]``."""
    pause: Callable[[float], None] = field(default=pause, repr=False)
    """Wait for the given seconds between two tries."""
    say: Callable[[str], None] = field(default=lambda _line: None, repr=False)
    """Receives a line of progress before each pause."""
    progress: Callable[[str, str, int, int], None] = field(default=_nothing, repr=False)
    """Receives ``pull`` or ``push``, the digest of a blob, the bytes that are done, and its size.

    It is called after each MiB and at the end.
    """

    def allows_plain_http(self, registry: str) -> bool:
        return registry in self.plain_http or is_loopback(registry)

    def check_deadline(self, registry: str) -> None:
        """Check the deadline, and whether another transfer has failed.

        :raises UserError: if the deadline is over.
        :raises StoppedError: if another transfer has failed.
        """
        check_running()
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise UserError(
                f"the registry {registry} was too slow: the timeout of the build is over",
                hint="raise timeout in [tool.bigflow.image], or use a faster network",
            )

    def longest_pause(self) -> float:
        """Return the longest allowed pause between two tries, in seconds."""
        if self.deadline is None:
            return RETRY_AFTER
        return min(RETRY_AFTER, self.deadline - time.monotonic())


class Progress:
    """The reports of one transfer."""

    def __init__(self, access: Access, kind: Literal["pull", "push"], blob: Descriptor) -> None:
        self._access = access
        self._kind = kind
        self._blob = blob
        self._reported = -_PROGRESS

    def at(self, done: int) -> None:
        """Report that ``done`` bytes are there, if it is a MiB more, fewer, or the end."""
        reported, size = self._reported, self._blob.size
        if done != reported and (done == size or not reported <= done < reported + _PROGRESS):
            self._reported = done
            in_caller(self._access.progress, self._kind, self._blob.digest, done, size)


class Retries(contextlib.AbstractContextManager["Retries"]):
    """The tries of one operation: a block that can be entered again::

        while True:
            with retries:
                return operation()

    It swallows each :exc:`TransientError` except the last, after a pause. The pause doubles each
    time, or is what the registry asks for, up to a limit. ``doing`` is a gerund for messages.
    """

    def __init__(self, access: Access, registry: str, doing: str) -> None:
        self._access = access
        self._registry = registry
        self._doing = doing
        self._failures = 0
        self._furthest = 0

    def progress(self, position: int) -> None:
        """Reset the count of failures when at least 1 MiB of new data has arrived.

        ``position`` is the number of bytes so far. A registry that sends the same part again and
        again makes no progress.
        """
        if position >= self._furthest + _PROGRESS:
            self._furthest = position
            self._failures = 0

    def __exit__(self, _type: object, error: object, _traceback: object) -> bool:
        if not isinstance(error, TransientError):
            return False
        self._access.check_deadline(self._registry)
        self._failures += 1
        attempts = self._access.attempts
        what, while_doing = f"the registry {self._registry} {error.reason}", f"while {self._doing}"
        if self._failures >= attempts:
            times = f" {self._failures} times" if self._failures > 1 else ""
            raise UserError(f"{what}{times} {while_doing}", hint=error.hint) from error
        asked = error.retry_after or 0
        if asked > self._access.longest_pause():
            raise UserError(
                f"{what} {while_doing}; it asks for a pause of "
                f"{f'{asked:.0f} seconds' if asked <= _DAY else 'more than a day'}, "
                "which is too long",
                hint=error.hint,
            ) from error
        # Random, so that many jobs that failed together do not retry together.
        pause = 0.5 * 2 ** (self._failures - 1) * random.uniform(0.8, 1.2)  # noqa: S311
        pause = max(pause, asked)
        line = f"retry {self._failures + 1} of {attempts} in {math.ceil(pause)} s"
        in_caller(self._access.say, f"{what} {while_doing}: {line}")
        self._access.pause(pause)
        return True


def retry_after_seconds(value: str | None) -> float | None:
    """Return the seconds of a ``Retry-After``, which holds a number or a date.

    https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
    """
    if not value or len(value) > _LONGEST_DATE:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value).timestamp()
    # The parser has no rule for the year 99999999999999.
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return max(0.0, date - time.time())
