"""Each command of docs/tutorial/index.md does what the page says, in its order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

_PAGE = Path(__file__).parents[1] / "docs/tutorial/index.md"
_BLOCK = re.compile(
    r"(?P<fails><!-- fails -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_FILES = {"python": "weather_reports/workflow.py", "toml": "rehearsal.toml"}


@pytest.mark.slow
def test_the_tutorial(
    tmp_path: Path, base_archive: str, bigflow_wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "BIGFLOW_IMAGE_BASE_IMAGE": base_archive,
        "PIP_FIND_LINKS": str(bigflow_wheels),
        "UV_FIND_LINKS": str(bigflow_wheels),
        **{f"GIT_{who}_NAME": "Ada" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "ada@example.com" for who in ("AUTHOR", "COMMITTER")},
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CI", raising=False)
    directory = tmp_path
    blocks = list(_BLOCK.finditer(_PAGE.read_text("utf-8")))
    assert {block["kind"] for block in blocks} == {"console", *_FILES}
    for block in blocks:
        if block["kind"] != "console":
            (directory / _FILES[block["kind"]]).write_text(block["text"], "utf-8")
            continue
        for session in block["text"].removeprefix("$ ").split("\n$ "):
            command, _, shown = session.partition("\n")
            if command.startswith("cd "):
                directory /= command.removeprefix("cd ")
                continue
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            assert (done.returncode != 0) == bool(block["fails"]), f"{command}: {done.stdout}"
            for line in shown.splitlines():
                assert line in done.stdout, f"{command}: {done.stdout}"
