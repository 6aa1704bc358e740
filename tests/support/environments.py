"""Virtual environments to install projects into, created by uv."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uv import find_uv_bin

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Environment:
    """A virtual environment with bigflow-backend."""

    root: Path
    wheels: Path
    """The directory with the wheel of bigflow-backend."""

    @property
    def python(self) -> Path:
        return self.root / "bin" / "python"

    def uv(self, *arguments: str | Path) -> None:
        """Run ``uv ARGUMENTS`` for this environment. A failure has the output of uv."""
        done = subprocess.run(
            [find_uv_bin(), *arguments],
            env={
                **os.environ,
                "VIRTUAL_ENV": str(self.root),
                "UV_FIND_LINKS": str(self.wheels),
                "BIGFLOW_VERSION": "1.2.0",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def run(self, script: str, **environment: str) -> str:
        """Return the output of a script that runs in this environment, outside the project."""
        done = subprocess.run(
            [self.python, "-c", script],
            cwd=self.root,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def make_environment(root: Path, wheels: Path) -> Environment:
    """Create an environment with bigflow-backend and the libraries that its hooks need."""
    environment = Environment(root, wheels)
    environment.uv("venv", "--quiet", "--python", sys.executable, root)
    environment.uv("pip", "install", "--quiet", "bigflow-backend", "setuptools>=77", "packaging")
    return environment
