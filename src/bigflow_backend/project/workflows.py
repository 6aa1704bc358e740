"""Reads the workflows and the deployment of a project, as `python -m bigflow describe` prints them.

The project's code runs in a child process, never in this one. The form of the JSON is
``bigflow/describe/schema.json``; its attributes are the table ``bigflow/describe/fields.py``.
"""

from __future__ import annotations

import dataclasses
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, make_dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from bigflow.describe.deployment import MISSING
from bigflow.describe.fields import DescribedJob, DescribedWorkflow, attributes_of
from bigflow.describe.values import asset_uri, checked
from bigflow.errors import BigflowError
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import check_modules, has_file
from bigflow_backend.ground.foreign.documents import parse_json
from bigflow_backend.ground.limits import CHILD_MESSAGES, DESCRIPTION, PROJECT_FILE
from bigflow_backend.ground.processes import TooMuchOutputError, run_bounded

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project

SCHEMA = 1

DESCRIBE = ("-m", "bigflow", "describe", "--progress")
"""The arguments of Python, before ``workflow_arguments``, that describe a project."""

_SECONDS_UNCHANGED = 2

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The schedule of a workflow."""

    kind: Literal["cron", "timedelta", "none", "once", "continuous", "assets"]
    value: str | float | tuple[str, ...] | None
    """The expression or preset of ``cron``, the seconds of ``timedelta``, the URIs of ``assets``,
    else None."""


if TYPE_CHECKING:

    @dataclass(kw_only=True)
    class JobDescription(DescribedJob):
        """A ``bigflow.Job``."""

    @dataclass(kw_only=True)
    class WorkflowDescription(DescribedWorkflow):
        """A ``bigflow.Workflow``. The jobs are in a valid order of execution."""

        schedule: Schedule
        jobs: tuple[JobDescription, ...]
else:

    def _dataclass(name: str, table: type, **added: object) -> type:
        fields = [(line.name, line.annotation) for line in attributes_of(table)]
        return make_dataclass(
            name, [*fields, *added.items()], namespace={"__module__": __name__},
            frozen=True, kw_only=True,
        )  # fmt: skip

    JobDescription = _dataclass("JobDescription", DescribedJob)
    WorkflowDescription = _dataclass(
        "WorkflowDescription", DescribedWorkflow, schedule=Schedule, jobs="tuple"
    )


@dataclass(frozen=True, kw_only=True)
class DeploymentDescription:
    """The content of ``deployment_config.py``."""

    config: str
    """The name of the configuration."""
    properties: Mapping[str, Any]

    @property
    def docker_repository(self) -> str:
        """
        :raises UserError: when the configuration does not have the property.
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
    """The output of one `bigflow describe`."""

    bigflow: str
    """The version of the runtime that wrote it."""
    packages: tuple[str, ...]
    workflows: tuple[WorkflowDescription, ...]
    """Sorted by id."""
    deployment: DeploymentDescription | None


def describe_project(
    project: Project,
    *,
    python: str = sys.executable,
    start_time: datetime,
    config: str | None = None,
    only: Sequence[str] = (),
) -> tuple[DeploymentDescription, tuple[WorkflowDescription, ...]]:
    """Return the deployment and the workflows, from one child process."""
    arguments = [
        *_deployment_arguments(project, config),
        *workflow_arguments(project.packages, start_time, only=only),
    ]
    description = _describe(python, project, arguments)
    workflows = some_workflows(description, project.packages)
    return _deployment(description, project, python), workflows


def describe_workflows(
    project: Project,
    *,
    python: str = sys.executable,
    start_time: datetime,
    config: str | None = None,
    only: Sequence[str] = (),
) -> tuple[WorkflowDescription, ...]:
    """Return the workflows of the source tree, sorted by id.

    :param python: the interpreter that imports the project.
    :param start_time: the start time of the build, in UTC or with a zone.
    :param config: the configuration that the modules of the project resolve; None leaves it to
        ``bf_env`` and the defaults.
    :param only: the ids of the workflows to return; without one, all of them.

    :raises UserError: for a module that cannot be imported, an invalid workflow, or no workflow.
    """
    arguments = workflow_arguments(project.packages, start_time, config, only)
    description = _describe(python, project, arguments)
    return some_workflows(description, project.packages)


def describe_deployment(
    project: Project, *, python: str = sys.executable, config: str | None = None
) -> DeploymentDescription:
    """Return the configuration ``config``, or the default one, of deployment_config.py.

    :raises UserError: when the file is missing, raises, or does not have the configuration.
    """
    description = _describe(python, project, _deployment_arguments(project, config))
    return _deployment(description, project, python)


def _deployment_arguments(project: Project, config: str | None) -> list[str]:
    file = project.deployment_config
    exists = has_file(file, PROJECT_FILE)
    if not exists and "docker_repository" in project.statements:
        return [] if config is None else ["--config", config]
    if not exists:
        raise UserError(
            f"{project.root} has no {file.name}",
            hint=MISSING,
        )
    arguments = ["--deployment-config", str(file)]
    return arguments if config is None else [*arguments, "--config", config]


def _deployment(description: Description, project: Project, python: str) -> DeploymentDescription:
    """Return the deployment, with the repository that ``setup()`` states.

    :raises UserError: if deployment_config.py states another repository.
    """
    stated, file = project.statements.get("docker_repository"), project.deployment_config
    deployment = description.deployment
    if deployment is None:
        if file.is_file() or stated is None:
            raise no_description(python, "the output has no deployment")
        deployment = DeploymentDescription(config="default", properties={})
    if stated is None:
        return deployment
    found = deployment.properties.get("docker_repository", stated.value)
    if found != stated.value:
        raise UserError(
            f"docker_repository is {stated.value!r} by {stated.place}, and {found!r} by the "
            f"configuration {deployment.config!r} in {file.name}",
            hint="keep one of the two",
        )
    properties = {**deployment.properties, "docker_repository": stated.value}
    return dataclasses.replace(deployment, properties=properties)


def workflow_arguments(
    packages: Sequence[str],
    start_time: datetime,
    config: str | None = None,
    only: Sequence[str] = (),
) -> list[str]:
    """Return the arguments of `python -m bigflow describe` that request the workflows."""
    if start_time.tzinfo is not None:
        start_time = start_time.astimezone(timezone.utc)
    moment = start_time.replace(tzinfo=None).isoformat(" ", "seconds")
    arguments = [argument for p in packages for argument in ("--project-package", p)]
    arguments += ["--start-time", moment]
    arguments += [argument for one in only for argument in ("--workflow", one)]
    return arguments if config is None else [*arguments, "--config", config]


def package_of(workflow: WorkflowDescription) -> str:
    """Return the top-level package of the workflow."""
    return workflow.module.partition(".")[0]


def _describe(python: str, project: Project, arguments: Sequence[str]) -> Description:
    newest = max(check_modules(project.source / package) for package in project.packages)
    beside = [path for place in {project.root, project.source} for path in place.glob("*.py")]
    newest = max([newest, *(path.stat().st_mtime for path in beside if path.is_file())])
    # Python keeps bytecode beside a module, with the second of its last change and its size. It
    # would go on using it after a second change in that second.
    options = [] if newest < time.time() - _SECONDS_UNCHANGED else ["-B"]
    command = [python, *options, *DESCRIBE, *arguments, "--root", str(project.source)]
    try:
        # The project's own output goes to stderr, which is the user's.
        child = run_bounded(command, cwd=project.root, limit=DESCRIPTION)
    except TooMuchOutputError as error:
        raise no_description(python, f"it printed more than {DESCRIPTION:,} bytes") from error
    except OSError as error:
        raise UserError(
            f"cannot run {python}: {error.strerror}",
            hint="give the path of a Python interpreter: --python /usr/bin/python3",
        ) from error
    if not child.stdout:
        raise _no_output(python, child.status, project.root)
    return read_description(child.stdout, source=python, status=child.status)


def _no_output(python: str, status: int, cwd: Path) -> UserError:
    probe = [python, "-c", "import bigflow.describe.workflows"]
    if run_bounded(probe, cwd=cwd, limit=CHILD_MESSAGES, capture_stderr=True).status:
        return no_description(python, "bigflow-backend is not installed there")
    return _process_ended(python, status, "")


def read_description(output: bytes, *, source: str, status: int | None = None) -> Description:
    """Read the output of `python -m bigflow describe --progress`. Its last line is the description.

    :param source: the interpreter or image that wrote it, for messages.
    :param status: the exit status of the process, negative for a signal; None when unknown.

    :raises UserError: for an error in the project, and for output of another form.
    """
    try:
        document = parse_json(output.rpartition(b"\n")[2] or output.splitlines()[-1])
        schema = document["schema"]
    except (ValueError, TypeError, LookupError) as error:
        raise no_description(source, "it printed no description") from error
    if schema != SCHEMA:
        raise no_description(source, f"its schema is {schema!r}, this version reads {SCHEMA}")
    if "doing" in document:
        raise _process_ended(source, status, f" while {document['doing']}")
    try:
        if "error" in document:
            raise UserError(document["error"]["message"], hint=document["error"]["hint"])
        return _description(document)
    except KeyError as error:
        raise no_description(source, f"the description lacks {error}") from error
    except BigflowError as error:
        raise no_description(source, error.message) from error
    except (TypeError, AttributeError) as error:
        raise no_description(source, f"the description has another form: {error}") from error


def some_workflows(
    description: Description, packages: Sequence[str]
) -> tuple[WorkflowDescription, ...]:
    """Return the workflows of a description.

    :raises UserError: when the description has none.
    """
    if not description.workflows:
        names = ", ".join(map(repr, packages))
        raise UserError(
            f"the package {names} has no workflow"
            if len(packages) == 1
            else f"the packages {names} have no workflow",
            hint="assign one to a variable of a module: daily = bigflow.Workflow('daily', [...])",
        )
    return description.workflows


# https://docs.python.org/3/library/faulthandler.html prints the line for these.
_CRASHES = {-signal.SIGSEGV, -signal.SIGFPE, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGILL}


def _process_ended(source: str, status: int | None, when: str) -> UserError:
    """Return the error for a process that ended without a description."""
    if status is None:
        how, hint = "ended", "find the call of os._exit() in that module, or in a module it imports"
    elif status in _CRASHES:
        how, hint = f"crashed with signal {-status}", "see the line above"
    elif status < 0:
        how = f"was killed by signal {-status}"
        hint = "look for a lack of memory, or for code that kills the process"
    else:
        how = f"ended with status {status}"
        hint = "find the call of os._exit() in that module, or in a module it imports"
    return UserError(f"{source} did not describe the project: the process {how}{when}", hint=hint)


def no_description(source: str, reason: str) -> UserError:
    """Return the error for an interpreter or an image that cannot describe a project."""
    return UserError(
        f"{source} did not describe the project: {reason}",
        hint="install this version of bigflow-backend and the project's requirements there",
    )


def _description(document: Mapping[str, Any]) -> Description:
    description = Description(
        bigflow=document["bigflow"],
        packages=tuple(document["packages"]),
        workflows=tuple(_workflow(workflow) for workflow in document["workflows"]),
        deployment=_deployment_from(document["deployment"]),
    )
    if len({workflow.id for workflow in description.workflows}) < len(description.workflows):
        raise BigflowError("two workflows have the same id")
    return description


def _deployment_from(document: Mapping[str, Any] | None) -> DeploymentDescription | None:
    if document is None:
        return None
    config, properties = document["config"], document["properties"]
    if not isinstance(config, str) or not isinstance(properties, dict):
        raise BigflowError(f"deployment cannot be {document!r}")
    return DeploymentDescription(config=config, properties=properties)


def _workflow(document: Mapping[str, Any]) -> WorkflowDescription:
    of = f"workflow {document['id']!r}"
    jobs = tuple(
        JobDescription(**_attributes(DescribedJob, job, f"job {job['id']!r} of {of}"))
        for job in document["jobs"]
    )
    _check_order(jobs, of)
    return WorkflowDescription(
        **_attributes(DescribedWorkflow, document, of),
        schedule=read_schedule(document["schedule"], of),
        jobs=jobs,
    )


def _check_order(jobs: tuple[JobDescription, ...], of: str) -> None:
    """Check that each job comes after the jobs that it waits for, so there is no cycle."""
    earlier: set[str] = set()
    for job in jobs:
        if job.id in earlier:
            raise BigflowError(f"{of}: two jobs have the id {job.id!r}")
        for upstream in job.depends_on:
            if upstream not in earlier:
                raise BigflowError(f"{of}: job {job.id!r} does not come after {upstream!r}")
        earlier.add(job.id)


_VALUES: Mapping[str, Any] = {
    "cron": str,
    "timedelta": (int, float),
    "assets": list,
    "none": type(None),
    "once": type(None),
    "continuous": type(None),
}


def read_schedule(document: Mapping[str, Any], of: str) -> Schedule:
    """Return a schedule of a description.

    :raises BigflowError: for another kind or value.
    """
    kind, value = document["kind"], document["value"]
    if not isinstance(value, _VALUES.get(kind, ())):
        raise BigflowError(f"{of}: schedule cannot be {document!r}")
    if isinstance(value, list):
        value = tuple(asset_uri(f"{of}: schedule", uri) for uri in value)
    return Schedule(kind=kind, value=value)


def _attributes(table: type, document: Mapping[str, Any], of: str) -> dict[str, Any]:
    """Return the checked attributes, with tuples for lists; other keys are ignored.

    :raises BigflowError: for a value that does not fit the table.
    """
    attributes = {}
    for line in attributes_of(table):
        value = checked(line, f"{of}: {line.name}", document[line.name])
        attributes[line.name] = tuple(value) if isinstance(value, list) else value
    return attributes
