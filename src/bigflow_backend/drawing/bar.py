"""Sizes of named parts -> a bar: as a picture, and as a line of a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from bigflow_backend.drawing.svg import Picture, Theme, shortened
from bigflow_backend.ground.foreign.text import printable
from bigflow_backend.ground.progress import size

BLOCKS = {"base": "░", "python": "▒", "dependencies": "█", "project": "▓", "image": "█"}
"""A part -> its character in a terminal with UTF-8."""
LETTERS = {"base": ".", "python": ":", "dependencies": "=", "project": "#", "image": "="}
"""A part -> its character elsewhere."""
_ENDS = {"█": "▉", "=": "|"}
"""The last character of a segment of the same part: it separates it from the next one."""
_BOXES = {
    "base": "solid-plain",
    "python": "solid-violet",
    "dependencies": "solid-green",
    "project": "solid-blue",
    "image": "solid-amber",
}
_WIDTH, _MARGIN = 560, 16
_ROWS = 16


@dataclass(frozen=True)
class Segment:
    """A part of a bar."""

    part: str
    """A key of :data:`BLOCKS`."""
    name: str
    size: int
    """In bytes."""


def bar_line(
    segments: Sequence[Segment],
    width: int,
    characters: dict[str, str],
    paint: Callable[[str, str], str] = lambda _part, text: text,
) -> str:
    """Return a bar of ``width`` columns. Each part that is not empty has one column at least."""
    parts = list(dict.fromkeys(segment.part for segment in segments if segment.size))
    total = sum(segment.size for segment in segments)
    free = max(0, width - len(parts))
    line = ""
    for number, part in enumerate(parts):
        own = [segment.size for segment in segments if segment.part == part]
        before = sum(s.size for s in segments if s.part in parts[:number])
        begin = number + round(free * before / total)
        end = number + 1 + round(free * (before + sum(own)) / total)
        line += paint(part, _cells_of(own, end - begin, characters[part]))
    return line


def _cells_of(sizes: Sequence[int], width: int, character: str) -> str:
    """Return the columns of one part, in which each layer ends with a character of its own."""
    text, at, total = "", 0, sum(sizes)
    for done in accumulate(sizes):
        end = round(width * done / total)
        if end > at:
            is_last = done == total
            text += character * (end - at - 1)
            text += character if is_last else _ENDS.get(character, character)
            at = end
    return text


def part_sizes(segments: Sequence[Segment]) -> dict[str, int]:
    """Return the size of each part, in the order of the segments."""
    sizes: dict[str, int] = {}
    for segment in segments:
        sizes[segment.part] = sizes.get(segment.part, 0) + segment.size
    return sizes


def draw_bar(
    title: str, segments: Sequence[Segment], note: str, theme: Theme = Theme.SYSTEM
) -> Picture:
    """Return the picture of a bar with a row for each segment, the largest ones if it has many."""
    total = sum(segment.size for segment in segments)
    shown = sorted(segments, key=lambda segment: -segment.size)[:_ROWS]
    rows = [segment for segment in segments if segment in shown]
    others = [segment for segment in segments if segment not in shown]
    if others:
        names = f"{len(others)} smaller layers"
        rows.append(Segment(others[0].part, names, sum(segment.size for segment in others)))
    picture = Picture(
        _WIDTH,
        124 + 28 * len(rows) + _MARGIN,
        title=title,
        description="; ".join(f"{row.part}: {row.name}, {size(row.size)}" for row in rows),
        theme=theme,
    )
    right = _WIDTH - _MARGIN
    picture.text(_MARGIN, 28, shortened(printable(title), 62), "code strong")
    picture.text(_MARGIN, 50, note, "note")
    at = float(_MARGIN)
    for segment in segments:
        width = (right - _MARGIN) * segment.size / (total or 1)
        if segment.size:
            with picture.group(f"{segment.part}: {segment.name}, {size(segment.size)}"):
                picture.box(at, 64, max(2, width - 1), 36, _BOXES[segment.part], radius=2)
        at += width
    for number, row in enumerate(rows):
        y = 120 + 28 * number
        text = f"{row.part}: {row.name}" if not row.name.startswith(row.part) else row.name
        with picture.group(row.name):
            picture.box(_MARGIN, y, 16, 16, _BOXES[row.part], radius=3)
            picture.text(_MARGIN + 28, y + 13, shortened(printable(text), 40))
            picture.text(right - 52, y + 13, size(row.size), "note", "end")
            picture.text(right, y + 13, percent(row.size, total), "note", "end")
    return picture


def percent(part: int, total: int) -> str:
    """Return a share such as ``12 %``."""
    share = 100 * part / total if total else 0
    return f"{share:.0f} %" if share >= 1 or not part else "< 1 %"
