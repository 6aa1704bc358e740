"""Text of other programs, made fit for one line of a message."""

from __future__ import annotations

import re

_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def one_line(text: str) -> str:
    """Return ``text`` without terminal colours and line breaks."""
    return " ".join(_ESCAPES.sub("", text).split())


def system_reason(error: BaseException) -> str:
    """Return what the operating system said, below the exceptions that libraries wrap around it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return one_line(str(cause.strerror))
        cause = cause.__cause__ or cause.__context__
    return one_line(str(error))
