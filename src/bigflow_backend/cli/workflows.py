"""``bigflow workflows`` and ``bigflow graph``: the workflows, before they are deployed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

from bigflow_backend.cli.build import interpreter, start_time
from bigflow_backend.cli.report import print_result
from bigflow_backend.dags.build import checked_workflows, schedule_in_words
from bigflow_backend.dags.graph import as_list, as_mermaid, as_svg
from bigflow_backend.dags.rules.location import Location
from bigflow_backend.dags.rules.zones import find_zone
from bigflow_backend.dags.timetable import Run, scheduled_runs
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.progress import waiting
from bigflow_backend.ground.report import print_warning
from bigflow_backend.project.workflows import describe_project, describe_workflows

if TYPE_CHECKING:
    from bigflow_backend.cli.commands import Call
    from bigflow_backend.project.workflows import WorkflowDescription

_MOST_RUNS = 1000


def workflows(call: Call) -> int:
    """List the workflows: when each runs, and its next runs."""
    start = start_time(call.values.start_time)
    number = _number_of_runs(call.values.next)
    listed = [
        (workflow, list(itertools.islice(scheduled_runs(workflow, now=start), number)))
        for workflow in _described(call, start)
    ]
    print_result(
        call.values,
        {
            "start_time": _utc(start),
            "workflows": [_as_data(workflow, runs) for workflow, runs in listed],
        },
        (_as_text(workflow, runs) for workflow, runs in listed),
    )
    return 0


def graph(call: Call) -> int:
    """List the jobs of a workflow, or print them as a Mermaid flowchart or a picture."""
    forms = [name for name in ("json", "mermaid", "svg") if getattr(call.values, name)]
    if len(forms) > 1:
        raise UserError(
            f"bigflow graph prints one form: got --{' --'.join(forms)}", hint=f"keep --{forms[0]}"
        )
    (workflow,) = _described(call, start_time(None), [call.values.workflow])
    if call.values.json:
        jobs = [{"id": job.id, "after": job.depends_on} for job in workflow.jobs]
        print_result(call.values, {"workflow": workflow.id, "jobs": jobs}, [])
    elif call.values.mermaid:
        print(as_mermaid(workflow.jobs))
    elif call.values.svg:
        print(as_svg(workflow), end="")
    else:
        print(f"{workflow.id}\n{as_list(workflow.jobs)}")
    return 0


def _number_of_runs(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _MOST_RUNS):
        raise UserError(
            f"--next must be a number from 0 to {_MOST_RUNS}: got {text!r}", hint="such as --next 5"
        )
    return int(text)


def _described(
    call: Call, start: datetime, only: Sequence[str] = ()
) -> Sequence[WorkflowDescription]:
    """Return the workflows, or those with the ids ``only``."""
    project, config = call.project(), call.values.config
    for note in project.notes:
        print_warning(note)
    python = interpreter(call.values.python)
    found: Sequence[WorkflowDescription]
    with waiting("finding the workflows"):
        if config is not None and project.deployment_config.is_file():
            # The description of the deployment refuses an unknown configuration.
            _, found = describe_project(
                project, python=python, start_time=start, config=config, only=only
            )
        else:
            found = describe_workflows(
                project, python=python, start_time=start, config=config, only=only
            )
    return checked_workflows(found, project.settings.dags)


def _as_text(workflow: WorkflowDescription, runs: Sequence[Run]) -> str:
    jobs = f"{len(workflow.jobs)} jobs" if len(workflow.jobs) > 1 else "1 job"
    zone = f" {workflow.timezone}" if workflow.schedule.kind == "cron" else ""
    lines = [
        f"{workflow.id}: {schedule_in_words(workflow.schedule)}{zone}, {jobs}, {workflow.module}"
    ]
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
    return find_zone(workflow.timezone, Location.workflow(workflow.id))


def _local(moment: datetime, clock: tzinfo) -> str:
    return moment.astimezone(clock).isoformat(" ", "minutes")


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
