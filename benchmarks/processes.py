"""CPU seconds of processes, with little influence of other work on the machine.

Each round runs every command once. A figure is the median of the rounds. Compare the CPU seconds of
two commands only within one run: they vary with the machine and its load.
"""

from __future__ import annotations

import os
import statistics
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["cpu_seconds", "in_turn"]


def cpu_seconds(
    command: Sequence[str | Path], cwd: Path, environment: Mapping[str, str] | None = None
) -> float:
    """Return user and system time of a command and its finished child processes."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    output = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        raise SystemExit(f"{command} failed:\n{output.decode()}")
    return usage.ru_utime + usage.ru_stime


def in_turn(measures: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Return the median of each measure over the rounds, after one round to warm up."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(rounds + 1):
        for name, measure in measures.items():
            value = measure()
            if number:
                found[name].append(value)
    return {name: statistics.median(values) for name, values in found.items()}
