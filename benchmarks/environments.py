"""Virtual environments for the benchmarks, and the wheel of this project."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from uv import find_uv_bin

REPOSITORY = Path(__file__).parents[1]
_PROJECT_FILES = ("pyproject.toml", "setup.cfg", "README.md", "LICENSE")


def environment(place: Path, *requirements: str | Path) -> Path:
    """Create a virtual environment with bytecode at ``place``. Return its Python."""
    uv, python = find_uv_bin(), place / "bin" / "python"
    subprocess.run([uv, "venv", "-q", "-p", sys.executable, place], check=True)
    install = [uv, "pip", "install", "-q", "-p", python, "--compile-bytecode"]
    subprocess.run([*install, *requirements], check=True)
    return python


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
