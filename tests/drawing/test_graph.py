"""Pictures of graphs: places of boxes, ends of edges, and hostile names."""

from __future__ import annotations

import random
import re
from itertools import combinations
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bigflow_backend.drawing.graph import Node, draw_graph

_SVG = "{http://www.w3.org/2000/svg}"
Box = tuple[float, float, float, float]


def graph(count: int, seed: int, *, most: int, span: int) -> list[Node]:
    """Return a graph: each box waits for up to ``most`` of the ``span`` boxes before it."""
    choose = random.Random(seed)
    nodes: list[Node] = []
    for number in range(count):
        near = [node.name for node in nodes[-span:]]
        after = choose.sample(near, min(len(near), choose.randint(0, most)))
        nodes.append(Node(f"job_{number}", after, f"number {number}"))
    return nodes


def drawn(nodes: list[Node], title: str = "daily") -> tuple[ET.Element, list[Box], list[str]]:
    """Return the picture, left, top, right and bottom of each box, and the paths of the edges."""
    root = ET.fromstring(str(draw_graph(title, nodes)))
    boxes = []
    for rect in root.iter(f"{_SVG}rect"):
        x, y, width, height = (float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
        boxes.append((x, y, x + width, y + height))
    paths = [path.attrib["d"] for path in root.iter(f"{_SVG}path") if "marker-end" in path.attrib]
    return root, boxes, paths


def check(nodes: list[Node], boxes: list[Box], paths: list[str], size: tuple[float, ...]) -> None:
    """Check that no box is over another one, and that each edge connects its boxes."""
    assert len(boxes) == len(nodes)
    for a, b in combinations(boxes, 2):
        apart = a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]
        assert apart, (a, b)
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
    number = {node.name: i for i, node in enumerate(nodes)}
    edges = [(number[name], i) for i, node in enumerate(nodes) for name in node.after]
    assert len(paths) == len(edges)
    for (before, after), path in zip(edges, paths, strict=True):
        values = [float(value) for value in re.findall(r"-?[0-9.]+", path)]
        assert touches(boxes[before], values[0], values[1]), path
        assert touches(boxes[after], values[-2], values[-1]), path


def touches(box: Box, x: float, y: float) -> bool:
    """Return whether a point is on the border of a box, or at most 2 units beside it."""
    left, top, right, bottom = box
    is_near = left - 2 <= x <= right + 2 and top - 2 <= y <= bottom + 2
    return is_near and not (left + 2 < x < right - 2 and top + 2 < y < bottom - 2)


def size_of(root: ET.Element) -> tuple[float, float]:
    return float(root.attrib["width"]), float(root.attrib["height"])


@pytest.mark.parametrize(
    ("count", "most", "span"), [(1, 0, 1), (2, 1, 1), (30, 3, 8), (200, 2, 60), (200, 1, 1)]
)
def test_boxes_are_apart_and_edges_connect_them(count: int, most: int, span: int) -> None:
    nodes = graph(count, 7, most=most, span=span)
    root, boxes, paths = drawn(nodes)
    check(nodes, boxes, paths, size_of(root))


def test_a_graph_with_all_edges_has_straight_ones() -> None:
    nodes: list[Node] = []
    for number in range(60):
        nodes.append(Node(f"job_{number}", [node.name for node in nodes], ""))
    root, boxes, paths = drawn(nodes)
    check(nodes, boxes, paths, size_of(root))


def test_an_edge_does_not_lead_through_a_box() -> None:
    nodes = [
        Node("a", [], ""),
        Node("b", ["a"], ""),
        Node("c", ["b"], ""),
        Node("d", ["c", "a"], ""),
    ]
    _, boxes, paths = drawn(nodes)
    values = [float(value) for value in re.findall(r"-?[0-9.]+", paths[-1])]
    points = list(zip(values[::2], values[1::2], strict=True))
    for left, top, right, bottom in boxes[1:3]:
        inside = [(x, y) for x, y in points if left <= x <= right and top <= y <= bottom]
        assert inside == []


def test_edges_of_a_ladder_do_not_cross() -> None:
    """The boxes of the second level are defined in the opposite order."""
    nodes = [Node(f"a{i}", [], "") for i in range(5)]
    nodes += [Node(f"b{i}", [f"a{i}"], "") for i in reversed(range(5))]
    _, boxes, _ = drawn(nodes)
    middles = {node.name: box[1] + box[3] for node, box in zip(nodes, boxes, strict=True)}
    for i in range(5):
        assert middles[f"a{i}"] == pytest.approx(middles[f"b{i}"])


def test_equal_graphs_give_equal_pictures() -> None:
    one, other = (str(draw_graph("daily", graph(40, 3, most=3, span=9))) for _ in range(2))
    assert one == other


_TEXTS = st.text(st.characters(codec=None), min_size=1, max_size=90)


@settings(
    max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(st.lists(_TEXTS, min_size=1, max_size=8, unique=True), _TEXTS, st.randoms())
def test_any_text_gives_a_valid_document(
    names: list[str], title: str, choose: random.Random
) -> None:
    nodes: list[Node] = []
    for name in names:
        after = [node.name for node in nodes if choose.random() < 0.4]
        nodes.append(Node(name, after, name))
    root, boxes, paths = drawn(nodes, title)
    check(nodes, boxes, paths, size_of(root))
    allowed = {"svg", "title", "desc", "style", "marker", "path", "g", "rect", "text"}
    assert {element.tag.removeprefix(_SVG) for element in root.iter()} <= allowed


def test_hostile_names_are_texts() -> None:
    name = "</text><script>alert(1)</script>\x1b[31m\u202e\x00\ud800&lt;"
    root, _, _ = drawn([Node(name, [], name)], name)
    assert root.find(f".//{_SVG}script") is None
    assert root.findtext(f"{_SVG}title") == (
        "</text><script>alert(1)</script>\\u202e\\x00\\ud800&lt;"
    )


def test_a_long_name_has_two_lines_and_its_title_has_all_of_it() -> None:
    name = "load_the_observations_of_all_stations_of_the_northern_hemisphere"
    root, _, _ = drawn([Node(name, [], name)])
    lines = [element.text for element in root.iter(f"{_SVG}text")]
    assert lines == ["daily", "load_the_observations_", "of_all_stati…_hemisphere"]
    assert root.findtext(f"{_SVG}g/{_SVG}title") == name
