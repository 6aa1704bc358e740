"""``bigflow rehearse``: a real Airflow runs the DAG files, with pods in the image just built."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.cli.build import interpreter
from bigflow_backend.cli.report import print_result
from bigflow_backend.dags.manifest import read_manifest
from bigflow_backend.ground.errors import UserError, did_you_mean
from bigflow_backend.ground.files import Outputs
from bigflow_backend.ground.progress import print_progress, step
from bigflow_backend.project.workflows import describe_deployment
from bigflow_backend.rehearsal.inputs import Inputs, read_inputs
from bigflow_backend.rehearsal.rehearse import Request, rehearse

if TYPE_CHECKING:
    from bigflow_backend.cli.commands import Call
    from bigflow_backend.dags.manifest import DagEntry
    from bigflow_backend.project.project import Project
    from bigflow_backend.rehearsal.result import Rehearsal, WorkflowResult

_ALL = "ALL"
_USUAL_VARIABLE = "env"


def run(call: Call) -> int:
    """Rehearse the workflows, and print what their tasks did. A failed task gives the status 1."""
    values, project = call.values, call.project()
    directory = Outputs(project.root).dags
    if not directory.is_dir():
        raise UserError(f"{directory} does not exist", hint="build the project: bigflow build")
    entries = _entries(directory, _wanted(values))
    if values.until is not None:
        _check_job(values.until, entries)
    path = Path(values.secrets) if values.secrets else None
    request = Request(
        root=project.root,
        dags=directory,
        entries=entries,
        inputs=_with_configuration(read_inputs(path, project.root), entries, project, values),
        airflow=values.airflow,
        runtime=values.runtime,
        until=values.until,
        no_retries=values.no_retries,
        say=print_progress,
    )
    with step(f"rehearsing {_wanted(values)}", keeps_lines=True):
        found = rehearse(request)
    print_result(values, found, _lines(found))
    return 0 if found.passed else 1


def _wanted(values: argparse.Namespace) -> str:
    given = [str(name) for name in (values.workflow, values.named) if name is not None]
    if len(given) != 1:
        raise UserError(
            "one workflow must be named: got "
            + (" and ".join(map(repr, given)) if given else "none"),
            hint="write its id, or ALL: bigflow rehearse ALL",
        )
    return given[0]


def _entries(directory: Path, wanted: str) -> list[DagEntry]:
    entries = [dag for dag in read_manifest(directory).dags if not dag.retired]
    if wanted.upper() == _ALL:
        return entries
    found = [dag for dag in entries if dag.workflow == wanted]
    if not found:
        raise UserError(
            f"{directory} has no DAG of a workflow {wanted!r}",
            hint=did_you_mean(wanted, [dag.workflow for dag in entries]),
        )
    return found


def _check_job(job: str, entries: list[DagEntry]) -> None:
    for entry in entries:
        if job not in entry.tasks:
            raise UserError(
                f"workflow {entry.workflow!r} has no job {job!r}",
                hint=did_you_mean(job, entry.tasks),
            )


def _with_configuration(
    inputs: Inputs, entries: list[DagEntry], project: Project, values: argparse.Namespace
) -> Inputs:
    """Return the inputs with the Variables that name the configuration.

    ``--config`` decides, else the file. The usual Variable ``env`` may be in neither: then the
    default of deployment_config.py decides.
    """
    names = {str(entry.config.get("variable")) for entry in entries}
    if values.config is not None:
        given = {**inputs.variables, **dict.fromkeys(names, values.config)}
        return dataclasses.replace(inputs, variables=given)
    missing = names - inputs.variables.keys()
    if _USUAL_VARIABLE not in missing or not project.deployment_config.exists():
        return inputs
    config = describe_deployment(project, python=interpreter(values.python)).config
    return inputs.with_variables({_USUAL_VARIABLE: config})


def _lines(found: Rehearsal) -> Iterator[str]:
    yield (
        f"Airflow {found.airflow}, cncf.kubernetes provider {found.provider}, pods: {found.runtime}"
    )
    for workflow in found.workflows:
        yield from _workflow_lines(workflow)


def _workflow_lines(workflow: WorkflowResult) -> Iterator[str]:
    for task in workflow.tasks:
        seconds = sum(one.seconds for one in task.tries)
        tries = f", {len(task.tries)} tries" if len(task.tries) > 1 else ""
        yield f"{task.state:15}  {workflow.workflow}.{task.job}  {seconds:.1f} s{tries}"
    yield f"{workflow.state:15}  {workflow.workflow}  {workflow.seconds:.1f} s"
    for task in workflow.tasks:
        if task.last_lines:
            yield f"the end of {task.tries[-1].log}:"
            yield from (f"  {line}" for line in task.last_lines)
