"""Virtual environments, made by uv, to install projects into."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uv import find_uv_bin

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Environment", "make_environment"]


@dataclass(frozen=True)
class Environment:
    """A virtual environment with the runtime of bigflow-backend in it."""

    root: Path
    wheels: Path
    """The directory with the wheel of bigflow-backend, which is on no index."""

    @property
    def python(self) -> Path:
        return self.root / "bin" / "python"

    def uv(self, *arguments: str | Path) -> None:
        """Runs ``uv ARGUMENTS`` on this environment; what uv prints is in the error."""
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
        """What a script prints that runs in this environment, with no project around it."""
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
    """A new environment in ``root`` with the wheel of bigflow-backend from ``wheels``."""
    environment = Environment(root, wheels)
    environment.uv("venv", "--quiet", "--python", sys.executable, root)
    environment.uv("pip", "install", "--quiet", "bigflow-backend")
    return environment
