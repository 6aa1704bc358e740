"""The session of the documentation is one that ``scripts/session.py`` has recorded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_SCRIPT = _ROOT / "scripts/session.py"


def test_the_commands_are_those_of_the_script() -> None:
    text = (_ROOT / "docs/tutorial/session.md").read_text("utf-8")
    session = text.partition("<!-- session -->")[2].partition("<!-- /session -->")[0]
    commands = [line[2:] for line in session.splitlines() if line.startswith("$ ")]
    code = "import session; print(*session.COMMANDS, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=_SCRIPT.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == commands


@pytest.mark.slow
def test_the_session_is_what_a_user_sees(base_archive: str, bigflow_wheels: Path) -> None:
    done = subprocess.run(
        [sys.executable, _SCRIPT, "--check"],
        env={
            **os.environ,
            "BIGFLOW_IMAGE_BASE_IMAGE": base_archive,
            "PIP_FIND_LINKS": str(bigflow_wheels),
            "UV_FIND_LINKS": str(bigflow_wheels),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
