"""Measures in interleaved rounds: each round runs every measure once.

Other work on the machine then slows all peers of a round alike. The page compares within rounds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from results import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = ["Cost", "Measure", "Options", "SkippedError", "in_rounds", "load", "run", "run_cost"]


class Cost(NamedTuple):
    """Seconds of a measure, and the bytes that it sent."""

    cpu: float | None
    wall: float
    sent: int | None = None


class SkippedError(Exception):
    """This machine cannot run a part, for a reason in one line."""


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    rounds: int
    old: Path | None
    """Another checkout of this repository, which is one more peer."""
    tiny: bool
    """Use the smallest inputs."""


@dataclass(frozen=True)
class Measure:
    """A measure: what, case and peer are those of its :class:`Row`."""

    what: str
    case: str
    peer: str
    cost: Callable[[], Cost]


def in_rounds(measures: Iterable[Measure], rounds: int, *, warm_up: bool = True) -> list[Row]:
    """Run each measure in each round. The round that warms up does not count."""
    found: dict[Measure, list[Cost]] = {measure: [] for measure in measures}
    for number in range(rounds + warm_up):
        for measure, costs in found.items():
            cost = measure.cost()
            if number or not warm_up:
                costs.append(cost)
        print(f"  round {number + 1} of {rounds + warm_up}", file=sys.stderr)
    return [_row(measure, costs) for measure, costs in found.items()]


def _row(measure: Measure, costs: Sequence[Cost]) -> Row:
    return Row(
        measure.what,
        measure.case,
        measure.peer,
        tuple(round(cost.cpu, 4) for cost in costs if cost.cpu is not None),
        tuple(round(cost.wall, 4) for cost in costs),
        costs[-1].sent,
    )


def run_cost(
    command: Sequence[str | Path], cwd: Path, variables: Mapping[str, str] | None = None
) -> Cost:
    """Return the cost of a command. The CPU time is that of all processes which it waits for.

    :raises SystemExit: if the command fails, with its output.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, **(variables or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    with process.stdout:
        output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} failed:\n{output.decode(errors='replace')}")
    return Cost(usage.ru_utime + usage.ru_stime, wall)


def run(
    command: Sequence[str | Path], cwd: Path, variables: Mapping[str, str] | None = None
) -> str:
    """Run a command that is not measured. Return its output."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def load() -> float:
    """Return the load of the machine, the average of a minute."""
    return os.getloadavg()[0]
