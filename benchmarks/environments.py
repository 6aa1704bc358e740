"""Virtual environments for what is measured, and the wheel of this project to install there."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from uv import find_uv_bin

__all__ = ["environment", "own_wheel"]

_REPOSITORY = Path(__file__).parents[1]
_PROJECT_FILES = ("pyproject.toml", "setup.cfg", "README.md", "LICENSE")


def environment(place: Path, *requirements: str | Path) -> Path:
    """A new one at ``place``, with bytecode; returns its interpreter."""
    uv, python = find_uv_bin(), place / "bin" / "python"
    subprocess.run([uv, "venv", "-q", "-p", sys.executable, place], check=True)
    install = [uv, "pip", "install", "-q", "-p", python, "--compile-bytecode"]
    subprocess.run([*install, *requirements], check=True)
    return python


def own_wheel(directory: Path) -> Path:
    """The wheel of bigflow-backend as it stands in this tree, made in ``directory``."""
    with tempfile.TemporaryDirectory() as name:
        # setuptools writes beside the sources; a copy keeps it away from this tree.
        copy = shutil.copytree(_REPOSITORY / "src", Path(name, "copy", "src")).parent
        for file in _PROJECT_FILES:
            shutil.copy2(_REPOSITORY / file, copy)
        build = [find_uv_bin(), "build", "-q", "--wheel", "--no-build-isolation"]
        subprocess.run([*build, "-p", sys.executable, "-o", directory, copy], check=True)
    (wheel,) = directory.glob("*.whl")
    return wheel
