"""What a user can mend: one message, one hint, no traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A fault that the user can mend.

    ``message`` is one line that says what is wrong and names the culprit (file, key, line);
    ``hint`` is one line that says what to do. The doors (hooks, commands, command line)
    print both and exit with status 1; every other exception is our own fault and keeps its
    traceback.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class AlreadyReportedError(Exception):
    """A fault of the user's that a child process has told already; only the exit status is left."""


class BigflowWarning(UserWarning):
    """Advice to the user; frontends show it as the backend's warning."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The nearest of the known words as the end of a sentence, or all of them."""
    candidates = sorted(known)
    near = difflib.get_close_matches(word, candidates, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return "known are: " + ", ".join(candidates) if candidates else "there are none"
