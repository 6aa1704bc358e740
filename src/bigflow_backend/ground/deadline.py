"""The time at which a build ends, whatever it waits for."""

from __future__ import annotations

import time

from bigflow_backend.ground.errors import UserError


class DeadlineError(UserError):
    """The build takes longer than its timeout."""

    def __init__(self) -> None:
        super().__init__(
            "the build takes longer than its timeout",
            hint="raise timeout in [tool.bigflow.image]",
        )


def check_deadline(deadline: float) -> None:
    """Check a time of :func:`time.monotonic`.

    :raises DeadlineError: if it is over.
    """
    if time.monotonic() > deadline:
        raise DeadlineError
