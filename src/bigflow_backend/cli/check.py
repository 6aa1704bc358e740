"""``bigflow check``"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bigflow_backend.cli.report import print_result
from bigflow_backend.dags.airflow.check import Check, check_dag_files
from bigflow_backend.ground.files import Outputs
from bigflow_backend.ground.report import print_progress
from bigflow_backend.ground.text import one_line

if TYPE_CHECKING:
    from bigflow_backend.cli.commands import Call


def check(call: Call) -> int:
    """Load the DAG files in an Airflow, and print what it reports. An error gives the status 1."""
    directory = Outputs(call.project().root).dags
    found = check_dag_files(directory, call.values.airflow, say=print_progress)
    print_result(call.values, found, _lines(found))
    return 0 if found.passed else 1


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
