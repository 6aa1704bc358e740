"""Wheels: the hooks of bigflow_backend, setuptools and hatchling on the same project.

    python benchmarks/package.py [--rounds N] [--old CHECKOUT]

``--old`` measures the backend of another checkout, too, and prints the ratio to it.

It creates a virtual environment with the three backends, and projects of 30 and of 2,000 modules.
It calls each hook in a process of its own, as a frontend does. The figures are CPU seconds of this
process, minus those of a Python that does nothing.

The syntax check of the modules is measured separately, because the other backends do not have it.
The rest of the time is the import of setuptools, and one pass of zip and SHA-256 over each file.
setuptools copies every file twice before it zips it.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from environments import environment, own_wheel
from processes import cpu_seconds, in_turn

if TYPE_CHECKING:
    from collections.abc import Callable

_MODULE = '''\
"""Module {0}."""

import os


def path_{0}(name: str) -> str:
    """Return the path of file {0}."""
    return os.path.join("directory", str(len(name) + {0}), name)


class Job{0}:
    """Job {0}."""

    id = "job_{0}"

    def execute(self, context: object) -> None:
        for number in range({0}):
            if number % 2:
                print(path_{0}(str(number)), context)
'''
_BACKENDS = {
    "bigflow_backend": (
        'requires = ["bigflow-backend"]\nbuild-backend = "bigflow_backend"\n'
        '[project]\nname = "pipelines"\nversion = "1.0"\n'
    ),
    "setuptools.build_meta": (
        'requires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "pipelines"\nversion = "1.0"\n'
        '[tool.setuptools.packages.find]\ninclude = ["pipelines*"]\n'
    ),
    "hatchling.build": (
        'requires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "pipelines"\nversion = "1.0"\n'
    ),
}
_CALL = (
    "import importlib, sys; backend = importlib.import_module(sys.argv[1]);"
    "getattr(backend, sys.argv[2])(*sys.argv[3:])"
)
_SYNTAX = (
    "from pathlib import Path; from bigflow_backend.wheel import content;"
    "from bigflow_backend.project.project import read_project;"
    "members = content.project_content(read_project(Path.cwd())).modules;{}"
)
_HOOKS = ("build_wheel", "get_requires_for_build_wheel")
# The egg_info of setuptools leaves a directory that the next run reads.
_LITTER = ("build", "pipelines.egg-info")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--old", type=Path, help="another checkout of this repository")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        peers = ("setuptools", "packaging", "hatchling")
        python = environment(work / "venv", *peers, own_wheel(work / "wheels"))
        old = None
        if options.old:
            old = environment(work / "old", *peers, own_wheel(work / "old-wheels", options.old))
        for modules in (30, 2000):
            print_table(modules, measure(python, old, work, modules, options.rounds))


def measure(
    python: Path, old: Path | None, work: Path, modules: int, rounds: int
) -> dict[str, float]:
    measures: dict[str, Callable[[], float]] = {
        "python": partial(cpu_seconds, [python, "-c", "pass"], work)
    }
    for backend, settings in _BACKENDS.items():
        root = write_project(work / f"{backend}-{modules}", modules, settings)
        for hook in _HOOKS:
            measures[f"{backend} {hook}"] = hook_measure(python, root, backend, hook)
    root = work / f"bigflow_backend-{modules}"
    if old:
        for hook in _HOOKS:
            measures[f"old {hook}"] = hook_measure(old, root, "bigflow_backend", hook)
    for name, call in (("with", "content.check_syntax(members)"), ("without", "")):
        script = _SYNTAX.format(call)
        measures[name] = partial(cpu_seconds, [python, "-c", script], root)
    return in_turn(measures, rounds)


def hook_measure(python: Path, root: Path, backend: str, hook: str) -> Callable[[], float]:
    arguments = [str(root.parent / "out")] if hook == "build_wheel" else []
    (root.parent / "out").mkdir(exist_ok=True)

    def run() -> float:
        for name in _LITTER:
            subprocess.run(["rm", "-rf", root / name], check=True)
        return cpu_seconds([python, "-c", _CALL, backend, hook, *arguments], root)

    return run


def write_project(root: Path, modules: int, settings: str) -> Path:
    package = root / "pipelines"
    for number in range(modules):
        directory = package / f"part_{number // 100}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "__init__.py").touch()
        (directory / f"module_{number}.py").write_text(_MODULE.format(number))
    (package / "__init__.py").touch()
    (root / "resources").mkdir()
    (root / "resources" / "requirements.txt").write_text("packaging>=20\n")
    (root / "pyproject.toml").write_text(f"[build-system]\n{settings}")
    return root


def print_table(modules: int, found: dict[str, float]) -> None:
    nothing = found["python"]
    syntax = found["with"] - found["without"]
    print(f"\n{modules:,} modules: CPU seconds, and the ratio to setuptools\n")
    print("| | build_wheel | | get_requires | |\n|---|---|---|---|---|")
    peers = {hook: found[f"setuptools.build_meta {hook}"] - nothing for hook in _HOOKS}
    for backend in _BACKENDS:
        row = [backend]
        for hook, peer in peers.items():
            value = found[f"{backend} {hook}"] - nothing
            if (backend, hook) == ("bigflow_backend", "build_wheel"):
                value -= syntax
            row += [f"{value:.3f}", f"{value / peer:.2f}"]
        print("| " + " | ".join(row) + " |")
    print(f"\nplus {syntax:.3f} s for the syntax check of bigflow_backend, not in the table")
    for hook in _HOOKS:
        if old := found.get(f"old {hook}"):
            new = found[f"bigflow_backend {hook}"]
            print(
                f"{hook}, with process and syntax check: {new:.3f} s; "
                f"{new / old:.3f} of the old checkout"
            )


if __name__ == "__main__":
    main()
