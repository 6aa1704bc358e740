"""Wheels and sdists: the hooks of build backends on the same modules.

Each call has a process of its own, as in a frontend. The cost includes the start of Python.
"""

from __future__ import annotations

import os
import shutil
from functools import partial
from typing import TYPE_CHECKING

from environments import environment, own_wheel, pinned, versions
from measure import Cost, Measure, in_rounds, run_cost
from results import OURS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from measure import Options
    from results import Row

SIZES = (1, 10, 30, 100, 500, 2000)
HOOKS = ("build_wheel", "build_sdist", "get_requires_for_build_wheel")
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
_PROJECT = '[project]\nname = "pipelines"\nversion = "1.0"\ndescription = "A benchmark"\n'
# The name of each backend, its module, and its own settings.
_PEERS = {
    OURS: ("bigflow_backend", ""),
    "setuptools": (
        "setuptools.build_meta",
        '[tool.setuptools.packages.find]\ninclude = ["pipelines*"]\n',
    ),
    "hatchling": ("hatchling.build", ""),
    "flit_core": ("flit_core.buildapi", ""),
    "pdm-backend": ("pdm.backend", '[tool.pdm.build]\nincludes = ["pipelines"]\n'),
    "uv_build": ("uv_build", '[tool.uv.build-backend]\nmodule-root = ""\n'),
}
_CALL = (
    "import importlib, sys; backend = importlib.import_module(sys.argv[1]);"
    "getattr(backend, sys.argv[2], list)(*sys.argv[3:])"
)
# Backends read or pack again what an earlier build left.
_LITTER = ("build", "pipelines.egg-info", ".pdm-build", "out")


def measured(work: Path, options: Options) -> tuple[list[Row], dict[str, str]]:
    """Return the rows, and the versions of the peers."""
    peers = [pinned(name) for name in _PEERS if name != OURS]
    python = environment(work / "venv", *peers, "packaging", own_wheel(work / "wheels"))
    pythons = dict.fromkeys(_PEERS, python)
    if options.old:
        wheel = own_wheel(work / "old-wheels", options.old)
        pythons["old checkout"] = environment(work / "old", *peers, "packaging", wheel)
    measures = list(_measures(work, pythons, SIZES[:2] if options.tiny else SIZES))
    rows = in_rounds(measures, options.rounds, warm_up=not options.tiny)
    return rows, versions(python, _PEERS)


def _measures(work: Path, pythons: dict[str, Path], sizes: tuple[int, ...]) -> Iterator[Measure]:
    for size in sizes:
        for peer, python in pythons.items():
            backend, settings = _PEERS.get(peer, _PEERS[OURS])
            root = _write_project(work / f"{peer}-{size}", size, backend, settings)
            for hook in HOOKS:
                yield Measure(hook, str(size), peer, partial(_call, python, root, backend, hook))


def _call(python: Path, root: Path, backend: str, hook: str) -> Cost:
    for name in _LITTER:
        shutil.rmtree(root / name, ignore_errors=True)
    (root / "out").mkdir()
    arguments = [] if hook.startswith("get_requires") else ["out"]
    # uv_build calls a program that a frontend puts into PATH.
    path = {"PATH": os.pathsep.join([str(python.parent), os.environ["PATH"]])}
    return run_cost([python, "-c", _CALL, backend, hook, *arguments], root, path)


def _write_project(root: Path, modules: int, backend: str, settings: str) -> Path:
    package = root / "pipelines"
    for number in range(modules):
        directory = package / f"part_{number // 100}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "__init__.py").touch()
        (directory / f"module_{number}.py").write_text(_MODULE.format(number))
    (package / "__init__.py").touch()
    (root / "resources").mkdir()
    (root / "resources" / "requirements.txt").write_text("packaging>=20\n")
    (root / "pyproject.toml").write_text(
        f'[build-system]\nrequires = []\nbuild-backend = "{backend}"\n{_PROJECT}{settings}'
    )
    return root
