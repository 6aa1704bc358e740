"""The page docs/benchmarks.md: tables, sentences and plots from the JSON of the results.

    python benchmarks/page.py [RESULTS]

It prints the page. Every sentence about a winner is made from the numbers.
"""

from __future__ import annotations

import statistics
import sys
import textwrap
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from results import OURS, Results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeAlias

    from results import Row

    Measured: TypeAlias = Callable[[Row], Sequence[float]]

__all__ = ["page", "write_page"]

_LEVEL = 1.05
_BUILDERS = ("layered builder", "engine builder")
_WITH_ARTICLE = {*_BUILDERS, "image without bytecode"}
# The least that a peer can need: it neither wins nor loses.
_LEAST = {"a DAG without tasks", "Python"}
_RESULTS = Path(__file__).with_name("results")
_WIDTH = 100
_HEAD = """\
# Benchmarks

`make bench` measures this project beside its peers, and writes this page. `make bench PARTS=page`
writes the page again from the last figures. The other options are in
[Contribute](../CONTRIBUTING.md#bench).

- A **ratio** is our cost divided by the cost of the peer. Below 1, this project needs less. A ratio
  in **bold** is above 1.05: the peer wins. From 0.95 to 1.05, both are level.
- Each round runs every measure once, and a ratio compares within a round. Figures are medians of
  the rounds; a ratio has its quartiles in parentheses.
- The cost is **CPU time** of all processes, the start of Python included. A busy machine changes it
  less than wall time.
"""


@dataclass(frozen=True)
class Section:
    """A section of the page, for the rows of one kind."""

    part: str
    what: str
    title: str
    text: str
    ours: Sequence[str] = (OURS,)
    case: str = ""
    """The heading of the cases."""
    plot: str = ""
    """The file name of the plot; empty without one."""


SECTIONS = (
    Section(
        "package",
        "build_wheel",
        "Packages: `build_wheel`",
        "The same modules, by the hook of each backend in a process of its own. Our "
        "backend also checks the syntax of each module and packs `resources/`; the others "
        "do not.",
        case="modules",
        plot="package.svg",
    ),
    Section("package", "build_sdist", "Packages: `build_sdist`", "", case="modules"),
    Section(
        "package",
        "get_requires_for_build_wheel",
        "Packages: `get_requires_for_build_wheel`",
        "Each frontend calls this hook before `build_wheel`.",
        case="modules",
    ),
    Section(
        "image",
        "small",
        "Images: small dependencies",
        "From the source to the registry: all commands that a user types, and the push. "
        "Each round starts with empty caches and an empty registry. Plain `docker build` "
        "copies the modules, and makes no wheel; its Dockerfile installs the requirements "
        "in a layer of their own. BigFlow uses the Dockerfile of its template, and its "
        "image holds BigFlow with its libraries.",
        ours=_BUILDERS,
        case="change",
        plot="image-small.svg",
    ),
    Section(
        "image",
        "large",
        "Images: large dependencies",
        "The same with numpy, pandas and pyarrow. The changed pin is that of six, a small wheel.",
        ours=_BUILDERS,
        case="change",
        plot="image-large.svg",
    ),
    Section(
        "dags",
        "build-dags",
        "DAGs: `bigflow build-dags`",
        "The whole command, for workflows of four jobs.",
        case="workflows",
        plot="dags.svg",
    ),
    Section(
        "dags",
        "parse a DAG file",
        "DAGs: parsed by Airflow",
        "Seconds of wall time that Airflow's DAG processor records for a file. BigFlow's "
        "DAGs try several imports. A read-only installation has no bytecode of Airflow.",
        case="Airflow",
        plot="parse.svg",
    ),
    Section(
        "pod",
        "one job",
        "The start of a pod",
        "One job that does nothing, by the command of a DAG, in a container of each "
        "image. The image without bytecode is that of the layered builder, without its "
        "`.pyc` files.",
        ours=_BUILDERS[:1],
        case="command",
        plot="pod.svg",
    ),
    Section(
        "commands",
        "command",
        "Commands",
        "Commands that a user waits for, in a new project with a tag. BigFlow has no `workflows`.",
        case="command",
        plot="commands.svg",
    ),
)


class Spread(NamedTuple):
    """A median and its quartiles."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of one or more values."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(low, median, high)

    def __str__(self) -> str:
        if self.low == self.high:
            return number(self.median)
        return f"{number(self.median)} ({number(self.low)} to {number(self.high)})"


def number(value: float) -> str:
    """Return two significant digits, or more where two hide a difference."""
    if value >= 10:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def costs(row: Row) -> Sequence[float]:
    """Return the CPU seconds of each round; seconds of wall time where they are unknown."""
    return row.cpu or row.wall


def bytes_sent(row: Row) -> Sequence[float]:
    """Return the bytes that a push sent; nothing where a ratio of them says nothing."""
    return (row.sent,) if row.sent else ()


def write_page(results: Path, docs: Path) -> None:
    """Write benchmarks.md and its plots from the JSON in ``results``."""
    from plots import write_plots

    (docs / "benchmarks.md").write_text(page(results), "utf-8")
    write_plots(dict(_rows(results)), docs / "images" / "benchmarks")


def page(results: Path = _RESULTS) -> str:
    """Return the text of the page."""
    parts = [_HEAD]
    for section, rows in _rows(results):
        parts += _section(section, rows)
    parts += ["\n## The runs\n"]
    for path in _paths(results):
        parts.append(_run(Results.read(path)))
    return "\n".join(parts) + "\n"


def _paths(results: Path) -> list[Path]:
    names = dict.fromkeys(section.part for section in SECTIONS)
    return [path for name in names if (path := results / f"{name}.json").is_file()]


def _rows(results: Path) -> Iterator[tuple[Section, list[Row]]]:
    """Yield each section that has results, with its rows."""
    for path in _paths(results):
        found = Results.read(path)
        for section in SECTIONS:
            rows = [row for row in found.rows if row.what == section.what]
            if section.part == found.part and rows:
                yield section, rows


def _section(section: Section, rows: list[Row]) -> Iterator[str]:
    yield f"\n## {section.title}\n"
    if section.text:
        yield f"{_wrapped(section.text)}\n"
    lines = [line for ours in section.ours for line in _verdicts(section, rows, ours)]
    if lines:
        yield "\n".join(lines) + "\n"
    for ours in section.ours:
        title = "ratio to" if ours == OURS else f"ratio of our {ours} to"
        peers = [peer for peer in _peers(rows) if peer != ours and peer not in section.ours[:1]]
        yield _table(section, rows, peers, title, partial(_ratio_cell, rows, ours))
    if section.plot:
        text = f"{section.title.replace('`', '')}: seconds of each peer"
        yield f"![{text}](images/benchmarks/{section.plot})\n"
    has_cpu = any(row.cpu for row in rows)
    unit = "CPU seconds; seconds of wall time" if has_cpu else "seconds of wall time"
    yield _table(section, rows, _peers(rows), unit, _cost_cell)
    if any(row.sent is not None for row in rows):
        yield "\n".join(_verdicts(section, rows, section.ours[0], bytes_sent)) + "\n"
        yield _table(section, rows, _peers(rows), "bytes pushed", lambda row: f"{row.sent or 0:,}")


def _peers(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row.peer for row in rows))


def _verdicts(
    section: Section, rows: Sequence[Row], ours: str, measure: Measured = costs
) -> Iterator[str]:
    """Yield a line for each peer: who needs less, in which cases."""
    name, of_ours = (
        ("This project", "this project") if ours == OURS else (f"The {ours}", f"the {ours}")
    )
    verb, unit = ("needs", "time") if measure is costs else ("sends", "bytes")
    for peer in _peers(rows):
        if peer in _LEAST or peer in section.ours[: section.ours.index(ours) + 1]:
            continue
        of_peer = f"the {peer}" if peer in _WITH_ARTICLE else peer
        ratios = [
            (row, ratio.median)
            for row in rows
            if row.peer == peer and (ratio := _ratio(rows, row, ours, measure))
        ]
        texts, count = [], sum(row.peer == peer for row in rows)
        for verdict, group in groupby(ratios, key=lambda item: _verdict(item[1])):
            found = list(group)
            cases = _cases(section, [row for row, _ in found], count)
            wins = verdict == "wins"
            winner, loser = (
                (f"**{of_peer.replace('the ', 'The ', 1)} wins**{cases}: it", of_ours)
                if wins
                else (name, of_peer)
            )
            part = _range([1 / ratio if wins else ratio for _, ratio in found])
            if verdict == "level":
                texts.append(f"{name} and {of_peer} are level{cases}.")
            else:
                end = "" if wins else cases
                texts.append(f"{winner} {verb} {part} of the {unit} of {loser}{end}.")
        if texts:
            yield _wrapped(f"- {' '.join(texts)}", indent="  ")


def _verdict(ratio: float) -> str:
    if ratio > _LEVEL:
        return "wins"
    return "less" if ratio < 0.95 else "level"


def _range(values: Sequence[float]) -> str:
    low, high = number(min(values)), number(max(values))
    return low if low == high else f"{low} to {high}"


def _cases(section: Section, rows: Sequence[Row], count: int) -> str:
    """Return the cases of ``rows``, which are ``count`` cases in all."""
    names = [_case(row) for row in rows if row.case]
    if not names:
        return ""
    if rows[0].case.isdigit():
        unit = section.case.removesuffix("s") if names == ["1"] else section.case
        return f" for {names[0]}{f' to {names[-1]}' if names[1:] else ''} {unit}"
    if section.part == "dags":
        return f" {' and '.join(names)}"
    if len(names) == count:
        return " in each case"
    return f" ({', '.join(names)})"


def _case(row: Row) -> str:
    return f"{int(row.case):,}" if row.case.isdigit() else row.case


def _ratio(rows: Sequence[Row], row: Row, ours: str, measure: Measured = costs) -> Spread | None:
    """Return our cost divided by that of ``row``, or None where one of them is missing."""
    for own in rows:
        if (own.what, own.case, own.peer) == (row.what, row.case, ours):
            ratios = [a / b for a, b in zip(measure(own), measure(row), strict=False)]
            return Spread.of(ratios) if ratios else None
    return None


def _ratio_cell(rows: Sequence[Row], ours: str, row: Row) -> str:
    ratio = _ratio(rows, row, ours)
    if ratio is None:
        return ""
    return f"**{ratio}**" if row.peer not in _LEAST and ratio.median > _LEVEL else str(ratio)


def _cost_cell(row: Row) -> str:
    measured = (row.cpu, row.wall) if row.cpu else (row.wall,)
    return "; ".join(number(statistics.median(values)) for values in measured)


def _table(
    section: Section,
    rows: Sequence[Row],
    peers: Sequence[str],
    title: str,
    cell: Callable[[Row], str],
) -> str:
    head = f"{section.case}: {title}" if any(row.case for row in rows) else title
    lines = [f"| {' | '.join((head, *peers))} |", "|---" * (len(peers) + 1) + "|"]
    for case in dict.fromkeys(row.case for row in rows):
        found = {row.peer: row for row in rows if row.case == case}
        cells = [cell(found[peer]) if peer in found else "" for peer in peers]
        if any(cells):
            name = _case(next(iter(found.values()))) or section.what
            lines.append(f"| {' | '.join((name, *cells))} |")
    return "\n".join(lines) + "\n"


def _run(results: Results) -> str:
    machine = results.machine
    counts = " or ".join(map(str, sorted({len(row.wall) for row in results.rows})))
    rounds = "1 round" if counts == "1" else f"{counts} rounds"
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    low, high = results.loads
    text = (
        f"- **{results.part}**, {machine['date']}: {machine['processor']}, {machine['CPUs']} CPUs, "
        f"{machine['memory']} of memory, {machine['kernel']}, Python {machine['Python']}. "
        f"{rounds}; the load was {low} to {high}. {versions}."
    )
    return _wrapped(text, indent="  ")


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(
        text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


if __name__ == "__main__":
    print(page(*map(Path, sys.argv[1:])), end="")
