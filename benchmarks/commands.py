"""Commands that a user waits for: CPU seconds, and the ratio to a Python that does nothing.

    python benchmarks/commands.py [--rounds N]

The project is a new one of `bigflow start-project`, with a tag.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from processes import cpu_seconds, in_turn

_AIMS = {"--help": 0.05, "project-version": 0.12, "workflows": 0.4}
_GIT = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as directory:
        project = Path(directory, "project")
        bigflow = Path(sys.executable).with_name("bigflow")
        subprocess.run([bigflow, "start-project", project, "--no-git"], check=True)
        for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"], ["tag", "v1.0.0"]):
            subprocess.run([*_GIT, *command], cwd=project, check=True)
        commands = {"python -c pass": [sys.executable, "-c", "pass"]}
        commands |= {f"bigflow {name}": [bigflow, name] for name in _AIMS}
        measures = {
            name: partial(cpu_seconds, command, project) for name, command in commands.items()
        }
        found = in_turn(measures, rounds)
    least = found["python -c pass"]
    for name, seconds in found.items():
        aim = _AIMS.get(name.removeprefix("bigflow "))
        print(
            f"{name:26} {seconds:.3f} s  {seconds / least:5.1f} x",
            f"(aim: {aim} s)" if aim else "",
        )


if __name__ == "__main__":
    main()
