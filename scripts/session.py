"""Record the session of docs/tutorial/session.md: from nothing to a rehearsed run, in a terminal.

    python scripts/session.py [--check]

It writes the text into that page, and ``session.cast``, a recording of asciinema
(https://docs.asciinema.org/manual/asciicast/v2/), which ``pictures.py`` draws. With ``--check`` it
compares the session with the one of the page: all but times, sizes, dates and hashes. The base
image is that of ``BIGFLOW_IMAGE_BASE_IMAGE``, by default the one of the project.
"""

from __future__ import annotations

import codecs
import json
import os
import pty
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from terminal import Screen, without_colours

_PAGE = Path(__file__).parents[1] / "docs/tutorial/session.md"
CAST = Path(__file__).with_name("session.cast")
_BLOCK = re.compile(r"(?<=<!-- session -->\n```console\n).*?(?=```\n<!-- /session -->)", re.DOTALL)
COMMANDS = (
    "bigflow start-project weather-reports",
    "cd weather-reports",
    'git add --all && git commit --quiet -m "Start the project" && git tag v0.1.0',
    "bigflow build",
    "bigflow rehearse daily",
)
_CHANGING = re.compile(r"[0-9]\S*( min [0-9]+ s| [kMG]?B| s\b| passed in .*)?|pods: .*")
_PODS = re.compile(r"^pods: .*(?:\n(?!success|✓).*)*", re.MULTILINE)  # may take several lines
_COLUMNS = 80
_TYPING, _BEFORE = 0.06, 0.8
"""Seconds for each key, and before a command."""
_Events = list[tuple[float, str]]
"""The texts that a terminal received, with the seconds since the start of the command."""
_GIT = {
    f"GIT_{who}_{key}": value
    for who in ("AUTHOR", "COMMITTER")
    for key, value in {"NAME": "Ada", "EMAIL": "ada@example.com"}.items()
}


def main() -> int:
    session = record()
    text, recorded = _PAGE.read_text("utf-8"), as_text(session)
    if "--check" in sys.argv[1:]:
        match = _BLOCK.search(text)
        if match is None or unchanging(match[0]) != unchanging(recorded):
            print(f"the session of {_PAGE.name} is not this one:\n{recorded}")
            return 1
        return 0
    _PAGE.write_text(_BLOCK.sub(lambda _old: recorded, text), "utf-8")
    CAST.write_text(as_cast(session), "utf-8")
    return 0


def record() -> dict[str, _Events]:
    """Return what a terminal receives from each command."""
    session = {}
    with tempfile.TemporaryDirectory() as home:
        directory = Path(home)
        for command in COMMANDS:
            if command.startswith("cd "):
                directory /= command.removeprefix("cd ")
                session[command] = _Events()
            else:
                session[command] = output(command, directory)
    return session


def output(command: str, directory: Path) -> _Events:
    """Return what a command writes to a terminal.

    :raises SystemExit: if it fails.
    """
    ours, theirs = pty.openpty()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables = {"PATH": path, "TERM": "xterm", "COLUMNS": str(_COLUMNS), "LINES": "24"}
    environment = {**os.environ, **_GIT, **variables, "PYTHONIOENCODING": "utf-8"}
    for name in ("CI", "FORCE_COLOR", "NO_COLOR", "TMUX"):
        environment.pop(name, None)
    begin = time.monotonic()
    process = subprocess.Popen(
        ["bash", "-c", command], cwd=directory, env=environment, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    events = _Events()
    while True:
        try:
            piece = os.read(ours, 1 << 16)
        except OSError:  # Linux: the other end is closed
            break
        if not piece:
            break
        events.append((time.monotonic() - begin, decoder.decode(piece)))
    os.close(ours)
    if process.wait():
        raise SystemExit(f"{command} failed:\n{''.join(text for _, text in events)}")
    return events


def as_text(session: dict[str, _Events]) -> str:
    """Return the commands and what a terminal shows after each."""
    lines = []
    for command, events in session.items():
        screen = Screen()
        screen.feed("".join(text for _, text in events))
        lines += [f"$ {command}", *filter(None, map(without_colours, screen.lines))]
    return "".join(f"{line}\n" for line in lines)


def as_cast(session: dict[str, _Events]) -> str:
    """Return a recording in which a person types the commands."""
    header = {"version": 2, "width": _COLUMNS, "height": 24, "title": "bigflow"}
    events, at = [], 0.0
    for command, written in session.items():
        events.append((at, "\x1b[1m$ "))  # bold, as many prompts are
        at += _BEFORE
        for key in [*command, "\x1b[0m\r\n"]:
            events.append((at, key))
            at += _TYPING
        events += [(at + seconds, text) for seconds, text in written]
        at = events[-1][0]
    lines = [header, *([round(seconds, 2), "o", text] for seconds, text in events)]
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def unchanging(text: str) -> str:
    """Return a text without its times, sizes, dates, hashes, and what runs the pods."""
    kept = [line for line in text.splitlines() if not line.startswith("loading image-")]
    return _CHANGING.sub("N", _PODS.sub("pods: N", "\n".join(kept)))


if __name__ == "__main__":
    sys.exit(main())
