"""Text of other programs and machines, made fit for a message.

Nothing foreign reaches a terminal as it is: it could move the cursor, set the title of the
window, or print in the other direction. ``report`` calls :func:`printable` for every line.
"""

from __future__ import annotations

import re

from bigflow_backend.ground.limits import MESSAGE, QUOTATION

# Colours and cursor movements (CSI); titles and links (OSC). See ECMA-48, 5.4 and 8.3.89.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]{0,2048}(?:\x07|\x1b\\|\x9c)"
)


def printable(text: str, limit: int = MESSAGE) -> str:
    """Return one line of at most ``limit`` characters that a terminal prints as it is.

    Colours are removed. Line breaks, other control characters and marks of direction become
    escapes, such as ``\\n`` and ``\\u202e``. Of a longer text the middle is left out.
    """
    if len(text) > 2 * limit:  # the escapes of a long text would be longer
        text = f"{text[:limit]}{text[-limit:]}"
    if not text.isprintable():
        text = _SEQUENCES.sub("", text).expandtabs(4)
        text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return shortened(text, limit)


def one_line(text: str) -> str:
    """Return ``text`` as :func:`printable` does; all white space becomes single spaces."""
    if len(text) > 8 * MESSAGE:
        text = f"{text[: 4 * MESSAGE]} ... {text[-4 * MESSAGE :]}"
    return printable(" ".join(_SEQUENCES.sub("", text).split()))


def quoted(text: str) -> str:
    """Return a short part of another program's text for the inside of a message."""
    return shortened(one_line(text), QUOTATION)


def shortened(text: str, limit: int) -> str:
    """Return at most ``limit`` characters: the start and the end of a longer text."""
    if len(text) <= limit:
        return text
    end = limit // 4
    return f"{text[: limit - end - 5]} ... {text[-end:]}"


def system_reason(error: BaseException) -> str:
    """Return what the operating system said, below the exceptions that libraries wrap around it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return one_line(str(cause.strerror))
        cause = cause.__cause__ or cause.__context__
    return one_line(str(error))
