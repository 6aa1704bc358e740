"""The DAG files as a real Airflow reads them, before they are deployed."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.dags.airflow import probe as airflow_probe
from bigflow_backend.dags.airflow.environment import airflow_environment
from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.dags.airflow.environment import AirflowEnvironment

_SECONDS = 600


@dataclass(frozen=True, kw_only=True)
class CheckedFile:
    """What an Airflow makes of one file."""

    name: str
    errors: tuple[str, ...]
    """Why it cannot be imported or kept, each with Airflow's whole message."""
    warnings: tuple[str, ...]
    """What is warned of in the file itself."""
    dags: Mapping[str, tuple[str, ...]]
    """The tasks by the DAG's id."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """The files of a directory, read by one Airflow."""

    airflow: str
    """The version, to the patch."""
    provider: str
    """That of apache-airflow-providers-cncf-kubernetes."""
    python: str
    files: tuple[CheckedFile, ...]

    @property
    def passed(self) -> bool:
        return not any(file.errors for file in self.files)


def check_dag_files(directory: Path, release: str, *, say: Callable[[str], None]) -> Check:
    """Loads the DAG files of ``directory`` in an Airflow such as ``3.3``.

    ``PYTHONPATH`` is passed on: it may lead to what a failure callback names. Nothing else of the
    environment is, and no database is needed.

    :raises UserError: when there are no files, or no such Airflow can be had.
    """
    paths = sorted(directory.glob("*.py"))
    if not paths:
        raise UserError(
            f"there are no DAG files in {directory}", hint="make them: bigflow build-dags"
        )
    environment = airflow_environment(release, say=say)
    files = "1 DAG file" if len(paths) == 1 else f"{len(paths)} DAG files"
    say(f"loading {files} in Airflow {environment.airflow}")
    answer = _ask(environment, directory, paths)
    return Check(
        airflow=environment.airflow,
        provider=environment.provider,
        python=environment.python,
        files=tuple(_checked(path.name, answer[path.name]) for path in paths),
    )


def _checked(name: str, found: Mapping[str, Any]) -> CheckedFile:
    errors = list(found["errors"])
    if not errors and len(found["dags"]) != 1:
        errors.append(f"it has {len(found['dags'])} DAGs, not one")
    return CheckedFile(
        name=name,
        errors=tuple(errors),
        warnings=tuple(found["warnings"]),
        dags={dag_id: tuple(tasks) for dag_id, tasks in found["dags"].items()},
    )


def _ask(environment: AirflowEnvironment, directory: Path, paths: Sequence[Path]) -> Any:
    with tempfile.TemporaryDirectory() as home:
        try:
            done = subprocess.run(
                # On standard input: as a file, it would put its directory on the path, where there
                # is a kubernetes.py.
                [environment.interpreter, "-B", "-", *paths],
                cwd=home,
                env=_variables(home, directory),
                input=inspect.getsource(airflow_probe),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _no_answer(environment, str(error)) from error
    for line in done.stdout.splitlines():
        if line.startswith(airflow_probe.MARK):
            return json.loads(line.removeprefix(airflow_probe.MARK))
    raise _no_answer(environment, done.stdout.strip().rpartition("\n")[2] or "it said nothing")


def _no_answer(environment: AirflowEnvironment, reason: str) -> UserError:
    return UserError(
        f"Airflow {environment.airflow} did not load the files: {' '.join(reason.split())}",
        hint=f"if it lacks something, remove {environment.interpreter.parents[2]} and try again",
    )


def _variables(home: str, directory: Path) -> dict[str, str]:
    path = os.environ.get("PYTHONPATH")
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": home,
        "LANG": "C.UTF-8",
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__DAGS_FOLDER": str(directory),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        **({"PYTHONPATH": path} if path else {}),
    }
