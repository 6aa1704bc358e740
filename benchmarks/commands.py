"""Commands that a user waits for, in a new project with a tag."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from environments import peer_versions, peers
from measure import Measure, in_rounds, run, run_cost
from results import OURS

if TYPE_CHECKING:
    from pathlib import Path

    from measure import Options
    from results import Row

COMMANDS = ("--help", "project-version", "workflows")
_BIGFLOW_HAS = ("--help", "project-version")
_SETUP = 'import bigflow.build\n\nbigflow.build.setup(name="project", version="1.0.0")\n'


def measured(work: Path, options: Options) -> tuple[list[Row], dict[str, str]]:
    """Return the rows, and the versions of the peers."""
    pythons = peers(work, options.old)
    project = work / "project"
    run([pythons[OURS].with_name("bigflow"), "start-project", project, "--no-git"], work)
    (project / "setup.py").write_text(_SETUP)  # for BigFlow
    git = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    for line in ("init -q", "add .", "commit -qm all", "tag v1.0.0"):
        run([*git, *line.split()], project)
    measures = [
        Measure(
            "command",
            "python -c pass",
            "Python",
            partial(run_cost, [pythons[OURS], "-c", "pass"], work),
        )
    ]
    for peer, python in pythons.items():
        for name in _BIGFLOW_HAS if peer == "BigFlow" else COMMANDS:
            command: list[str | Path] = [python.with_name("bigflow"), name]
            measures.append(
                Measure("command", f"bigflow {name}", peer, partial(run_cost, command, project))
            )
    rows = in_rounds(measures, options.rounds, warm_up=not options.tiny)
    return rows, peer_versions(pythons)
