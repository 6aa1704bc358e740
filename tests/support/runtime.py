"""The ``bigflow`` command in a process of its own, and packages written for one test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SAMPLE", "clean_environment", "describe", "run_bigflow", "write_files"]

SAMPLE = Path(__file__).parent.parent / "projects" / "runtime_sample"


def run_bigflow(
    *arguments: str,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    python: str = sys.executable,
) -> subprocess.CompletedProcess[str]:
    """Runs ``python -m bigflow`` in ``cwd``, with ``env`` added to an environment without bf_*."""
    return subprocess.run(
        [python, "-m", "bigflow", *arguments],
        cwd=cwd,
        env=clean_environment(env),
        capture_output=True,
        text=True,
        check=False,
    )


def clean_environment(added: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process' environment without what would change the outcome, and with ``added``."""
    changes_the_outcome = ("bf_", "bigflow_", "python")
    kept = {k: v for k, v in os.environ.items() if not k.lower().startswith(changes_the_outcome)}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **(added or {})}


def describe(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The JSON that ``bigflow describe`` answers with, whether it succeeds or fails."""
    answer = run_bigflow("describe", *arguments, cwd=cwd, env=env)
    document: dict[str, Any] = json.loads(answer.stdout)
    assert answer.returncode == (1 if "error" in document else 0), answer.stderr
    return document


def write_files(root: Path, files: Mapping[str, str]) -> Path:
    """Writes files below ``root``, with the directories that they need, and returns ``root``."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root
