"""The image: the command ``bigflow build-image`` of the layered builder, beside another checkout.

    PYTHONPATH=tests python benchmarks/image_commands.py [--rounds N] [--old CHECKOUT]

It needs no engine. The figures are CPU seconds of the whole command, wheel included. Each checkout
has its own virtual environment, project and cache. The base is made of this machine's packages.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from environments import REPOSITORY, environment, own_wheel
from processes import cpu_seconds, in_turn

from support.base_image import write_base_archive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_PROJECTS = {
    "a project without dependencies": (),
    "a project with numpy, pandas and pyarrow": ("numpy<2", "pandas<3", "pyarrow"),
}
_FILES = {
    "demo/__init__.py": "",
    **{f"demo/module_{n}.py": f"def answer():\n    return {n}\n" for n in range(30)},
    "project_setup.py": (
        'from bigflow_backend import setup\n\nPROJECT_NAME = "demo"\n\n'
        'if __name__ == "__main__":\n    setup(name=PROJECT_NAME, version="1.0.0")\n'
    ),
    "deployment_config.py": (
        "from bigflow import DeploymentConfig\n\n"
        'deployment_config = DeploymentConfig("dev", {"docker_repository": "example.com/demo"})\n'
    ),
}
_CHANGED = "one line changed"
_UNCHANGED = "nothing changed"


@dataclass(frozen=True)
class Checkout:
    """A checkout with a virtual environment, and a project that it builds."""

    python: Path
    root: Path
    options: Sequence[str | Path]
    cache: Path
    counter: Iterator[int] = field(default_factory=itertools.count)

    def build(self, *, change: bool) -> float:
        if change:
            module = self.root / "demo" / "__init__.py"
            module.write_text(f"NUMBER = {next(self.counter)}\n", "utf-8")
        command = [self.python, "-m", "bigflow", "build-image", *self.options]
        variables = {"BIGFLOW_CACHE": str(self.cache), "PYTHONDONTWRITEBYTECODE": ""}
        return cpu_seconds(command, self.root, {**variables, "PYTHONPATH": ""})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--old", type=Path, help="another checkout of this repository")
    options = parser.parse_args()
    repositories = {"this checkout": REPOSITORY}
    if options.old:
        repositories["the old checkout"] = options.old
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        write_base_archive(work / "base.tar", "bigflow-benchmark/base:1")
        for number, (title, requirements) in enumerate(_PROJECTS.items()):
            checkouts = {
                label: prepared(work, f"{number}-{place}", repository, requirements)
                for place, (label, repository) in enumerate(repositories.items())
            }
            print_table(title, measured(checkouts, options.rounds))


def prepared(work: Path, name: str, repository: Path, requirements: Sequence[str]) -> Checkout:
    wheels = work / f"wheels-{name}"
    python = environment(work / f"venv-{name}", f"{own_wheel(wheels, repository)}[build]")
    root = work / f"project-{name}"
    lines = "\n".join(["bigflow-backend", *requirements, ""])
    for file, text in {**_FILES, "resources/requirements.txt": lines}.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text, "utf-8")
    # `embedded` was the name of the layered builder.
    is_new = (repository / "src/bigflow_backend/image/layered").is_dir()
    options = (
        f"--builder={'layered' if is_new else 'embedded'}",
        f"--base-image=docker-archive:{work / 'base.tar'}",
        f"--find-links={wheels}",
    )
    return Checkout(python, root, options, work / f"cache-{name}")


def measured(checkouts: dict[str, Checkout], rounds: int) -> dict[str, float]:
    measures: dict[str, Callable[[], float]] = {
        f"{what}, {label}": partial(checkout.build, change=change)
        for what, change in ((_CHANGED, True), (_UNCHANGED, False))
        for label, checkout in checkouts.items()
    }
    return in_turn(measures, rounds)


def print_table(title: str, found: dict[str, float]) -> None:
    print(f"\n{title}: CPU seconds of `bigflow build-image`\n\n| | seconds |\n|---|---|")
    for what, seconds in found.items():
        print(f"| {what} | {seconds:.3f} |")
    for what in (_CHANGED, _UNCHANGED):
        if old := found.get(f"{what}, the old checkout"):
            print(f"| {what}, ratio | {found[f'{what}, this checkout'] / old:.3f} |")


if __name__ == "__main__":
    main()
