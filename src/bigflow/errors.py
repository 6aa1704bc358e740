"""Errors that a user of the runtime can fix: one message, one hint."""

from __future__ import annotations


class BigflowError(ValueError):
    """An error in the project or in its use, not in this package.

    It is a ``ValueError`` because BigFlow raises that and code of its users catches it.

    :param message: one line with the problem.
    :param hint: one line with the fix.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


def shown(value: object) -> str:
    """Return ``repr(value)`` on one line, without addresses of objects."""
    import re

    return " ".join(re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value)).split())
