"""``bigflow workflows`` and ``bigflow graph``: a look at the workflows before they are deployed."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.cli.options import ENVIRONMENT_OPTIONS, Option, add_arguments, read_start_time
from bigflow_backend.dags.build import checked_workflows, schedule_in_words
from bigflow_backend.dags.rules.location import Place
from bigflow_backend.dags.rules.zones import find_zone
from bigflow_backend.dags.timetable import scheduled_runs
from bigflow_backend.ground.errors import UserError
from bigflow_backend.project.project import find_project
from bigflow_backend.project.workflows import describe_project, describe_workflows

if TYPE_CHECKING:
    from bigflow_backend.dags.timetable import Run
    from bigflow_backend.project.workflows import WorkflowDescription

_START_TIME = Option(
    "start-time",
    "when they would be deployed, UTC; by default the current hour",
    short="t",
    metavar="TIME",
)
_MOST_RUNS = 1000


def workflows(argv: Sequence[str]) -> int:
    """Lists the workflows: when each runs, and its next runs."""
    parser = argparse.ArgumentParser(
        prog="bigflow workflows",
        description="List the workflows: when each runs, and the first runs of a deployment. A run"
        " processes the data interval that ends when it starts; its jobs get the beginning as"
        " `--runtime`.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--next", metavar="N", type=_count, default=3, help="how many runs (default: 3)"
    )
    add_arguments(parser, (_START_TIME, *ENVIRONMENT_OPTIONS))
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    values = parser.parse_args(argv)
    start_time = read_start_time(values.start_time)
    found = _described(values, start_time)
    runs = {
        w.id: list(itertools.islice(scheduled_runs(w, now=start_time), values.next)) for w in found
    }
    if values.json:
        listed = [_as_data(workflow, runs[workflow.id]) for workflow in found]
        print(json.dumps({"start_time": _utc(start_time), "workflows": listed}, indent=2))
    else:
        print("\n".join(_as_text(workflow, runs[workflow.id]) for workflow in found))
    return 0


def graph(argv: Sequence[str]) -> int:
    """Draws the jobs of a workflow."""
    parser = argparse.ArgumentParser(
        prog="bigflow graph",
        description="Draw the jobs of a workflow, each below those that it waits for.",
        allow_abbrev=False,
    )
    parser.add_argument("workflow", metavar="WORKFLOW", help="the workflow's id")
    parser.add_argument(
        "--mermaid", action="store_true", help="as a Mermaid flowchart, for Markdown"
    )
    add_arguments(parser, ENVIRONMENT_OPTIONS)
    values = parser.parse_args(argv)
    from bigflow_backend.dags.graph import as_mermaid, as_text

    found = _described(values, read_start_time(None))
    for workflow in found:
        if workflow.id == values.workflow:
            print(
                as_mermaid(workflow.jobs)
                if values.mermaid
                else as_text(workflow.jobs, ascii_only=not _can_print("●├"))
            )
            return 0
    raise UserError(
        f"there is no workflow {values.workflow!r}",
        hint="workflows there: " + ", ".join(workflow.id for workflow in found),
    )


def _described(values: argparse.Namespace, start_time: datetime) -> Sequence[WorkflowDescription]:
    project = find_project(Path.cwd())
    python = values.python or sys.executable
    config: str | None = values.config
    found: Sequence[WorkflowDescription]
    if config is not None and project.deployment_config.is_file():
        # Asked for it as well, it refuses a configuration that there is not.
        _, found = describe_project(project, python=python, start_time=start_time, config=config)
    else:
        found = describe_workflows(project, python=python, start_time=start_time, config=config)
    return checked_workflows(found, project.settings.dags)


def _as_text(workflow: WorkflowDescription, runs: Sequence[Run]) -> str:
    jobs = f"{len(workflow.jobs)} jobs" if len(workflow.jobs) > 1 else "1 job"
    zone = f" {workflow.timezone}" if workflow.schedule.kind == "cron" else ""
    lines = [f"{workflow.id}: {schedule_in_words(workflow)}{zone}, {jobs}, {workflow.module}"]
    clock = _zone(workflow)
    lines += [
        f"  starts {_local(run.end, clock)}  for {_local(run.start, clock)}"
        f"  --runtime '{_utc(run.start)}'"
        for run in runs
    ]
    return "\n".join(lines)


def _as_data(workflow: WorkflowDescription, runs: Sequence[Run]) -> dict[str, Any]:
    clock = _zone(workflow)
    return {
        "id": workflow.id,
        "module": workflow.module,
        "schedule": {"kind": workflow.schedule.kind, "value": workflow.schedule.value},
        "timezone": workflow.timezone,
        "start_date": workflow.start_date,
        "catchup": workflow.catchup,
        "jobs": [job.id for job in workflow.jobs],
        "runs": [
            {
                "runtime": _utc(run.start),
                "data_interval_start": run.start.astimezone(clock).isoformat(),
                "data_interval_end": run.end.astimezone(clock).isoformat(),
            }
            for run in runs
        ],
    }


def _zone(workflow: WorkflowDescription) -> tzinfo:
    return find_zone(workflow.timezone, Place.workflow(workflow.id))


def _local(moment: datetime, clock: tzinfo) -> str:
    return moment.astimezone(clock).isoformat(" ", "minutes")


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _MOST_RUNS):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {_MOST_RUNS}")
    return int(text)


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
