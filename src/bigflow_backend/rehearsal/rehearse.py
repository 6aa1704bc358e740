"""The order of a rehearsal: load the DAG in Airflow, check its inputs, run it, read the results."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.dags.airflow.releases import airflow_release
from bigflow_backend.dags.rules.location import Location
from bigflow_backend.dags.rules.zones import find_zone
from bigflow_backend.dags.timetable import timetable
from bigflow_backend.ground.directories import scratch_directory
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.text import one_line, printable
from bigflow_backend.ground.progress import is_terminal, waiting
from bigflow_backend.rehearsal.airflow import AirflowProcess, DagRun, started_airflow
from bigflow_backend.rehearsal.api.status import NOT_IMPLEMENTED, ApiError
from bigflow_backend.rehearsal.api.validation import checked_pod
from bigflow_backend.rehearsal.image import built_image
from bigflow_backend.rehearsal.kubernetes import Kubernetes
from bigflow_backend.rehearsal.result import Rehearsal, TaskResult, Try, WorkflowResult
from bigflow_backend.rehearsal.runtimes import DIFFERENCES, chosen_runtime

if TYPE_CHECKING:
    from bigflow_backend.dags.manifest import DagEntry
    from bigflow_backend.rehearsal.airflow import Event, Loaded
    from bigflow_backend.rehearsal.image import BuiltImage
    from bigflow_backend.rehearsal.inputs import Inputs
    from bigflow_backend.rehearsal.node.runtime import Runtime

DIRECTORY = ".rehearsal"
_LAST_LINES = 12
_TAIL = 1 << 16
_NOISE = (
    "[DAG TEST]", "::group::", "::endgroup::", "[airflow.api_fastapi.", "Pod Event: Scheduled",
    "Pod Event: Created", "Pod Event: Started", "Deleting pod: ", "Marking task as ",
    "During handling of the above exception, another exception occurred:",
)  # fmt: skip
"""Parts of lines that do not help to find the reason of a failure."""
_LINE = re.compile(
    r"\d{4}-\S+Z \[\w+ *\] (?P<new>.*?)(?: *\[[\w.]+\](?: \w+=.*)?)?"
    r"|\[\d{4}-[^]]*\] \{[^}]*\} \w+ - (?P<old>.*)"
    r"| *\[[\w.]+\] loc=.*"
)
"""A line in the log of Airflow 3, or of Airflow 2."""
_WITHOUT_REASON = re.compile(r"[\w.]+Exception: Pod \S+ returned a failure\.|")
_BLOCKED = "upstream_failed"
_FAILED = {"failed", _BLOCKED}


@dataclass(frozen=True, kw_only=True)
class Request:
    """The workflows to rehearse, and how."""

    root: Path
    """The directory of the project."""
    dags: Path
    entries: Sequence[DagEntry]
    """The DAGs, which name the same image."""
    inputs: Inputs
    airflow: str
    """The release, such as ``3.3``."""
    runtime: str
    until: str | None
    no_retries: bool
    say: Callable[[str], None]
    """Gets a line for each start and each end of a task."""


def rehearse(request: Request) -> Rehearsal:
    """Run the DAGs one after the other.

    :raises UserError: if Airflow, the image or an input is missing, a file does not load, or a job
        needs what a rehearsal does not have.
    """
    release = airflow_release(request.airflow)
    first = request.entries[0]
    image = built_image(request.root, first.version)
    with scratch_directory() as scratch, contextlib.ExitStack() as stack:
        scratch.chmod(0o711)  # started by root, the pods of a sandbox run as nobody
        node = _Node(request, image, scratch, stack)
        results, loaded = [], None
        for number, entry in enumerate(request.entries):
            home = scratch / f"run{number}"
            home.mkdir()
            logs = _log_directory(request.root, entry.workflow)
            run = DagRun(
                file=_copy(request.dags / entry.file, home),
                date=_logical_date(entry, datetime.now(timezone.utc)).isoformat(),
                until=request.until,
                no_retries=request.no_retries,
                logs=logs,
            )
            request.say(f"{entry.dag_id} in Airflow {release.text}; the first time, uv installs it")
            with started_airflow(release, run, home) as airflow:
                with waiting(f"Airflow {release.text} starts"):
                    node.runtime  # noqa: B018 - it is made while Airflow starts
                    loaded = airflow.loaded()
                if number == 0:
                    request.say(node.note)
                _check(entry, loaded, request)
                results.append(_run(entry, airflow, node, logs, _namespaces(loaded)))
        assert loaded is not None  # noqa: S101
        return Rehearsal(
            airflow=loaded["airflow"],
            provider=loaded["provider"],
            runtime=node.name,
            image=image.tag,
            workflows=tuple(results),
        )


class _Node:
    """The runtime of the pods, which is made once, on first use."""

    def __init__(
        self, request: Request, image: BuiltImage, scratch: Path, stack: contextlib.ExitStack
    ) -> None:
        self.request = request
        self._image = image
        self._scratch = scratch
        self._stack = stack
        self.name = ""
        self.note = ""
        """A line about what runs the pods, and what differs from a cluster."""

    @cached_property
    def runtime(self) -> Runtime:
        network = self.request.inputs.network == "host"
        self.name, runtime = self._stack.enter_context(
            chosen_runtime(
                self.request.runtime,
                self._image,
                self._scratch,
                network=network,
                say=self.request.say,
            )
        )
        notes = [
            DIFFERENCES[self.name],
            "" if network else f'no network; {self.request.inputs.file} can say network = "host"',
        ]
        self.note = f"pods: {self.name}; {'; '.join(filter(None, notes))}".rstrip("; ")
        return runtime


@dataclass
class _Tasks:
    """The tasks of a run while it runs."""

    entry: DagEntry
    root: Path
    logs: Path
    say: Callable[[str], None]
    tries: dict[str, list[Try]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    state: str | None = None
    """The state of the run, at its end."""
    started: float = 0
    line: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """The line of the running task on a terminal."""

    def receive(self, event: Event) -> None:
        if event["event"] == "started":
            self.started = time.monotonic()
            again = f", try {event['number']}" if event["number"] > 1 else ""
            title = f"running  {self.entry.workflow}.{event['task']}{again}"
            if is_terminal():
                self.line.enter_context(waiting(title))
            else:
                self.say(title)
        elif event["event"] == "tried":
            self.line.close()
            self._end_try(event)
        elif event["event"] == "ended":
            self.state, self.states = event["state"], event["tasks"]
            for job in self.entry.tasks:
                if self.states.get(job) == _BLOCKED:
                    self.say(f"{_BLOCKED}  {self.entry.workflow}.{job}  a job before it failed")

    def _end_try(self, event: Event) -> None:
        task, number = event["task"], event["number"]
        one = Try(
            number=number,
            state=event["state"],
            seconds=round(time.monotonic() - self.started, 2),
            log=(self.logs / f"{task}.{number}.log").relative_to(self.root),
        )
        self.tries.setdefault(task, []).append(one)
        word = "retry" if one.state == "up_for_retry" else one.state
        lines = _last_lines(self.root / one.log) if word in {"retry", "failed"} else ()
        reason = f"  {lines[-1]}" if lines else ""
        self.say(f"{word:8} {self.entry.workflow}.{task}  {one.seconds:.1f} s{reason}")

    def results(self) -> Iterator[TaskResult]:
        for job in self.entry.tasks:
            if job in self.states:
                tries = tuple(self.tries.get(job, ()))
                failed = self.states[job] in _FAILED and tries
                yield TaskResult(
                    job=job,
                    state=self.states[job],
                    tries=tries,
                    last_lines=_last_lines(self.root / tries[-1].log) if failed else (),
                )


def _run(
    entry: DagEntry, airflow: AirflowProcess, node: _Node, logs: Path, namespaces: set[str]
) -> WorkflowResult:
    request = node.request
    refused: list[str] = []

    def refuse(message: str) -> None:
        refused.append(message)
        airflow.end()

    tasks = _Tasks(entry, request.root, logs, request.say)
    started = time.monotonic()
    with Kubernetes(node.runtime, refuse=refuse) as kubernetes:
        for namespace in namespaces:
            for name, data in request.inputs.secrets.items():
                kubernetes.create_secret(name, data, namespace=namespace)
            for name, data in request.inputs.configmaps.items():
                kubernetes.create_config_map(name, data, namespace=namespace)
        connection = {
            "conn_type": "kubernetes",
            "extra": {"kube_config": json.dumps(kubernetes.kubeconfig())},
        }
        environment = {
            **{f"AIRFLOW_VAR_{k.upper()}": v for k, v in request.inputs.variables.items()},
            **{f"AIRFLOW_CONN_{name}": json.dumps(connection) for name in _connections(entry)},
        }
        with tasks.line:
            for event in airflow.run(environment):
                tasks.receive(event)
    if refused:
        raise UserError(
            f"{entry.workflow} needs what a rehearsal does not have: {one_line(refused[0])}",
            hint=f"rehearse the jobs before it: bigflow rehearse {entry.workflow} --until JOB",
        )
    if tasks.state is None:
        raise airflow.ended_early()
    return WorkflowResult(
        workflow=entry.workflow,
        dag_id=entry.dag_id,
        state=tasks.state,
        tasks=tuple(tasks.results()),
        seconds=round(time.monotonic() - started, 2),
    )


def _namespaces(loaded: Loaded) -> set[str]:
    return {pod["metadata"].get("namespace") or "default" for pod in loaded["pods"].values()}


_CONNECTION = re.compile(r"""['"]kubernetes_conn_id['"]: ['"]([A-Za-z0-9_.-]+)['"]""")


def _connections(entry: DagEntry) -> set[str]:
    """Return the names of the connections to Kubernetes in the DAG file."""
    return {name.upper() for name in (*_CONNECTION.findall(entry.source), "kubernetes_default")}


def _check(entry: DagEntry, loaded: Loaded, request: Request) -> None:
    """Check all that can be checked before a task runs.

    :raises UserError: for the first problem.
    """
    if loaded["errors"]:
        reason = one_line(loaded["errors"][0].strip().rpartition("\n")[2])
        raise UserError(
            f"Airflow {loaded['airflow']} cannot load {entry.file}: {reason}",
            hint=f"bigflow check --airflow {request.airflow}",
        )
    request.inputs.check(entry.workflow, loaded["variables"], loaded["pods"])
    for job in entry.tasks:
        _check_pod(f"{entry.workflow}.{job}", loaded["pods"][job])


def _check_pod(job: str, pod: object) -> None:
    try:
        checked_pod(pod)
    except ApiError as error:
        # The others are those of a real server: the run shows what Airflow makes of them.
        if error.code == NOT_IMPLEMENTED:
            raise UserError(
                f"job {job}: {one_line(str(error))}",
                hint=f"bigflow pod {job} shows its pod; remove that field for the rehearsal",
            ) from error


def _logical_date(entry: DagEntry, now: datetime) -> datetime:
    """Return the end of the data interval of the first run, or of the last complete interval."""
    zone = find_zone(entry.timezone, Location.workflow(entry.workflow))
    intervals = timetable(entry.schedule, zone)
    if intervals is None:
        return min(entry.start, now)
    end = intervals.after(intervals.from_on(entry.start.astimezone(timezone.utc)))
    return end if end <= now else intervals.up_to(now.replace(microsecond=0))


def _copy(file: Path, home: Path) -> Path:
    """Copy the DAG file into a directory of its own: Airflow loads all files in its directory."""
    directory = home / "dags"
    directory.mkdir()
    return Path(shutil.copy(file, directory))


def _log_directory(root: Path, workflow: str) -> Path:
    """Return an empty directory for the logs of a workflow; git ignores it."""
    above = root / DIRECTORY
    above.mkdir(exist_ok=True)
    (above / ".gitignore").write_text("*\n", "ascii")
    logs = above / workflow
    if logs.is_symlink() or logs.is_file():
        logs.unlink()
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir()
    return logs


def _last_lines(log: Path) -> tuple[str, ...]:
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        lines = file.read().decode("utf-8", "replace").splitlines()
    kept = [line for line in lines if line.strip() and not any(mark in line for mark in _NOISE)]
    messages = [printable(message) for message in map(_message, kept) if message]
    # The operator raises this after the exception that has the reason.
    while len(messages) > 1 and _WITHOUT_REASON.fullmatch(messages[-1]):
        messages.pop()
    return tuple(messages[-_LAST_LINES:])


def _message(line: str) -> str:
    """Return a line of Airflow's log without its time, its level and its place in the code."""
    match = _LINE.fullmatch(line)
    return (match["new"] or match["old"] or "").rstrip() if match else line
