"""Load the DAG files in a real Airflow, before they are deployed."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigflow_backend.dags.airflow import probe
from bigflow_backend.dags.airflow.releases import AirflowRelease, airflow_release, deferring_error
from bigflow_backend.ground.directories import scratch_directory
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.text import one_line
from bigflow_backend.ground.processes import child


@dataclass(frozen=True, kw_only=True)
class CheckedFile:
    """A DAG file as an Airflow sees it."""

    name: str
    errors: tuple[str, ...]
    """The errors of import and serialization, each with Airflow's whole message."""
    warnings: tuple[str, ...]
    """The warnings whose place is in the file itself."""
    dags: Mapping[str, tuple[str, ...]]
    """DAG id -> task ids."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """The files of a directory as one Airflow sees them."""

    airflow: str
    """The full version, such as ``3.3.2``."""
    provider: str
    """The version of apache-airflow-providers-cncf-kubernetes."""
    python: str
    files: tuple[CheckedFile, ...]

    @property
    def passed(self) -> bool:
        return not any(file.errors for file in self.files)


def check_dag_files(directory: Path, release: str, *, say: Callable[[str], None]) -> Check:
    """Load the DAG files of ``directory`` in an Airflow such as ``3.3``.

    The Airflow sees ``PYTHONPATH``, which may lead to a failure callback, and no other variable of
    the user. It needs no database.

    :raises UserError: if there are no files, or if the Airflow cannot be installed.
    """
    wanted = airflow_release(release)
    paths = sorted(directory.glob("*.py"))
    if not paths:
        raise UserError(f"{directory} has no DAG files", hint="write them: bigflow build-dags")
    files = "1 DAG file" if len(paths) == 1 else f"{len(paths)} DAG files"
    say(f"loading {files} in Airflow {release}; the first time, uv installs it")
    answer = _ask(wanted, directory, paths)
    airflow, provider = answer["airflow"], answer["provider"]
    return Check(
        airflow=airflow,
        provider=provider,
        python=answer["python"],
        files=tuple(
            _checked(path.name, answer["files"][path.name], deferring_error(airflow, provider))
            for path in paths
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Pod:
    """The pod of a job, as one Airflow would create it."""

    airflow: str
    provider: str
    manifest: Mapping[str, Any]


def show_pod(
    file: Path, job: str, release: str, *, config: str | None, say: Callable[[str], None]
) -> Pod:
    """Return the pod of a job of the DAG in ``file``, in an Airflow such as ``3.3``.

    It is that of a run by hand, now. ``config`` is the value of the Airflow Variables.

    :raises UserError: if the Airflow cannot be installed, or cannot load the file.
    """
    wanted = airflow_release(release)
    say(f"loading {file.name} in Airflow {release}; the first time, uv installs it")
    answer = _ask(wanted, file.parent, [file], {"task": job, "config": config})
    found = answer["files"][file.name]
    if len(found["pods"]) != 1:
        reason = one_line((found["errors"] or ["it defines no DAG"])[0].strip().rpartition("\n")[2])
        raise UserError(
            f"Airflow {answer['airflow']} cannot load {file.name}: {reason}",
            hint=f"bigflow check --airflow {release}",
        )
    return Pod(airflow=answer["airflow"], provider=answer["provider"], manifest=found["pods"][0])


def _checked(name: str, found: Mapping[str, Any], deferring: str | None) -> CheckedFile:
    errors = list(found["errors"])
    if deferring and found["deferrable"]:
        errors.append(f"job {found['deferrable'][0]!r} is deferrable: {deferring}")
    if not errors and len(found["dags"]) != 1:
        errors.append(f"the file must define one DAG: got {len(found['dags'])}")
    return CheckedFile(
        name=name,
        errors=tuple(errors),
        warnings=tuple(found["warnings"]),
        dags={dag_id: tuple(tasks) for dag_id, tasks in found["dags"].items()},
    )


def _ask(
    release: AirflowRelease,
    directory: Path,
    paths: Sequence[Path],
    pod: Mapping[str, str | None] | None = None,
) -> Any:
    with scratch_directory() as scratch:
        home = str(scratch)
        variables = json.dumps(airflow_variables(home, directory))
        # The program comes on standard input. As a file, it would put its directory on sys.path.
        command = release.command("-", variables, json.dumps(pod), *map(str, paths))
        output, errors = _run(command, home, inspect.getsource(probe))
    lines = output.splitlines()
    if probe.STARTED not in lines:
        raise release.error(errors)
    for line in lines:
        if line.startswith(probe.ANSWER):
            return json.loads(line.removeprefix(probe.ANSWER))
    reason = one_line(errors.strip().rpartition("\n")[2]) or "it printed no reason"
    raise UserError(
        f"Airflow {release.text} did not load the files: {reason}",
        hint="empty uv's cache of this Airflow: uv cache clean apache-airflow",
    )


def _run(command: Sequence[str], directory: str, program: str) -> tuple[str, str]:
    """Return the standard output and the standard error of a command."""
    # Python writes bytecode into uv's cache, so that the next check is faster.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with child(
        command,
        cwd=directory,  # [tool.uv] of the project does not apply there
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        output, errors = process.communicate(program.encode())
    return output.decode("utf-8", "replace"), errors.decode("utf-8", "replace")


def airflow_variables(home: str, directory: Path) -> dict[str, str]:
    """Return the environment of an Airflow whose home and DAGs folder these are."""
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
