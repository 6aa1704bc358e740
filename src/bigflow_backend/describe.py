"""The backend's side of the seam: what a project's own code says, asked in a child process.

``python -m bigflow describe`` imports the project and prints JSON; nothing of the project is
imported into this process. The form is that of ``bigflow/description.schema.json``.
"""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import timezone
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from bigflow_backend.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from bigflow_backend.project import Project

__all__ = [
    "DESCRIBE",
    "DeploymentDescription",
    "Description",
    "JobDescription",
    "Schedule",
    "WorkflowDescription",
    "describe_deployment",
    "describe_project",
    "describe_workflows",
    "read_description",
    "some_workflows",
    "workflow_arguments",
]

SCHEMA = 1

DESCRIBE = ("-B", "-m", "bigflow", "describe", "--progress")
"""What a Python is told, before the arguments, so that it describes a project."""

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


def describe_project(
    project: Project,
    *,
    python: str = sys.executable,
    start_time: datetime,
    config: str | None = None,
) -> tuple[DeploymentDescription, tuple[WorkflowDescription, ...]]:
    """:func:`describe_deployment` and :func:`describe_workflows`, asked of one child."""
    arguments = [
        *_deployment_arguments(project, config),
        *workflow_arguments(project.package, start_time),
    ]
    answer = _ask(python, project, arguments)
    return _deployment(answer, python), some_workflows(answer, project.package)


def describe_workflows(
    project: Project,
    *,
    python: str = sys.executable,
    start_time: datetime,
    config: str | None = None,
) -> tuple[WorkflowDescription, ...]:
    """The workflows of the project, sorted by id, as ``python`` finds them in the source tree.

    ``start_time`` is that of the build: in UTC, or with a zone of its own. ``config`` is the
    configuration that the project's modules resolve when they are imported; None leaves it to
    ``bf_env`` and the defaults.

    :raises UserError: when a module cannot be imported, a workflow is wrong, or there is none.
    """
    arguments = workflow_arguments(project.package, start_time, config)
    answer = _ask(python, project, arguments)
    return some_workflows(answer, project.package)


def describe_deployment(
    project: Project, *, python: str = sys.executable, config: str | None = None
) -> DeploymentDescription:
    """What deployment_config.py says, for the configuration ``config`` or the default one.

    :raises UserError: when the file is missing, raises, or has no such configuration.
    """
    answer = _ask(python, project, _deployment_arguments(project, config))
    return _deployment(answer, python)


def _deployment_arguments(project: Project, config: str | None) -> list[str]:
    file = project.deployment_config
    if not file.is_file():
        raise UserError(
            f"there is no {file.name} in {project.root}",
            hint='create it: deployment_config = DeploymentConfig("dev", '
            '{"docker_repository": "..."})',
        )
    arguments = ["--deployment-config", str(file)]
    return arguments if config is None else [*arguments, "--config", config]


def _deployment(answer: Description, python: str) -> DeploymentDescription:
    if answer.deployment is None:
        raise _no_answer(python, "it left out the deployment")
    return answer.deployment


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


def workflow_arguments(package: str, start_time: datetime, config: str | None = None) -> list[str]:
    """The arguments after ``python -m bigflow describe`` that ask for the workflows."""
    if start_time.tzinfo is not None:
        start_time = start_time.astimezone(timezone.utc)
    moment = start_time.replace(tzinfo=None).isoformat(" ", "seconds")
    arguments = ["--project-package", package, "--start-time", moment]
    return arguments if config is None else [*arguments, "--config", config]


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
        raise _no_answer(source, "it printed no description") from error
    if schema != SCHEMA:
        raise _no_answer(
            source, f"its description has the form {schema!r}, this one reads {SCHEMA}"
        )
    if "doing" in document:
        raise _ended(source, status, f" while {document['doing']}")
    if "error" in document:
        raise UserError(document["error"]["message"], hint=document["error"]["hint"])
    try:
        return _description(document)
    except (KeyError, TypeError, ValueError) as error:
        raise _no_answer(source, f"its description lacks or misstates {error}") from error


def _ask(python: str, project: Project, arguments: Sequence[str]) -> Description:
    cwd = project.root
    root = str(project.source)
    command = [python, *DESCRIBE, *arguments, "--root", root]
    try:
        # What the project's code prints comes on stderr, which is the user's.
        child = subprocess.run(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False
        )
    except OSError as error:
        raise UserError(
            f"cannot run {python}: {error.strerror}", hint="give --python a Python interpreter"
        ) from error
    if not child.stdout:
        raise _silence(python, child.returncode, cwd)
    return read_description(child.stdout, source=python, status=child.returncode)


def _silence(python: str, status: int, cwd: Path) -> UserError:
    probe = [python, "-c", "import bigflow.description"]
    if subprocess.run(probe, cwd=cwd, capture_output=True, check=False).returncode:
        return _no_answer(python, "there is no bigflow-backend in it")
    return _ended(python, status, "")


# https://docs.python.org/3/library/faulthandler.html: of these the child prints where.
_CRASHES = {-signal.SIGSEGV, -signal.SIGFPE, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGILL}


def _ended(source: str, status: int | None, when: str) -> UserError:
    if status is None:
        how, hint = "was ended", "see whether that code, or what it imports, calls os._exit()"
    elif status in _CRASHES:
        how, hint = f"crashed by signal {-status}", "the line is shown above"
    elif status < 0:
        how = f"was ended by signal {-status}"
        hint = "that code, or what it imports, kills it; or someone else, or a lack of memory, did"
    else:
        how = f"was ended with status {status}"
        hint = "that code, or what it imports, calls os._exit(); mend it"
    return UserError(f"{source} did not describe the project: the process {how}{when}", hint=hint)


def _no_answer(source: str, reason: str) -> UserError:
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
