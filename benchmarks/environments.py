"""Virtual environments for the benchmarks, and the wheel of this project."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from results import OURS
from uv import find_uv_bin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "BIGFLOW",
    "REPOSITORY",
    "environment",
    "own_wheel",
    "peer_versions",
    "peers",
    "pinned",
    "versions",
]

REPOSITORY = Path(__file__).parents[1]
# BigFlow imports pkg_resources, which setuptools 82 removed.
BIGFLOW = ("bigflow==1.11.3", "setuptools<82")
"""The requirements of an environment with BigFlow."""
_PROJECT_FILES = ("pyproject.toml", "setup.cfg", "README.md", "LICENSE")
_VERSIONS = """\
import importlib.metadata as m, json, sys
print(json.dumps({name: m.version(name) for name in sys.argv[1:]}))
"""


def environment(place: Path, *requirements: str | Path) -> Path:
    """Create a virtual environment with bytecode at ``place``. Return its Python."""
    uv, python = find_uv_bin(), place / "bin" / "python"
    subprocess.run([uv, "venv", "-q", "-p", sys.executable, place], check=True)
    install: list[str | Path] = [uv, "pip", "install", "-q", "-p", python, "--compile-bytecode"]
    subprocess.run([*install, *requirements], check=True)
    return python


def peers(work: Path, old: Path | None = None) -> dict[str, Path]:
    """Create the environments of this project, of BigFlow, and of an old checkout.

    Return the Python of each peer. The wheel of this project is in ``work/wheels``.
    """
    pythons = {
        OURS: environment(work / "ours", f"{own_wheel(work / 'wheels')}[build]"),
        "BigFlow": environment(work / "bigflow", *BIGFLOW),
    }
    if old:
        wheel = own_wheel(work / "old-wheels", old)
        pythons["old checkout"] = environment(work / "old", f"{wheel}[build]")
    return pythons


def peer_versions(pythons: Mapping[str, Path]) -> dict[str, str]:
    """Return the versions in the environments of :func:`peers`."""
    theirs = versions(pythons["BigFlow"], ["bigflow"])["bigflow"]
    return {**versions(pythons[OURS], [OURS]), "BigFlow": theirs}


def pinned(name: str) -> str:
    """Return the requirement of the version that this environment has, or of any."""
    try:
        return f"{name}=={version(name)}"
    except PackageNotFoundError:
        return name


def versions(python: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the versions of distributions in an environment."""
    command: list[str | Path] = [python, "-c", _VERSIONS, *names]
    found: dict[str, str] = json.loads(
        subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    )
    return found


def own_wheel(directory: Path, repository: Path = REPOSITORY) -> Path:
    """Build the wheel of bigflow-backend from a checkout, by default this one."""
    with tempfile.TemporaryDirectory() as name:
        # setuptools writes files next to the sources. A copy keeps the checkout clean.
        leftovers = shutil.ignore_patterns("*.egg-info", "__pycache__")
        copy = shutil.copytree(repository / "src", Path(name, "src"), ignore=leftovers).parent
        for file in _PROJECT_FILES:
            shutil.copy2(repository / file, copy)
        build = [find_uv_bin(), "build", "-q", "--wheel", "--no-build-isolation"]
        subprocess.run([*build, "-p", sys.executable, "-o", directory, copy], check=True)
    (wheel,) = directory.glob("*.whl")
    return wheel
