"""Text of other programs: made fit for one line of a message, and parsed."""

from __future__ import annotations

import json
import re
from typing import Any

_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def one_line(text: str) -> str:
    """Return ``text`` without terminal colours and line breaks."""
    return " ".join(_ESCAPES.sub("", text).split())


def parse_json(content: bytes | str) -> Any:
    """Parse JSON of another program or machine.

    :raises ValueError: if it is not valid, or too deep for Python's parser.
    """
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("its values are nested too deeply") from error


def system_reason(error: BaseException) -> str:
    """Return what the operating system said, below the exceptions that libraries wrap around it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return one_line(str(cause.strerror))
        cause = cause.__cause__ or cause.__context__
    return one_line(str(error))
