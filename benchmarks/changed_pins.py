"""Images with large dependencies: the first build, one pin or one line changed, beside BigFlow.

``image.py`` calls it. The wheels are in uv's cache. pip in the engine has no cache, as in BigFlow's
template: it fetches and installs all wheels whenever requirements.txt changes.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from processes import in_turn

from support.registry import started_registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from image import Bench

__all__ = ["PINS", "print_changed_pins"]

# BigFlow 1.11.3 requires this numpy, and pandas 3 does not support it.
PINS = {"numpy": "1.26.4", "pandas": "2.2.3", "pyarrow": "20.0.0", "six": "1.16.0"}
_FIRST = "first build"
_LINE = "one line changed"
_AGAIN = "again"
_CHANGES: Mapping[str, Mapping[str, str]] = {
    _FIRST: {},
    "a small wheel's pin changed (six)": {"six": "1.17.0"},
    "a large wheel's pin changed (pandas)": {"pandas": "2.2.2"},
}


def print_changed_pins(bench: Bench, home: Path, rounds: int) -> None:
    """Print seconds of the image alone, and bytes that a push sends."""
    for changed in _CHANGES.values():  # into uv's cache
        with _cache(home, empty=False):
            _require(bench, changed)
            bench.image("layered", tar=False)
    measures = {}
    for title, changed in _CHANGES.items():
        measures[f"{title}, BigFlow"] = partial(_theirs, bench, changed)
        measures[f"{title}, layered"] = partial(_ours, bench, changed, home, title == _FIRST)
    measures[f"{_LINE}, BigFlow"] = partial(bench.theirs, "image", change=True)
    measures[f"{_LINE}, layered"] = partial(bench.changed, "layered")
    seconds = in_turn(measures, rounds)
    pushed = _pushed(bench, home)
    print("\n| the image alone | BigFlow | layered | ratio | bytes pushed: BigFlow | layered |")
    print("|---|---|---|---|---|---|")
    for title in (*_CHANGES, _LINE):
        theirs, ours = (seconds[f"{title}, {builder}"] for builder in ("BigFlow", "layered"))
        sent = " | ".join(f"{size:,}" for size in pushed[title])
        print(f"| {title} | {theirs:.2f} | {ours:.2f} | {ours / theirs:.3f} | {sent} |")
    print(f"\nbytes pushed to another repository of the registry: {pushed[_AGAIN][0]:,}")


def _require(bench: Bench, changed: Mapping[str, str]) -> None:
    """Write the requirements of both projects. The comment keeps Docker from using its cache."""
    pins = [f"{name}=={version}" for name, version in {**PINS, **changed}.items()]
    for root, own in ((bench.root, "bigflow-backend"), (bench.bigflow.root, "bigflow==1.11.3")):
        lines = [own, *pins, f"# {time.time_ns()}", ""]
        (root / "resources/requirements.txt").write_text("\n".join(lines), "utf-8")


def _theirs(bench: Bench, changed: Mapping[str, str]) -> float:
    _require(bench, changed)
    return bench.bigflow.seconds("image")


def _ours(bench: Bench, changed: Mapping[str, str], home: Path, is_first: bool) -> float:
    _require(bench, changed)
    with _cache(home, empty=is_first):
        return bench.image("layered", tar=False)


@contextlib.contextmanager
def _cache(home: Path, *, empty: bool) -> Iterator[None]:
    """Build with an empty cache, or with a copy of the cache after the first build."""
    before = os.environ["BIGFLOW_CACHE"]
    with tempfile.TemporaryDirectory(dir=home) as name:
        cache = Path(name, "cache")
        if not empty:
            shutil.copytree(before, cache, copy_function=os.link)
        os.environ["BIGFLOW_CACHE"] = str(cache)
        try:
            yield
        finally:
            os.environ["BIGFLOW_CACHE"] = before


def _pushed(bench: Bench, home: Path) -> dict[str, tuple[int, ...]]:
    """Return the bytes that pushes send, one after the other, to a registry that is empty first."""
    found: dict[str, tuple[int, ...]] = {}
    with tempfile.TemporaryDirectory(dir=home) as name, started_registry(Path(name)) as registry:

        def push(repository: str) -> int:
            _, lines = bench.build(
                "layered",
                repository=f"{registry.address}/{repository}",
                push=True,
                export_tar=False,
            )
            return int(re.findall(r", (\d+) bytes sent", "\n".join(lines))[0])

        for title, changed in (*_CHANGES.items(), (_LINE, {})):
            if title == _LINE:
                bench.change()
                bench.wheel()
                bench.bigflow.seconds("wheel")
            else:
                _require(bench, changed)
            bench.bigflow.seconds("image")
            theirs = bench.bigflow.pushed_bytes(registry.address, registry.storage)
            found[title] = (theirs, push("development"))
        found[_AGAIN] = (push("production"),)
    return found
