"""Boxes, texts and arrows -> an SVG document, for a light and a dark page.

A document has no scripts, and it fetches nothing: the fonts are those of the reader's machine.
"""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Iterator
from enum import Enum
from string import Template
from xml.etree import ElementTree as ET

from bigflow_backend.ground.foreign.text import printable

_COLOURS = {
    "page": ("#ffffff", "#14181d"),
    "ink": ("#1b2430", "#e6eaf0"),
    "muted": ("#566170", "#a3adba"),
    "edge": ("#7d8896", "#7f8a98"),
    "plain": ("#f3f5f7", "#1f252d"),
    "plain_edge": ("#b9c1cb", "#4a5462"),
    "blue": ("#e3eefc", "#14304f"),
    "blue_edge": ("#3b78c4", "#5b9be6"),
    "green": ("#e0f3e6", "#123a26"),
    "green_edge": ("#2f8a55", "#4fb87c"),
    "amber": ("#fdf0d9", "#40300f"),
    "amber_edge": ("#b27a14", "#d9a441"),
    "violet": ("#eee8fb", "#2c2350"),
    "red": ("#fbe6e6", "#461c1e"),
    "red_edge": ("#b93a3a", "#f0837f"),
    "violet_edge": ("#7b5cc9", "#a58cf0"),
}
"""The name of a colour -> its values on a light and on a dark page."""
BOXES = ("plain", "blue", "green", "amber", "red", "violet")
"""The kinds of boxes."""
_STYLE = (
    "text{fill:$ink}.note{fill:$muted}.head{fill:$edge}.line{stroke:$edge}"
    + "".join(f".{kind}{{fill:${kind};stroke:${kind}_edge}}" for kind in BOXES)
    + "".join(f".solid-{kind}{{fill:${kind}_edge}}" for kind in BOXES)
)
MONOSPACE = 'ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace'
_FONTS = (
    'text{font:15px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}'
    f"text.code{{font:14px {MONOSPACE}}}text.note{{font-size:13.5px}}text.strong{{font-weight:600}}"
    ".line{fill:none;stroke-width:1.5}.dashed{stroke-dasharray:5 4}"
)
_SPACES = re.compile(r"  +|^ | $")
"""Spaces that a browser leaves out."""
CELL = 8.43
"""The width of a character of the kind ``code``: 0.602 of its size, as in most fonts."""


class Theme(Enum):
    """The page that a picture is for."""

    LIGHT = "light"
    DARK = "dark"
    SYSTEM = "system"
    """The one that the reader prefers in the system; the picture has a background then."""

    def style(self, template: Template, colours: dict[str, tuple[str, str]]) -> str:
        """Return the CSS of a template, whose variables are names of colours."""
        light, dark = (
            template.substitute({name: pair[i] for name, pair in colours.items()}) for i in (0, 1)
        )
        if self is Theme.SYSTEM:
            pages = [f"svg{{background:{page}}}" for page in _COLOURS["page"]]
            return f"{pages[0]}{light}@media (prefers-color-scheme:dark){{{pages[1]}{dark}}}"
        return light if self is Theme.LIGHT else dark


class Picture:
    """A picture; the origin is at the top left, and a unit is a pixel."""

    def __init__(
        self, width: float, height: float, *, title: str, description: str, theme: Theme
    ) -> None:
        """Begin an empty picture. ``title`` and ``description`` are for screen readers."""
        self._root = self._at = ET.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": f"0 0 {_number(width)} {_number(height)}",
                "width": _number(width),
                "height": _number(height),
                "role": "img",
                "aria-labelledby": "title description",
            },
        )
        self._add("title", printable(title), id="title")
        self._add("desc", printable(description), id="description")
        self._theme = theme
        self._style = ET.SubElement(self._root, "style")
        self._style.text = _FONTS
        self.css(_STYLE)
        head = {"viewBox": "0 0 8 8", "refX": "7", "refY": "4", "orient": "auto"}
        marker = ET.SubElement(self._root, "marker", {"id": "head", **head})
        marker.set("markerUnits", "userSpaceOnUse")
        marker.set("markerWidth", "9")
        marker.set("markerHeight", "9")
        ET.SubElement(marker, "path", {"class": "head", "d": "M0 0L8 4L0 8z"})

    @contextlib.contextmanager
    def group(self, tip: str = "", **attributes: str) -> Iterator[None]:
        """Put what the block adds into a group. A browser shows ``tip`` beside the pointer."""
        before, self._at = self._at, ET.SubElement(self._at, "g", attributes)
        if tip:
            self._add("title", "\n".join(map(printable, tip.splitlines())))
        try:
            yield
        finally:
            self._at = before

    @contextlib.contextmanager
    def viewport(self, x: float, y: float, width: float, height: float) -> Iterator[None]:
        """Put what the block adds into a part of the picture, with an origin of its own.

        Nothing of it is visible outside of that part.
        """
        place = {"x": x, "y": y, "width": width, "height": height}
        before = self._at
        self._at = ET.SubElement(self._at, "svg", {k: _number(v) for k, v in place.items()})
        try:
            yield
        finally:
            self._at = before

    def css(self, text: str) -> None:
        """Add CSS. ``$muted`` and such are colours."""
        self._style.text = f"{self._style.text}{self._theme.style(Template(text), _COLOURS)}"

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        kind: str = "plain",
        *,
        radius: int = 6,
    ) -> None:
        """Add a box of one of the kinds of :data:`BOXES`, or of ``solid-`` and such a kind."""
        place = {"x": x, "y": y, "width": width, "height": height, "rx": radius}
        self._add("rect", **{"class": kind}, **{k: _number(v) for k, v in place.items()})

    def text(
        self,
        x: float,
        y: float,
        text: str,
        kind: str = "",
        anchor: str = "start",
        *,
        columns: int = 0,
    ) -> None:
        """Add a line of text on the baseline ``y``.

        ``kind`` has any of the words ``code``, ``note`` and ``strong``. With ``columns``, the text
        has the width of that number of characters of the kind ``code``, in any font.
        """
        more = {"class": kind} if kind else {}
        shown = printable(text)
        if columns:
            more["textLength"] = _number(columns * CELL)
            shown = _SPACES.sub(lambda match: "\xa0" * len(match[0]), shown)
        more |= {"text-anchor": anchor} if anchor != "start" else {}
        self._add("text", shown, x=_number(x), y=_number(y), **more)

    def line(self, path: str, kind: str = "", **attributes: str) -> None:
        """Add a line with a head at its end. ``path`` is that of SVG; ``kind`` may be dashed."""
        classes = " ".join(filter(None, ("line", kind)))
        self._add(
            "path", **{"class": classes}, d=path, **{"marker-end": "url(#head)"}, **attributes
        )

    def __str__(self) -> str:
        ET.indent(self._root, " ")
        # Other characters than those of ASCII become references: any encoding of stdout has them.
        return f"{ET.tostring(self._root).decode('ascii')}\n"

    def _add(self, tag: str, content: str = "", **attributes: str) -> None:
        element = ET.SubElement(self._at, tag, attributes)
        element.text = content or None


def cells(text: str) -> int:
    """Return the number of columns of a text in a font whose characters have one width."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def shortened(text: str, limit: int) -> str:
    """Return the start and the end of a text that has more columns."""
    if cells(text) <= limit:
        return text
    start = end = ""
    while True:
        longer = (
            (text[: len(start) + 1], end)
            if len(start) <= len(end)
            else (start, text[-len(end) - 1 :])
        )
        if cells(f"{longer[0]}…{longer[1]}") > limit:
            return f"{start}…{end}"
        start, end = longer


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
