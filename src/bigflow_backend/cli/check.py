"""``bigflow check`` and ``bigflow pod``: the DAG files in a real Airflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bigflow_backend.cli.report import print_result
from bigflow_backend.dags.airflow.check import Check, check_dag_files, show_pod
from bigflow_backend.dags.manifest import read_manifest
from bigflow_backend.ground.errors import UserError, nearest
from bigflow_backend.ground.files import Outputs
from bigflow_backend.ground.foreign.text import one_line
from bigflow_backend.ground.progress import print_progress, step

if TYPE_CHECKING:
    from bigflow_backend.cli.commands import Call


def check(call: Call) -> int:
    """Load the DAG files in an Airflow, and print what it reports. An error gives the status 1."""
    directory = Outputs(call.project().root).dags
    with step(f"loading the DAG files in Airflow {call.values.airflow}"):
        found = check_dag_files(directory, call.values.airflow, say=print_progress)
    print_result(call.values, found, _lines(found))
    return 0 if found.passed else 1


def pod(call: Call) -> int:
    """Print the manifest of a job's pod, as the operator would create it."""
    wanted = call.values.job
    job = wanted.partition(".")[2]
    directory = Outputs(call.project().root).dags
    if not directory.is_dir():
        raise UserError(f"{directory} does not exist", hint="write it: bigflow build-dags")
    dags = [dag for dag in read_manifest(directory).dags if not dag.retired]
    jobs = {f"{dag.workflow}.{task}": directory / dag.file for dag in dags for task in dag.tasks}
    if wanted not in jobs:
        raise UserError(
            f"{directory} has no job {wanted!r}",
            hint=f"did you mean {nearest(wanted, jobs)}?"
            if nearest(wanted, jobs)
            else f"its jobs: {', '.join(jobs)}",
        )
    with step(f"asking Airflow {call.values.airflow}"):
        found = show_pod(
            jobs[wanted], job, call.values.airflow, config=call.values.config, say=print_progress
        )
    print_progress(f"Airflow {found.airflow}, cncf.kubernetes provider {found.provider}")
    print(json.dumps(found.manifest, indent=2, ensure_ascii=False))
    return 0


def _lines(found: Check) -> Iterator[str]:
    yield (
        f"Airflow {found.airflow}, cncf.kubernetes provider {found.provider}, Python {found.python}"
    )
    for file in found.files:
        for dag_id, tasks in file.dags.items():
            if not file.errors:
                yield f"ok     {dag_id}: {', '.join(tasks)}"
        for warning in file.warnings:
            yield f"warns  {file.name}: {one_line(warning)}"
        for error in file.errors:
            # Airflow's message is a traceback, and the error is its last line.
            yield f"fails  {file.name}: {error.strip().splitlines()[-1]}"
    failed = sum(bool(file.errors) for file in found.files)
    files = f"{len(found.files)} files" if len(found.files) > 1 else "1 file"
    yield f"{files}, {failed} with errors"
