"""Errors that the user can fix: a message and a hint, without a traceback."""

from __future__ import annotations

from collections.abc import Iterable


class UserError(Exception):
    """An error that the user can fix.

    ``message`` is one line: the problem with its file, key or line, and the value.
    ``hint`` is one line: a command, a line to write, or an example. Each entry point prints both
    and exits with status 1. Every other exception is a defect of this package and has a traceback.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class AlreadyReportedError(Exception):
    """An error that a child process has printed. Only the exit status is left."""


class BigflowWarning(UserWarning):
    """Advice to the user. Frontends show it as a warning of the backend."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the known word nearest to ``word``, or else all known words."""
    candidates = sorted(known)
    near = nearest(word, candidates)
    if near is not None:
        return f"did you mean {near!r}?"
    return "known are: " + ", ".join(candidates) if candidates else "none is known"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that ``word`` may be a typing error of."""
    import difflib

    return next(iter(difflib.get_close_matches(word, list(known), n=1)), None)
