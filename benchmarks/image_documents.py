"""The CPU time of the bill of materials and the provenance, as a part of a build without a push.

    PYTHONPATH=tests python benchmarks/image_documents.py BASE_IMAGE [--rounds N]

Each round builds with an empty cache of layers and uv's cache filled, then with one changed line,
then with no change. Times are CPU seconds with those of all child processes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from changed_pins import PINS
from environments import own_wheel

from bigflow_backend.image.layered import dependency_layers
from bigflow_backend.image.materials import documents
from bigflow_backend.project.project import read_project
from bigflow_backend.project.settings import ImageSettings
from bigflow_backend.version import ProjectVersion
from support.builds import build_image
from support.distribution import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable

_VERSION = ProjectVersion(text="1.0.0", source="the benchmark", commit="c0ffee")
_TITLES = ("first build", "one line changed", "nothing changed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    parts: dict[str, list[float]] = {title: [] for title in _TITLES}
    spent = _Spent()
    dependency_layers.wheel_hashes = spent.of(dependency_layers.wheel_hashes)
    documents.image_documents = spent.of(documents.image_documents)
    with tempfile.TemporaryDirectory() as name:
        root, wheels = Path(name, "project"), Path(name, "wheels")
        own_wheel(wheels)
        (root / "resources").mkdir(parents=True)
        (root / "demo").mkdir()
        (root / "demo" / "__init__.py").touch()
        lines = ["bigflow-backend", *(f"{n}=={v}" for n, v in PINS.items()), ""]
        (root / "resources" / "requirements.txt").write_text("\n".join(lines))
        (root / "pyproject.toml").write_text('[project]\nname = "demo"\n[tool.bigflow]\n')
        for number in range(options.rounds + 1):
            os.environ["BIGFLOW_CACHE"] = f"{name}/cache-{number}"
            for title in _TITLES:
                text = f"NUMBER = {number}\n" if title == _TITLES[0] else "NUMBER = -1\n"
                wheel = make_wheel(root / "dist", "demo", "1.0.0", {"demo/__init__.py": text})
                start, spent.seconds = _cpu(), 0.0
                build_image(
                    read_project(root),
                    wheel,
                    repository="demo",
                    version=_VERSION,
                    settings=ImageSettings(
                        builder="layered",
                        base_image=options.base,
                        find_links=(str(wheels),),
                        export_tar=False,
                    ),
                )
                if number:  # the first round fills uv's cache
                    parts[title].append(spent.seconds / (_cpu() - start))
    print("| | part of the CPU time |\n|---|---|")
    for title, found in parts.items():
        print(f"| {title} | {100 * median(found):.2f} % |")


class _Spent:
    """The CPU seconds of some functions."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def of(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*arguments: Any, **keywords: Any) -> Any:
            start = _cpu()
            try:
                return function(*arguments, **keywords)
            finally:
                self.seconds += _cpu() - start

        return measured


def _cpu() -> float:
    return sum(os.times()[:4])


if __name__ == "__main__":
    main()
