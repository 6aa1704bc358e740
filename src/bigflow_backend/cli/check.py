"""``bigflow check``: the DAG files of ``.dags/`` as a real Airflow reads them."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.dags.airflow.check import check_dag_files
from bigflow_backend.ground.files import Outputs
from bigflow_backend.project.project import find_project

if TYPE_CHECKING:
    from bigflow_backend.dags.airflow.check import Check

_NEWEST = "3.3"


def check(argv: Sequence[str]) -> int:
    """Loads the DAG files in an Airflow; 1 when one of them has an error there."""
    parser = argparse.ArgumentParser(
        prog="bigflow check",
        description="Load the DAG files of .dags/ in a real Airflow, and report errors, warnings"
        " and tasks. The Airflow is installed by uv, into the user's cache directory, once.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--airflow",
        metavar="RELEASE",
        default=_NEWEST,
        help=f"the Airflow, such as 2.11 or 3.0.6 (default: {_NEWEST})",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    values = parser.parse_args(argv)
    found = check_dag_files(Outputs(find_project(Path.cwd()).root).dags, values.airflow, say=_say)
    if values.json:
        print(json.dumps(dataclasses.asdict(found), indent=2))
    else:
        print("\n".join(_lines(found)))
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
            yield f"warns  {file.name}: {' '.join(warning.split())}"
        for error in file.errors:
            # Airflow's message is a traceback: its last line says what it is.
            yield f"fails  {file.name}: {error.strip().splitlines()[-1]}"
    failed = sum(bool(file.errors) for file in found.files)
    files = f"{len(found.files)} files" if len(found.files) > 1 else "1 file"
    yield f"{files}, {failed} with errors"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
