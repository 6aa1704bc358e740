"""A terminal: a text with colours and movements of the cursor -> the lines that it shows."""

from __future__ import annotations

import re

_PARTS = re.compile(r"(\x1b\[[0-9;?]*[a-zA-Z]|\r\n|\r|\n)")
_SEQUENCE = re.compile(r"\x1b\[(?P<number>[0-9;?]*)(?P<letter>[a-zA-Z])")
_UNFINISHED = re.compile(r"\x1b(\[[0-9;?]*)?\Z|\r\Z")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Screen:
    """The lines of a terminal that is as high as its text.

    It knows what the progress of bigflow writes: a line is removed before it is written again.
    """

    def __init__(self) -> None:
        """Begin with one empty line."""
        self.lines = [""]
        """They keep the sequences of their colours."""
        self._row = 0
        self._rest = ""

    def feed(self, text: str) -> None:
        """Show a text, which may end inside a sequence."""
        text = self._rest + text
        unfinished = _UNFINISHED.search(text)
        self._rest = unfinished[0] if unfinished else ""
        for part in _PARTS.split(text.removesuffix(self._rest) if self._rest else text):
            match = _SEQUENCE.fullmatch(part)
            if match and match["letter"] == "A":
                self._row = max(0, self._row - int(match["number"] or 1))
            elif match and match["letter"] == "K":
                self.lines[self._row] = ""
            elif part in {"\r\n", "\n"}:
                self._row += 1
                self.lines += [""] * (self._row + 1 - len(self.lines))
            elif part and part != "\r" and (not match or match["letter"] == "m"):
                self.lines[self._row] += part


def without_colours(line: str) -> str:
    """Return a line without the sequences of its colours, and without spaces at its end."""
    return COLOURS.sub("", line).rstrip()
