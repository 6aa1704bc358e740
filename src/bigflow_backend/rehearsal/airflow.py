"""A real Airflow runs one DAG file: as a child process, which uv installs."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypedDict

from bigflow_backend.dags.airflow import probe
from bigflow_backend.dags.airflow.check import airflow_variables
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.documents import DocumentError, read_json
from bigflow_backend.ground.foreign.text import one_line
from bigflow_backend.ground.limits import DESCRIPTION
from bigflow_backend.ground.processes import child

if TYPE_CHECKING:
    from bigflow_backend.dags.airflow.releases import AirflowRelease

_PROGRAM = Path(__file__).with_name("program.py")
LOG = "airflow.log"
"""The log of all that belongs to no task."""


@dataclass(frozen=True, kw_only=True)
class DagRun:
    """A run of a DAG, and how to run it."""

    file: Path
    """The DAG file, alone in its directory."""
    date: str
    """The logical date, in ISO 8601."""
    until: str | None
    """The last job; None for all."""
    no_retries: bool
    logs: Path
    """The directory of the logs."""


class Loaded(TypedDict):
    """The first event: the DAG file is loaded, and nothing has run."""

    airflow: str
    provider: str
    errors: list[str]
    pods: dict[str, Any]
    variables: list[str]


class Event(TypedDict, total=False):
    """An event of the run."""

    event: str
    task: str
    number: int
    state: str
    tasks: dict[str, str]


class AirflowProcess:
    """An Airflow that has been started for one DAG run."""

    def __init__(
        self, process: subprocess.Popen[bytes], release: AirflowRelease, logs: Path, errors: Path
    ) -> None:
        self._process = process
        self._release = release
        self._logs = logs
        self._errors = errors

    def loaded(self) -> Loaded:
        """Wait until the DAG file is loaded.

        :raises UserError: if Airflow cannot be installed.
        """
        line = self._line()
        if not line:
            if not (self._logs / LOG).exists():
                raise self._release.error(self._errors.read_text("utf-8", "replace"))
            raise self.ended_early()
        return read_json(line, Loaded)

    def run(self, environment: Mapping[str, str]) -> Iterator[Event]:
        """Run the DAG. Yield its events until the run has ended, or the process has.

        ``environment`` has the connection to Kubernetes and the Variables of Airflow.
        """
        stream: IO[bytes] | None = self._process.stdin
        assert stream is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError):
            stream.write(json.dumps(environment).encode() + b"\n")
            stream.flush()
        while line := self._line():
            yield read_json(line, Event)

    def end(self) -> None:
        """Kill it, from any thread."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR1)

    def ended_early(self) -> UserError:
        """Return the error for a process that has ended before the run."""
        text = (self._logs / LOG).read_text("utf-8", "replace").strip()
        return UserError(
            f"Airflow {self._release.text} ended before the run did:"
            f" {one_line(text.rpartition(chr(10))[2]) or 'it printed no reason'}",
            hint=f"look at the end of {self._logs.parent.name}/{self._logs.name}/{LOG}",
        )

    def _line(self) -> bytes:
        stream = self._process.stdout
        assert stream is not None  # noqa: S101
        line = stream.readline(DESCRIPTION)
        try:
            json.loads(line or b"null")
        except ValueError as error:
            raise DocumentError("is not an event of the rehearsal") from error
        return line


@contextlib.contextmanager
def started_airflow(
    release: AirflowRelease, run: DagRun, scratch: Path
) -> Iterator[AirflowProcess]:
    """Start Airflow for one run; end it with the block. ``scratch`` becomes its home."""
    home = scratch / "airflow"
    home.mkdir()
    (program := home / "bigflow_rehearsal.py").write_bytes(_PROGRAM.read_bytes())
    (home / "bigflow_probe.py").write_text(inspect.getsource(probe), "utf-8")
    settings = {
        "environment": airflow_variables(str(home), run.file.parent),
        "file": str(run.file),
        "date": run.date,
        "until": run.until,
        "no_retries": run.no_retries,
        "pause": 1,
        "logs": str(run.logs),
    }
    errors = scratch / "uv.log"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with (
        errors.open("wb") as stderr,
        child(
            release.command(str(program)),
            cwd=str(home),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
        ) as process,
    ):
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        with process.stdout:
            with contextlib.suppress(BrokenPipeError):  # `loaded` reports it
                process.stdin.write(json.dumps(settings).encode() + b"\n")
                process.stdin.flush()
            try:
                yield AirflowProcess(process, release, run.logs, errors)
            finally:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
