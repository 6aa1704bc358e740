"""Plots of the results: SVG without a background, in colours for light and dark pages."""

from __future__ import annotations

from statistics import median, quantiles
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib import pyplot as plt
from page import costs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from page import Section
    from results import Row

__all__ = ["write_plots"]

_GREY = "#808080"
# The first is ours. Each has a contrast of 3 or more to white and to dark grey.
_COLOURS = ("#d9480f", "#4c7fd9", "#2b9348", "#a855c7", "#b08900", "#1599a8", "#c2577f")
_MARKERS = "osD^vPX"
_STYLE = {
    "svg.fonttype": "none",  # text stays text: small files
    "svg.hashsalt": "benchmarks",  # equal results make equal files
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": _GREY,
    "axes.labelcolor": _GREY,
    "axes.edgecolor": _GREY,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def write_plots(sections: Mapping[Section, Sequence[Row]], directory: Path) -> None:
    """Write the plot of each section that has one."""
    directory.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_STYLE):
        for section, rows in sections.items():
            if section.plot:
                sizes = rows[0].case.isdigit()
                figure, axes = plt.subplots(figsize=(7.5, 4.2 if sizes else _height(rows)))
                (_lines if sizes else _bars)(axes, rows)
                unit = "CPU seconds" if any(row.cpu for row in rows) else "seconds of wall time"
                (axes.set_ylabel if sizes else axes.set_xlabel)(unit)
                if sizes:
                    axes.set_xlabel(section.case)
                axes.legend(fontsize=10, ncols=4, loc="lower left", bbox_to_anchor=(0, 1))
                figure.savefig(
                    directory / section.plot,
                    transparent=True,
                    bbox_inches="tight",
                    metadata={"Date": None, "Creator": None},
                )
                plt.close(figure)


def _height(rows: Sequence[Row]) -> float:
    return 1.2 + 0.3 * len(rows)


def _by_peer(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.peer, []).append(row)
    return found


def _lines(axes: Axes, rows: Sequence[Row]) -> None:
    for number, (peer, found) in enumerate(_by_peer(rows).items()):
        sizes = [int(row.case) for row in found]
        colour = _COLOURS[number % len(_COLOURS)]
        middle = [median(costs(row)) for row in found]
        axes.plot(sizes, middle, label=peer, color=colour, marker=_MARKERS[number % 7])
        if all(len(costs(row)) > 1 for row in found):
            bounds = [quantiles(costs(row), n=4, method="inclusive") for row in found]
            low, high = [bound[0] for bound in bounds], [bound[2] for bound in bounds]
            axes.fill_between(sizes, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    ticks = [int(row.case) for row in next(iter(_by_peer(rows).values()))]
    axes.set_xticks(ticks, [f"{size:,}" for size in ticks])
    axes.minorticks_off()
    values = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20]
    low, high = axes.get_ylim()
    shown = [value for value in values if low <= value <= high]
    axes.set_yticks(shown, [f"{value:g}" for value in shown])


def _bars(axes: Axes, rows: Sequence[Row]) -> None:
    cases = list(dict.fromkeys(row.case for row in rows))
    peers = _by_peer(rows)
    height = 0.8 / len(peers)
    for number, (peer, found) in enumerate(peers.items()):
        places = [cases.index(row.case) + number * height for row in found]
        widths = [median(costs(row)) for row in found]
        bars = axes.barh(places, widths, height * 0.9, label=peer, color=_COLOURS[number % 7])
        axes.bar_label(bars, [f"{width:.2g}" for width in widths], padding=3, fontsize=9)
    axes.set_yticks([place + 0.4 - height / 2 for place in range(len(cases))], cases)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
