"""What a user of the runtime can mend: one message, one hint."""

from __future__ import annotations

__all__ = ["BigflowError", "shown"]


class BigflowError(ValueError):
    """A fault in the project or in how it is used, not in this package.

    ``message`` is one line that says what is wrong, ``hint`` one line that says what to do. It is
    a ``ValueError``, because that is what BigFlow raises and its users' code catches.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


def shown(value: object) -> str:
    """``value`` for a message: its ``repr()`` on one line, without the addresses of objects."""
    import re

    return " ".join(re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value)).split())
