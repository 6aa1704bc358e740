"""Measure parts of the benchmarks, and write docs/benchmarks.md from all results.

    PYTHONPATH=tests python benchmarks/bench.py [PART...] [--rounds N] [--old CHECKOUT]

The parts are package, commands, dags, image, pod and page; the default is all of them. Each part
writes benchmarks/results/PART.json. `page` measures nothing: it writes the page and its plots.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import threading
from pathlib import Path

from measure import Options, SkippedError, load
from results import Results, machine

ROOT = Path(__file__).parents[1]
PARTS = ("package", "commands", "dags", "image", "pod")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join((*PARTS, "page")))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--old", type=Path, help="another checkout of this repository")
    parser.add_argument("--tiny", action="store_true", help="the smallest inputs, for a test")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    parts = options.parts or [*PARTS, "page"]
    if unknown := set(parts) - {*PARTS, "page"}:
        parser.error(f"unknown part: {', '.join(sorted(unknown))}")
    for part in PARTS:
        if part in parts:
            measure(part, Options(options.rounds, options.old, options.tiny), options.results)
    if "page" in parts:
        from page import write_page

        write_page(options.results, options.docs)
    return 0


def measure(part: str, options: Options, directory: Path) -> None:
    """Measure a part, and write its results; print one line where it cannot run."""
    print(f"{part}: started", file=sys.stderr)
    loads, ended = [load()], threading.Event()

    def watch() -> None:
        while not ended.wait(30):
            loads.append(load())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with tempfile.TemporaryDirectory() as work:
            rows, versions = importlib.import_module(part).measured(Path(work), options)
    except SkippedError as reason:
        print(f"{part}: skipped, {reason}", file=sys.stderr)
    else:
        least, most = round(min(loads), 1), round(max(loads), 1)
        Results(part, machine(), versions, (least, most), tuple(rows)).write(directory)
        print(f"{part}: wrote {directory / part}.json", file=sys.stderr)
    finally:
        ended.set()
        watcher.join()


if __name__ == "__main__":
    sys.exit(main())
