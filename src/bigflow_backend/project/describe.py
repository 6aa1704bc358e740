"""The backend's side of the seam: a project's own code is asked, in a child process.

``python -m bigflow describe`` imports the project and prints JSON; nothing of the project is
imported into this process.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.project.workflows import ended, no_answer, read_description, some_workflows

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project
    from bigflow_backend.project.workflows import (
        DeploymentDescription,
        Description,
        WorkflowDescription,
    )

DESCRIBE = ("-B", "-m", "bigflow", "describe", "--progress")
"""What a Python is told, before the arguments, so that it describes a project."""


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
        raise no_answer(python, "it left out the deployment")
    return answer.deployment


def workflow_arguments(package: str, start_time: datetime, config: str | None = None) -> list[str]:
    """The arguments after ``python -m bigflow describe`` that ask for the workflows."""
    if start_time.tzinfo is not None:
        start_time = start_time.astimezone(timezone.utc)
    moment = start_time.replace(tzinfo=None).isoformat(" ", "seconds")
    arguments = ["--project-package", package, "--start-time", moment]
    return arguments if config is None else [*arguments, "--config", config]


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
    probe = [python, "-c", "import bigflow.describe.workflows"]
    if subprocess.run(probe, cwd=cwd, capture_output=True, check=False).returncode:
        return no_answer(python, "there is no bigflow-backend in it")
    return ended(python, status, "")
