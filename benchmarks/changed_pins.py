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
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from support.registry import started_registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from image import Bench
    from support.registry import Registry

__all__ = ["PINS", "print_changed_pins"]

# BigFlow 1.11.3 requires this numpy, and pandas 3 does not support it.
PINS = {"numpy": "1.26.4", "pandas": "2.2.3", "pyarrow": "20.0.0", "six": "1.16.0"}
_FIRST = "first build"
_LINE = "one line changed"
_CHANGES: Mapping[str, Mapping[str, str]] = {
    _FIRST: {},
    "a small wheel's pin changed (six)": {"six": "1.17.0"},
    "a large wheel's pin changed (pandas)": {"pandas": "2.2.2"},
}
# A changed line comes after the first build: Docker still has the layer of its requirements.
_TITLES = (_FIRST, _LINE, *(title for title in _CHANGES if title != _FIRST))


def print_changed_pins(bench: Bench, home: Path, rounds: int) -> None:
    """Print seconds of the image alone, and bytes that a push sends."""
    for changed in _CHANGES.values():  # into uv's cache
        with _cache(home, empty=False):
            _require(bench, changed)
            bench.image("layered", tar=False)
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    pushed: dict[str, tuple[int, int]] = {}
    with tempfile.TemporaryDirectory(dir=home) as name, started_registry(Path(name)) as registry:
        for _ in range(rounds):
            for title in _TITLES:
                _change(bench, title)
                seconds[title, "BigFlow"].append(bench.bigflow.seconds("image"))
                seconds[title, "layered"].append(_ours(bench, title, home))
                if title not in pushed:
                    theirs = bench.bigflow.pushed_bytes(registry.address, registry.storage)
                    pushed[title] = theirs, _push(bench, registry, "development")
        again = _push(bench, registry, "production")
    print("\n| the image alone | BigFlow | layered | ratio | bytes pushed: BigFlow | layered |")
    print("|---|---|---|---|---|---|")
    for title in _TITLES:
        theirs, ours = (median(seconds[title, builder]) for builder in ("BigFlow", "layered"))
        sent = " | ".join(f"{size:,}" for size in pushed[title])
        print(f"| {title} | {theirs:.2f} | {ours:.2f} | {ours / theirs:.3f} | {sent} |")
    print(f"\nbytes pushed to another repository of the registry: {again:,}")


def _change(bench: Bench, title: str) -> None:
    if title == _LINE:
        bench.image("layered", tar=False)  # with the requirements of the first build
        bench.change()
        bench.wheel()
        bench.bigflow.seconds("wheel")
    else:
        _require(bench, _CHANGES[title])


def _require(bench: Bench, changed: Mapping[str, str]) -> None:
    """Write the requirements of both projects. The comment keeps Docker from using its cache."""
    pins = [f"{name}=={version}" for name, version in {**PINS, **changed}.items()]
    for root, own in ((bench.root, "bigflow-backend"), (bench.bigflow.root, "bigflow==1.11.3")):
        lines = [own, *pins, f"# {time.time_ns()}", ""]
        (root / "resources/requirements.txt").write_text("\n".join(lines), "utf-8")


def _ours(bench: Bench, title: str, home: Path) -> float:
    if title == _LINE:
        return bench.image("layered", tar=False)
    with _cache(home, empty=title == _FIRST):
        return bench.image("layered", tar=False)


def _push(bench: Bench, registry: Registry, repository: str) -> int:
    """Push to a registry, which is empty at first. Return the bytes that were sent."""
    place = f"{registry.address}/{repository}"
    _, lines = bench.build("layered", repository=place, push=True, export_tar=False)
    return int(re.findall(r", (\d+) bytes sent", "\n".join(lines))[0])


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
