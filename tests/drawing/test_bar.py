"""Bars of layers, in a terminal and as a picture."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bigflow_backend.drawing.bar import BLOCKS, LETTERS, Segment, bar_line, draw_bar

_SVG = "{http://www.w3.org/2000/svg}"
_IMAGE = [
    Segment("base", "Debian", 60),
    Segment("python", "a user", 0),
    Segment("dependencies", "dependencies: a", 20),
    Segment("dependencies", "dependencies: b", 19),
    Segment("project", "project", 1),
]


@pytest.mark.parametrize(
    ("characters", "line"),
    [
        (BLOCKS, "░" * 23 + "███████▉████████▓"),
        (LETTERS, "." * 23 + "=======|========#"),
    ],
)
def test_a_bar_in_a_terminal(characters: dict[str, str], line: str) -> None:
    assert bar_line(_IMAGE, 40, characters) == line


_SIZES = st.integers(0, 10**12)


@settings(
    max_examples=100, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(
    st.dictionaries(st.sampled_from(list(BLOCKS)), st.lists(_SIZES, max_size=30)),
    st.integers(5, 200),
)
def test_a_bar_has_its_width_and_all_parts(sizes: dict[str, list[int]], width: int) -> None:
    segments = [Segment(part, "x", n) for part, each in sizes.items() for n in each]
    parts: dict[str, int] = {}

    def paint(part: str, text: str) -> str:
        parts[part] = len(text)
        return text

    line = bar_line(segments, width, LETTERS, paint)
    full = {segment.part for segment in segments if segment.size}
    assert len(line) == (width if full else 0)
    assert parts.keys() == full
    assert all(count >= 1 for count in parts.values())


def test_the_picture_of_many_layers_has_the_largest_and_the_sum_of_the_others() -> None:
    layers = [Segment("base", "<base>", 500), *(Segment("image", f"{n}", n) for n in range(30))]
    root = ET.fromstring(str(draw_bar("x" * 99, layers, "1 kB")))
    texts = [element.text for element in root.iter(f"{_SVG}text")]
    assert texts[0] == f"{'x' * 31}…{'x' * 30}"
    assert texts[2:5] == ["base: <base>", "500 B", "53 %"]
    assert texts[-3:] == ["image: 15 smaller layers", "105 B", "11 %"]
    bars = [rect for rect in root.iter(f"{_SVG}rect") if rect.attrib["y"] == "64"]
    assert len(bars) == 30  # one layer is empty


def test_an_empty_image() -> None:
    assert bar_line([], 40, BLOCKS) == ""
    assert ET.fromstring(str(draw_bar("empty", [Segment("image", "", 0)], ""))) is not None
