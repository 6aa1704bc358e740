"""Record the session in README.md: from nothing to a rehearsed run, in a terminal.

    python scripts/session.py [--check]

With ``--check`` it compares the session with the one of README.md: all but times, sizes, dates and
hashes. The base image is that of ``BIGFLOW_IMAGE_BASE_IMAGE``, by default the one of the project.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

_README = Path(__file__).parents[1] / "README.md"
_BLOCK = re.compile(r"(?<=<!-- session -->\n```console\n).*?(?=```\n<!-- /session -->)", re.DOTALL)
COMMANDS = (
    "bigflow start-project weather-reports",
    "cd weather-reports",
    'git add --all && git commit --quiet -m "Start the project"',
    "bigflow build",
    "bigflow rehearse daily",
)
_SEQUENCE = re.compile(r"\x1b\[(?P<number>[0-9;?]*)(?P<letter>[a-zA-Z])")
_CHANGING = re.compile(r"[0-9]\S*( min [0-9]+ s| [kMG]?B| s\b| passed in .*)?|pods: .*")
_PODS = re.compile(r"^pods: .*(?:\n(?!success|✓).*)*", re.MULTILINE)  # may take several lines
_GIT = {
    f"GIT_{who}_{key}": value
    for who in ("AUTHOR", "COMMITTER")
    for key, value in {"NAME": "Ada", "EMAIL": "ada@example.com"}.items()
}


def main() -> int:
    recorded = record()
    text = _README.read_text("utf-8")
    if "--check" in sys.argv[1:]:
        match = _BLOCK.search(text)
        if match is None or unchanging(match[0]) != unchanging(recorded):
            print(f"the session of README.md is not this one:\n{recorded}")
            return 1
        return 0
    _README.write_text(_BLOCK.sub(lambda _old: recorded, text), "utf-8")
    return 0


def record() -> str:
    """Return the commands and what a terminal shows after each."""
    lines = []
    with tempfile.TemporaryDirectory() as home:
        directory = Path(home)
        for command in COMMANDS:
            lines.append(f"$ {command}")
            if command.startswith("cd "):
                directory /= command.removeprefix("cd ")
            else:
                lines += shown(output(command, directory))
    return "".join(f"{line}\n" for line in lines)


def output(command: str, directory: Path) -> str:
    """Return what a command writes to a terminal.

    :raises SystemExit: if it fails.
    """
    ours, theirs = pty.openpty()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables = {"PATH": path, "TERM": "xterm", "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"}
    environment = {**os.environ, **_GIT, **variables}
    for name in ("CI", "FORCE_COLOR", "TMUX"):
        environment.pop(name, None)
    process = subprocess.Popen(
        ["bash", "-c", command], cwd=directory, env=environment, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            piece = os.read(ours, 1 << 16)
        except OSError:  # Linux: the other end is closed
            break
        if not piece:
            break
        written += piece
    os.close(ours)
    if process.wait():
        raise SystemExit(f"{command} failed:\n{written.decode('utf-8', 'replace')}")
    return written.decode("utf-8")


def shown(text: str) -> list[str]:
    """Return the lines that a terminal shows after it has received a text."""
    lines, row = [""], 0
    for part in re.split(r"(\x1b\[[0-9;?]*[a-zA-Z]|\r\n|\r|\n)", text):
        match = _SEQUENCE.fullmatch(part)
        if match and match["letter"] == "A":
            row = max(0, row - int(match["number"] or 1))
        elif match and match["letter"] == "K":
            lines[row] = ""
        elif part == "\r\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part and not match and part != "\r":
            lines[row] += part
    return [line.rstrip() for line in lines if line.strip()]


def unchanging(text: str) -> str:
    """Return a text without its times, sizes, dates, hashes, and what runs the pods."""
    kept = [line for line in text.splitlines() if not line.startswith("loading image-")]
    return _CHANGING.sub("N", _PODS.sub("pods: N", "\n".join(kept)))


if __name__ == "__main__":
    sys.exit(main())
