"""This repository, and the tools of its environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tool(module: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run ``python -m MODULE ARGUMENTS``."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def repository_files() -> list[str]:
    """Return the paths of the files in this checkout that git has, or would take."""
    git = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(git, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.splitlines() if (ROOT / name).is_file()]


def copy_repository(target: Path) -> Path:
    """Copy those files into ``target``, and return it."""
    for name in repository_files():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((ROOT / name).read_bytes())
        path.chmod((ROOT / name).stat().st_mode)
    return target
