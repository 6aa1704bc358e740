"""Builds the wheel of bigflow-backend itself into a directory.

python scripts/distribution.py DIRECTORY

From a copy of the sources: setuptools leaves a ``build/`` beside what it builds, and packs again
what it finds in one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["build_distribution"]

_REPOSITORY = Path(__file__).parents[1]


def build_distribution(directory: Path) -> Path:
    """The path of the wheel, built by pip with what [build-system] requires."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "bigflow-backend"
        shutil.copytree(
            _REPOSITORY / "src",
            copy / "src",
            ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"),
        )
        for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
            shutil.copy2(_REPOSITORY / name, copy)
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--wheel-dir", str(directory), str(copy)], check=True)
    (wheel,) = directory.glob("bigflow_backend-*.whl")
    return wheel


if __name__ == "__main__":
    print(build_distribution(Path(sys.argv[1])))
