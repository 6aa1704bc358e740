"""What a project's own code says, as data: read from the JSON of ``python -m bigflow describe``.

Its form is that of ``bigflow/describe/schema.json``.
"""

from __future__ import annotations

import dataclasses
import json
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from bigflow_backend.ground.errors import UserError

SCHEMA = 1

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When a workflow runs."""

    kind: Literal["cron", "timedelta", "none", "once", "continuous"]
    value: str | float | None
    """The expression or preset of ``cron``, the seconds of ``timedelta``, else None."""


@dataclass(frozen=True, kw_only=True)
class JobDescription:
    """A ``bigflow.Job``, whose attributes these are."""

    id: str
    depends_on: tuple[str, ...]
    """The ids of the jobs that it waits for, in the order of definition."""
    retry_count: int
    retry_pause_sec: float
    execution_timeout_sec: float
    cpu_request: str | None
    cpu_limit: str | None
    memory_request: str | None
    memory_limit: str | None
    gpu: int | None
    pool: str | None
    priority_weight: int | None
    environment: Mapping[str, str]
    secrets: tuple[str, ...]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    service_account: str | None
    node_selector: Mapping[str, str]
    tolerations: tuple[Mapping[str, Any], ...]
    operator_arguments: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class WorkflowDescription:
    """A ``bigflow.Workflow``, whose attributes these are."""

    id: str
    module: str
    """The module whose import makes it, or else the first, in the order of names, that has it."""
    variable: str
    """The name there of the workflow, or of the container that holds it."""
    schedule: Schedule
    timezone: str
    start_date: str | None
    """The first runtime on the clock of ``timezone``, as ISO 8601 with the offset from UTC, which
    tells the two hours of one name apart when the clocks go back. None without a start time."""
    catchup: bool
    depends_on_past: bool
    max_active_runs: int
    env_variable: str
    env_default: str | None
    secrets: tuple[str, ...]
    on_failure_callback: str | None
    tags: tuple[str, ...]
    owner: str
    description: str | None
    doc_md: str | None
    jobs: tuple[JobDescription, ...]
    """In topological order; where several could be next, in the order of definition."""


@dataclass(frozen=True, kw_only=True)
class DeploymentDescription:
    """What ``deployment_config.py`` says."""

    config: str
    """The name of the configuration that was resolved."""
    properties: Mapping[str, Any]

    @property
    def docker_repository(self) -> str:
        """
        :raises UserError: when the configuration has none.
        """
        repository = self.properties.get("docker_repository")
        if not isinstance(repository, str) or not repository:
            raise UserError(
                f"deployment_config.py: the configuration {self.config!r} has no docker_repository",
                hint="add the property: 'docker_repository': 'registry.example.com/team/project'",
            )
        return repository


@dataclass(frozen=True, kw_only=True)
class Description:
    """One answer of ``bigflow describe``."""

    bigflow: str
    """The version of the runtime that gave it."""
    package: str | None
    workflows: tuple[WorkflowDescription, ...]
    """Sorted by id."""
    deployment: DeploymentDescription | None


def read_description(answer: bytes, *, source: str, status: int | None = None) -> Description:
    """Reads the JSON that ``python -m bigflow describe --progress`` printed, of which the last line
    is the description.

    ``source`` says whose answer it is, for the messages: an interpreter, an image. ``status`` is
    that of its process where it is known, negative for a signal.

    :raises UserError: for the fault that the answer tells of, or an answer of another form.
    """
    try:
        document = json.loads(answer.rpartition(b"\n")[2] or answer.splitlines()[-1])
        schema = document["schema"]
    except (ValueError, TypeError, LookupError) as error:
        raise no_answer(source, "it printed no description") from error
    if schema != SCHEMA:
        raise no_answer(source, f"its description has the form {schema!r}, this one reads {SCHEMA}")
    if "doing" in document:
        raise ended(source, status, f" while {document['doing']}")
    if "error" in document:
        raise UserError(document["error"]["message"], hint=document["error"]["hint"])
    try:
        return _description(document)
    except (KeyError, TypeError, ValueError) as error:
        raise no_answer(source, f"its description lacks or misstates {error}") from error


def some_workflows(answer: Description, package: str) -> tuple[WorkflowDescription, ...]:
    """The workflows that a description tells of.

    :raises UserError: when there are none.
    """
    if not answer.workflows:
        raise UserError(
            f"there is no workflow in the package {package!r}",
            hint="bind one to a name in a module: daily = bigflow.Workflow('daily', [...])",
        )
    return answer.workflows


# https://docs.python.org/3/library/faulthandler.html: of these the child prints where.
_CRASHES = {-signal.SIGSEGV, -signal.SIGFPE, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGILL}


def ended(source: str, status: int | None, when: str) -> UserError:
    """The error for a process that gave no answer: how it ended, and what may have done it."""
    if status is None:
        how, hint = "was ended", "see whether that code, or what it imports, calls os._exit()"
    elif status in _CRASHES:
        how, hint = f"crashed by signal {-status}", "the line is shown above"
    elif status < 0:
        how = f"was ended by signal {-status}"
        hint = "that code, or what it imports, kills it; or someone else, or a lack of memory, did"
    else:
        how = f"was ended with status {status}"
        hint = "that code, or what it imports, calls os._exit() or breaks what Python itself needs"
    return UserError(f"{source} did not describe the project: the process {how}{when}", hint=hint)


def no_answer(source: str, reason: str) -> UserError:
    """The error for an interpreter or an image that cannot describe a project."""
    return UserError(
        f"{source} did not describe the project: {reason}",
        hint="install this version of bigflow-backend there, and what the project requires",
    )


def _description(document: Mapping[str, Any]) -> Description:
    deployment = document["deployment"]
    return _make(
        Description,
        document,
        workflows=tuple(_workflow(workflow) for workflow in document["workflows"]),
        deployment=deployment and _make(DeploymentDescription, deployment),
    )


def _workflow(document: Mapping[str, Any]) -> WorkflowDescription:
    return _make(
        WorkflowDescription,
        document,
        schedule=_make(Schedule, document["schedule"]),
        jobs=tuple(_make(JobDescription, job) for job in document["jobs"]),
    )


def _make(model: type[T], document: Mapping[str, Any], **read: object) -> T:
    """``model`` from its JSON; lists become tuples, and what it does not know is left out."""
    values = {}
    for name in _FIELDS[model]:
        value = read[name] if name in read else document[name]
        values[name] = tuple(value) if isinstance(value, list) else value
    return model(**values)


_FIELDS: Mapping[Any, Sequence[str]] = {
    model: [field.name for field in dataclasses.fields(model)]
    for model in (
        Description, DeploymentDescription, WorkflowDescription, Schedule, JobDescription,
    )
}  # fmt: skip
