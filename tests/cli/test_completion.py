"""The scripts complete commands and options, in real shells."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from support.commands import bigflow
from support.projects import Project
from support.registry import installed

if TYPE_CHECKING:
    from pathlib import Path

LINES = {
    "bigflow start": {"start-project"},
    "bigflow build-image --export": {"--export-image-tar"},
    "bigflow build-image --builder ": {"auto", "engine", "layered"},
    "bigflow run --jo": {"--job"},
    "bigflow completion ": {"bash", "zsh", "fish"},
}
_ENOUGH = 30.0  # seconds until a shell counts as hanging


def _script(directory: Path, shell: str, name: str) -> Path:
    done = bigflow(Project(directory, {}), "completion", shell)
    assert done.returncode == 0, done.stderr
    path = directory / name
    path.write_text(done.stdout, "utf-8")
    return path


def test_bash(tmp_path: Path) -> None:
    script = _script(tmp_path, "bash", "bigflow.bash")
    for line, expected in LINES.items():
        words = line.split(" ")
        quoted = " ".join(f"'{word}'" for word in words)
        program = (
            f"source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1};"
            " $(complete -p bigflow | sed 's/.*-F \\([^ ]*\\) .*/\\1/'); echo ${COMPREPLY[@]}"
        )
        done = subprocess.run(
            ["bash", "-c", program], capture_output=True, text=True, check=True, timeout=_ENOUGH
        )
        assert set(done.stdout.split()) == expected, line


def test_fish(tmp_path: Path) -> None:
    fish = installed("fish", package="fish")
    script = _script(tmp_path, "fish", "bigflow.fish")
    for line, expected in LINES.items():
        done = subprocess.run(
            [fish, "--no-config", "-c", f"source {script}; complete -C '{line}'"],
            env={**os.environ, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
            timeout=_ENOUGH,
        )
        found = {row.partition("\t")[0] for row in done.stdout.splitlines()}
        assert found == expected, line


def test_zsh(tmp_path: Path) -> None:
    zsh = installed("zsh", package="zsh")
    _script(tmp_path, "zsh", "_bigflow")
    number, terminal = pty.fork()
    if number == 0:
        os.execve(zsh, [zsh, "-f", "-i"], {"HOME": str(tmp_path), "TERM": "dumb", "PATH": "/bin"})
    try:
        setup = f"fpath=({tmp_path} $fpath); autoload -Uz compinit; compinit -u; echo 'rea''dy'\n"
        os.write(terminal, setup.encode())
        _wait_for(terminal, "ready")
        os.write(terminal, b"bigflow build-image --export\t")
        _wait_for(terminal, "--export-image-tar")
    finally:
        os.close(terminal)  # the shell gets SIGHUP
        os.waitpid(number, 0)


def _wait_for(terminal: int, text: str) -> None:
    output, deadline = "", time.monotonic() + _ENOUGH
    while text not in output:
        readable, _, _ = select.select([terminal], [], [], max(0, deadline - time.monotonic()))
        if not readable:
            pytest.fail(f"{text!r} does not come: {output!r}")
        output += os.read(terminal, 4096).decode("utf-8", "replace")
