"""Draw a recording of a terminal as an animated picture, with CSS and without scripts.

Each line is a text that is visible for its time, and all of them scroll. Without motion, which a
reader can ask for, the picture shows the last lines.
"""

from __future__ import annotations

import json
import re
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

from rich.text import Text
from terminal import Screen, without_colours

from bigflow_backend.drawing.svg import CELL, Picture, Theme

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rich.style import Style

_ROWS, _LINE, _MARGIN = 24, 20, 18
_TICK = 0.15
"""Seconds between two frames."""
_LONGEST, _END = 40.0, 5.0
"""The most seconds of a loop, and those of its last frame."""
_PAUSE = 2.0
"""The most seconds in which only a spinner and numbers change."""
_MOVING = re.compile(r"[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]|[0-9]+")
_KINDS = {1: "solid-red", 2: "solid-green", 3: "solid-amber"}
"""The number of a colour of the terminal -> the kind of its text."""
_CSS = ".dim{fill:$muted}@media (prefers-reduced-motion:reduce){*{animation:none!important}}"

Frame = tuple[float, tuple[str, ...]]
"""A time in seconds, and the lines from then on."""
Row = tuple[tuple[int, str, str], ...]
"""Column, text and kind of each piece of a row."""


def draw_recording(path: Path, title: str, theme: Theme) -> Picture:
    """Return the picture of a recording in the format of asciinema."""
    header, *events = map(json.loads, path.read_text("utf-8").splitlines())
    width, pause = int(header["width"]), _PAUSE
    frames = list(_frames(events))
    while (shorter := list(_without_pauses(frames, pause)))[-1][0] + _END > _LONGEST:
        pause *= 0.9
    screens = [(at, tuple(_rows(lines, width))) for at, lines in shorter]
    end = shorter[-1][0] + _END
    picture = Picture(
        width * CELL + 2 * _MARGIN,
        _ROWS * _LINE + 2 * _MARGIN,
        title=title,
        description="; ".join(filter(None, map(without_colours, shorter[-1][1]))),
        theme=theme,
    )
    picture.css(_CSS + _scroll(screens, end))
    picture.box(1, 1, width * CELL + 2 * _MARGIN - 2, _ROWS * _LINE + 2 * _MARGIN - 2, radius=10)
    with picture.viewport(_MARGIN, _MARGIN, width * CELL, _ROWS * _LINE), picture.group(id="rows"):
        for number, ((begin, stop), rows) in enumerate(_intervals(screens).items()):
            picture.css(_visible(f"t{number}", begin, stop, end))
            with picture.group(**{"class": f"t{number}"}):
                for row, pieces in rows:
                    for column, text, kind in pieces:
                        picture.text(column * CELL, row * _LINE + 14, text, kind, columns=len(text))
    return picture


def _frames(events: Sequence[Any]) -> Iterator[Frame]:
    """Yield the lines of the terminal, at most once in a tick."""
    screen, last = Screen(), -_TICK
    before: tuple[str, ...] = ()
    for (at, _, text), following in zip(events, [*events[1:], None], strict=True):
        screen.feed(text)
        lines = tuple(screen.lines)
        if lines != before and (following is None or following[0] >= last + _TICK):
            yield at, lines
            last, before = at, lines


def _without_pauses(frames: Sequence[Frame], pause: float) -> Iterator[Frame]:
    """Yield the frames of a shorter recording: where little changes, the middle is left out."""
    cut = 0.0
    groups = [
        list(group)
        for _, group in groupby(frames, lambda frame: _MOVING.sub("", "\n".join(frame[1])))
    ]
    for group, following in zip(groups, [*groups[1:], None], strict=True):
        begin, end = group[0][0], group[-1][0] if following is None else following[0][0]
        longer = max(0.0, end - begin - pause)
        for at, lines in group:
            if not longer or at - begin < pause / 2:
                yield at - cut, lines
            elif end - at <= pause / 2:
                yield at - cut - longer, lines
        cut += longer


def _rows(lines: Sequence[str], width: int) -> Iterator[Row]:
    """Yield the rows of a terminal, which wraps long lines."""
    for line in lines:
        text = Text.from_ansi(line)
        for part in text.divide(range(width, len(text), width)):
            styles = {span.start: span for span in part.spans}
            places = sorted({0, len(part), *styles, *(span.end for span in part.spans)})
            yield tuple(
                (
                    start,
                    part.plain[start:stop],
                    _kind(styles[start].style if start in styles else ""),
                )
                for start, stop in pairwise(places)
                if part.plain[start:stop].strip()
            )


def _kind(style: str | Style) -> str:
    if isinstance(style, str):
        return "code"
    colour = _KINDS.get(style.color.number or 0) if style.color is not None else None
    return " ".join(
        filter(None, ("code", colour, "strong" * bool(style.bold), "dim" * bool(style.dim)))
    )


def _intervals(
    screens: Sequence[tuple[float, tuple[Row, ...]]],
) -> dict[tuple[float, float | None], list[tuple[int, Row]]]:
    """Return the rows that are visible from a time to another one; None is the end."""
    found: dict[tuple[float, float | None], list[tuple[int, Row]]] = {}
    for number in range(max(len(rows) for _, rows in screens)):
        states = [(at, rows[number] if number < len(rows) else ()) for at, rows in screens]
        changes = [(row, next(group)[0]) for row, group in groupby(states, lambda state: state[1])]
        ends = [*(at for _, at in changes[1:]), None]
        for (row, at), stop in zip(changes, ends, strict=True):
            if row:
                found.setdefault((at, stop), []).append((number, row))
    return found


def _visible(name: str, begin: float, stop: float | None, end: float) -> str:
    """Return the CSS of what is visible in an interval of a loop that takes ``end`` seconds."""
    last = "visible" if stop is None else "hidden"
    steps = f"0%{{visibility:hidden}}{100 * begin / end:.2f}%{{visibility:visible}}"
    if stop is not None:
        steps += f"{100 * stop / end:.2f}%{{visibility:hidden}}"
    return (
        f".{name}{{visibility:{last};animation:{name} {end:.1f}s step-end infinite}}"
        f"@keyframes {name}{{{steps}}}"
    )


def _scroll(screens: Sequence[tuple[float, tuple[Row, ...]]], end: float) -> str:
    """Return the CSS that moves the rows: the last ones stay visible."""
    hidden = [(at, max(0, len(rows) - _ROWS) * _LINE) for at, rows in screens]
    steps = {rows: at for at, rows in reversed(hidden)}
    keys = "".join(
        f"{100 * at / end:.2f}%{{transform:translateY({-rows}px)}}"
        for rows, at in sorted(steps.items())
    )
    return (
        f"#rows{{transform:translateY({-hidden[-1][1]}px);"
        f"animation:rows {end:.1f}s step-end infinite}}@keyframes rows{{{keys}}}"
    )
