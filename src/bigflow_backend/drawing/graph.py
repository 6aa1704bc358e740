"""Names that wait for each other -> a picture of their graph.

A box is in the first level after those that it waits for. The levels are columns, or rows if there
are more levels than boxes in one of them: so a large picture is high, and a page scrolls.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from bigflow_backend.drawing.svg import CELL, Picture, Theme, cells, shortened
from bigflow_backend.ground.foreign.text import printable

_LINE = 24
"""The most columns of a line in a box; a name has up to two lines."""
_SWEEPS = 16
_MOST_BENDS = 3000
"""If edges cross more levels, each is one curve, which may lead behind boxes."""
_MARGIN, _TOP, _BEND = 16, 48, 14
_HEADING = 60


@dataclass(frozen=True)
class Node:
    """A box."""

    name: str
    after: Sequence[str]
    """The names of nodes before it in the list."""
    tip: str
    """The text that a browser shows beside the pointer."""


def draw_graph(title: str, nodes: Sequence[Node], theme: Theme = Theme.SYSTEM) -> Picture:
    """Return the picture of a graph. Equal graphs give equal pictures."""
    layout = _Layout(nodes)
    heading = shortened(printable(title), _HEADING)
    width, height = layout.size
    picture = Picture(
        max(width, cells(heading) * CELL) + 2 * _MARGIN,
        height + _TOP + _MARGIN,
        title=title,
        description="; ".join(
            f"{node.name} after {', '.join(node.after)}" if node.after else node.name
            for node in nodes
        ),
        theme=theme,
    )
    picture.text(_MARGIN, 30, heading, "code strong")
    for (before, after), route in zip(layout.edges, layout.routes, strict=True):
        with picture.group(f"{nodes[after].name} waits for {nodes[before].name}"):
            picture.line(layout.curve(route))
    for number, (node, lines) in enumerate(zip(nodes, layout.names, strict=True)):
        x, y = layout.corner(number)
        with picture.group(node.tip):
            picture.box(x, y, layout.width, layout.height, "blue")
            first = y + layout.height / 2 + 5 - 10 * (len(lines) - 1)
            for row, line in enumerate(lines):
                picture.text(x + layout.width / 2, first + 20 * row, line, "code", "middle")
    return picture


class _Layout:
    """The places of boxes and edges.

    Points are the boxes, then the bends of edges, one in each level between the ends. ``along`` is
    the direction of the edges, ``across`` that of a level.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        number = {node.name: i for i, node in enumerate(nodes)}
        self.edges = [(number[name], i) for i, node in enumerate(nodes) for name in node.after]
        self.levels: list[int] = []
        for node in nodes:
            before = [self.levels[number[name]] + 1 for name in node.after]
            self.levels.append(max(before, default=0))
        self.names = [_lines(printable(node.name)) for node in nodes]
        self.width = max(cells(line) for lines in self.names for line in lines) * CELL + 28
        self.height = 18 + 20 * max(map(len, self.names))
        counts = Counter(self.levels)
        self._is_high = len(counts) > max(counts.values())
        self._depth: float = self.height if self._is_high else self.width
        self._extent: float = self.width if self._is_high else self.height
        self._step = self._depth + (46 if self._is_high else 64)
        self._gap = 24 if self._is_high else 16
        self._boxes = len(nodes)
        self.routes = list(self._routes())

    def _routes(self) -> Iterator[list[int]]:
        """Yield the points of each edge; add its bends."""
        levels = self.levels
        bends = sum(levels[after] - levels[before] - 1 for before, after in self.edges)
        for before, after in self.edges:
            between = range(levels[before] + 1, levels[after] if bends <= _MOST_BENDS else 0)
            route = [before, *range(len(levels), len(levels) + len(between)), after]
            levels += between
            yield route

    @cached_property
    def _across(self) -> list[float]:
        """The middle of each point; few edges cross, and they are short.

        Each level is sorted by the mean place of the neighbours, from the first level to the last
        and back (Sugiyama, Tagawa and Toda, 1981).
        """
        points = range(len(self.levels))
        extents = [(self._extent if i < self._boxes else _BEND) + self._gap for i in points]
        before: list[list[int]] = [[] for _ in points]
        after: list[list[int]] = [[] for _ in points]
        for route in self.routes:
            for one, next_one in pairwise(route):
                after[one].append(next_one)
                before[next_one].append(one)
        rows = [[i for i in points if self.levels[i] == n] for n in range(max(self.levels) + 1)]
        across = [0.0 for _ in points]
        for sweep in range(_SWEEPS):
            is_last = sweep >= _SWEEPS // 2
            for row in rows if sweep % 2 == 0 else reversed(rows):
                wanted = {}
                for i in row:
                    near = before[i] + after[i] if is_last else (before, after)[sweep % 2][i]
                    wanted[i] = sum(across[j] for j in near) / len(near) if near else across[i]
                if not is_last:
                    row.sort(key=wanted.__getitem__)
                places = _apart([wanted[i] for i in row], [extents[i] for i in row])
                for i, place in zip(row, places, strict=True):
                    across[i] = place
        least = min(a - e / 2 for a, e in zip(across, extents, strict=True))
        return [place - least for place in across]

    @property
    def size(self) -> tuple[float, float]:
        """The width and the height of all boxes."""
        across = max(self._across) + (self._extent + self._gap) / 2
        along = (max(self.levels) + 1) * self._step + self._depth - self._step
        return (across, along) if self._is_high else (along, across)

    def corner(self, box: int) -> tuple[float, float]:
        """Return the top left corner of a box."""
        return self._point(self.levels[box] * self._step, self._across[box] - self._extent / 2)

    def curve(self, route: Sequence[int]) -> str:
        """Return the path of an edge: straight beside the boxes of a level, curved between."""
        parts: list[str] = []
        for one, next_one in pairwise(route):
            begin = self.levels[one] * self._step + self._depth
            end = self.levels[next_one] * self._step - (1 if next_one == route[-1] else 0)
            middle = (begin + end) / 2
            a, b = self._across[one], self._across[next_one]
            points = [(begin, a), (middle, a), (middle, b), (end, b)]
            x = [" ".join(f"{value:.1f}" for value in self._point(*point)) for point in points]
            parts.append(f"{'L' if parts else 'M'}{x[0]}C{','.join(x[1:])}")
        return "".join(parts)

    def _point(self, along: float, across: float) -> tuple[float, float]:
        x, y = (across, along) if self._is_high else (along, across)
        return x + _MARGIN, y + _TOP


def _apart(wanted: Sequence[float], extents: Sequence[float]) -> list[float]:
    """Return places in this order that are ``extents`` apart, and near to the wanted ones.

    The sum of the squared distances is the smallest (isotonic regression).
    """
    offsets = [end - extent / 2 for end, extent in zip(accumulate(extents), extents, strict=True)]
    groups: list[tuple[float, int]] = []
    for place, offset in zip(wanted, offsets, strict=True):
        total, count = place - offset, 1
        while groups and groups[-1][0] / groups[-1][1] > total / count:
            total, count = total + groups[-1][0], count + groups.pop()[1]
        groups.append((total, count))
    starts = [total / count for total, count in groups for _ in range(count)]
    return [start + offset for start, offset in zip(starts, offsets, strict=True)]


def _lines(name: str) -> list[str]:
    """Return a name in one line, or in two: the first one ends after a word, if it can."""
    if cells(name) <= _LINE:
        return [name]
    words = re.findall(r"[^_.\- ]*[_.\- ]?", name)
    first = ""
    for word in words:
        if cells(first + word) > _LINE:
            break
        first += word
    if cells(first) < _LINE // 3:
        first = next(name[:n] for n in range(_LINE, 0, -1) if cells(name[:n]) <= _LINE)
    return [first, shortened(name[len(first) :], _LINE)]
