"""Images: what takes the time of the first build of a project with numpy, pandas and pyarrow.

    PYTHONPATH=tests python benchmarks/image_profile.py

It needs no engine. The wheels are in uv's cache, and ours is empty. The base is made of this
machine's packages. Each step has its seconds of wall time, and its share of the build.
"""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from changed_pins import PINS
from environments import own_wheel

from bigflow_backend.image.layered import base_layer, build, dependency_layers
from bigflow_backend.image.layered.dependencies.resolver import Resolver
from bigflow_backend.project.project import read_project
from bigflow_backend.project.settings import ImageSettings
from bigflow_backend.version import ProjectVersion
from support.base_image import write_base_archive
from support.builds import build_image
from support.distribution import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ROUNDS = 2
_STEPS: tuple[tuple[Any, str, str], ...] = (
    (build, "read_base", "the base: read its archive, compress its layer"),
    (base_layer, "read_file_system", "the base: read the files of its layers"),
    (base_layer, "compiled", "the base: compile the standard library"),
    (base_layer, "write_layer", "the base: write the layer"),
    (Resolver, "resolve", "dependencies: uv resolves"),
    (Resolver, "install", "dependencies: uv links the files; their hashes are checked"),
    (dependency_layers, "with_bytecode", "dependencies: compile 2,100 modules"),
    (build, "dependency_layers", "dependencies: hash the files, write and compress the layers"),
    (build, "project_layers", "the project's layer"),
)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        write_base_archive(work / "base.tar", "bigflow-benchmark/base:1")
        own_wheel(work / "wheels")
        root = work / "project"
        for file, text in {
            "demo/__init__.py": "",
            "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "bigflow_backend"\n',
            "resources/requirements.txt": "\n".join(
                ["bigflow-backend", *(f"{n}=={v}" for n, v in PINS.items()), ""]
            ),
        }.items():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_text(text, "utf-8")
        seconds: dict[str, float] = {}
        for owner, function, title in _STEPS:
            setattr(owner, function, _timed(getattr(owner, function), title, seconds))
        for number in range(_ROUNDS):  # the first one fills uv's cache
            seconds.clear()
            os.environ["BIGFLOW_CACHE"] = str(work / f"cache-{number}")
            start = time.perf_counter()
            _build(root, work)
            total = time.perf_counter() - start
    print("| step of the first build | seconds | share |\n|---|---|---|")
    rest = total - sum(seconds.values())
    for title, value in {**seconds, "the rest": rest, "all": total}.items():
        print(f"| {title} | {value:.2f} | {value / total:.0%} |")


def _build(root: Path, work: Path) -> None:
    build_image(
        read_project(root),
        make_wheel(root / "dist", "demo", "1.0.0", {"demo/__init__.py": ""}),
        repository="bigflow-benchmark/profile",
        version=ProjectVersion(text="1.0.0", source="the benchmark", commit="c0ffee"),
        settings=ImageSettings(
            builder="layered",
            base_image=f"docker-archive:{work / 'base.tar'}",
            find_links=(str(work / "wheels"),),
            export_tar=False,
        ),
    )


def _timed(
    function: Callable[..., Any], title: str, seconds: dict[str, float]
) -> Callable[..., Any]:
    """Return the function, which adds its time to ``seconds``. Of a block, its start counts."""

    @functools.wraps(function)
    def timed(*arguments: Any, **options: Any) -> Any:
        with _clock(title, seconds):
            result = function(*arguments, **options)
        if isinstance(result, contextlib.AbstractContextManager):
            return _timed_block(result, title, seconds)
        return result

    return timed


@contextlib.contextmanager
def _timed_block(
    block: contextlib.AbstractContextManager[Any], title: str, seconds: dict[str, float]
) -> Iterator[Any]:
    with contextlib.ExitStack() as stack:
        with _clock(title, seconds):
            value = stack.enter_context(block)
        yield value


@contextlib.contextmanager
def _clock(title: str, seconds: dict[str, float]) -> Iterator[None]:
    """Add the time of the block, without that of the clocks in it."""
    start, inner = time.perf_counter(), sum(seconds.values())
    try:
        yield
    finally:
        inner = sum(seconds.values()) - inner
        seconds[title] = seconds.get(title, 0.0) + time.perf_counter() - start - inner


if __name__ == "__main__":
    main()
