"""The steps in their order: tests, package, image, DAGs.

Both doors, the ``bigflow`` command and the commands of ``project_setup.py``, call these functions.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.outputs import staged_outputs
from bigflow_backend.wheel.isolated import build_wheel, check_build_system

if TYPE_CHECKING:
    from bigflow_backend.dags.build import DagFiles
    from bigflow_backend.image.build import Image
    from bigflow_backend.image.options import ImageOptions
    from bigflow_backend.image.plan import ImagePlan
    from bigflow_backend.project.project import Project
    from bigflow_backend.project.tests import TestRun
    from bigflow_backend.project.workflows import DeploymentDescription, WorkflowDescription
    from bigflow_backend.wheel.wheel import Wheel


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """What the caller of a build decides."""

    image: ImageOptions | None = None
    """How to build the image; not needed for package and DAGs."""
    config: str | None = None
    """The environment in deployment_config.py; None takes its default."""
    start_time: datetime | None = None
    """The ``<start>`` of the DAGs' ids, in UTC; needed for the DAGs."""
    workflow: str | None = None
    """The id of the one workflow to build a DAG of; None takes all."""
    dry_run: bool = False
    """Whether building the image only tells what it would do."""
    in_image: bool = False
    """Whether workflows are found in the built image, rather than by ``python``."""
    python: str = sys.executable
    """The interpreter with the project's dependencies: it runs the tests and finds workflows."""
    say: Callable[[str], None] = print
    """Takes the lines of progress."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """What a build has made."""

    made_in: Path
    """Stands for the project's root in the paths of what was made."""
    tests: TestRun | None = None
    wheel: Wheel | None = None
    image: Image | None = None
    plan: ImagePlan | None = None
    """Of a dry run: what the image would be."""
    dags: DagFiles | None = None


def build_package(project: Project, options: BuildOptions) -> Build:
    """Runs the project's tests, then builds its wheel into ``dist/``.

    :raises UserError: for everything that the user can mend.
    """
    check_build_system(project)
    with staged_outputs(project) as staged:
        tests = _test(staged, options)
        return Build(made_in=staged.output, tests=tests, wheel=_wheel(staged, options))


def build_image(project: Project, options: BuildOptions) -> Build:
    """Builds the wheel and the image it is installed in, into ``dist/`` and ``.image/``."""
    check_build_system(project)
    if options.dry_run:
        return Build(made_in=project.output, plan=_plan(project, options))
    with staged_outputs(project) as staged:
        repository = _docker_repository(staged, options)
        wheel = _wheel(staged, options)
        return Build(
            made_in=staged.output, wheel=wheel, image=_image(staged, wheel, repository, options)
        )


def build_dags(project: Project, options: BuildOptions) -> Build:
    """Writes a DAG file for each workflow into ``.dags/``."""
    with staged_outputs(project) as staged:
        repository, workflows = _repository_and_workflows(staged, options)
        reference = f"{repository}:{staged.version.image_tag}"
        if workflows is None:
            workflows = _workflows_in_image(staged, reference, options)
        digest = _pushed_digest(project, reference)
        dags = _dags(staged, workflows, _pinned(reference, digest), options)
        return Build(made_in=staged.output, dags=dags)


def build_project(project: Project, options: BuildOptions) -> Build:
    """Tests, package, image and DAGs; the first failure ends it, and nothing is changed then.

    What takes no time to find out is asked first: the repository, the workflows, and whether their
    DAG files can be written. An image that is tagged or pushed is not taken back when they cannot.
    """
    check_build_system(project)
    with staged_outputs(project) as staged:
        repository, workflows = _repository_and_workflows(staged, options)
        reference = f"{repository}:{staged.version.image_tag}"
        dags = None if workflows is None else _dags(staged, workflows, reference, options)
        tests = _test(staged, options)
        wheel = _wheel(staged, options)
        image = _image(staged, wheel, repository, options)
        if workflows is None:
            workflows = _workflows_in_image(staged, reference, options)
        if dags is None or image.pushed:
            dags = _dags(staged, workflows, _pinned(reference, image.digest), options)
        return Build(made_in=staged.output, tests=tests, wheel=wheel, image=image, dags=dags)


def _test(project: Project, options: BuildOptions) -> TestRun:
    from bigflow_backend.project.tests import run_tests

    options.say(f"testing {project.tests.relative_to(project.root)}/")
    run = run_tests(project, python=options.python)
    if not run.tests:
        warnings.warn(
            f"there are no tests in {project.tests}: nothing was tested",
            BigflowWarning,
            stacklevel=2,
        )
    return run


def _wheel(project: Project, options: BuildOptions) -> Wheel:
    options.say(f"building the wheel of {project.name} {project.version}")
    return build_wheel(project)


def _docker_repository(project: Project, options: BuildOptions) -> str:
    """The repository of the image, checked before anything is built for it."""
    from bigflow_backend.project.describe import describe_deployment

    deployment = describe_deployment(project, python=options.python, config=options.config)
    return _repository(project, deployment, options)


def _repository(project: Project, deployment: DeploymentDescription, options: BuildOptions) -> str:
    from bigflow_backend.image.reference import image_reference

    reference = image_reference(deployment.docker_repository, project.version.image_tag)
    options.say(f"configuration {deployment.config}: the image is {reference}")
    return reference.repository


def _repository_and_workflows(
    project: Project, options: BuildOptions
) -> tuple[str, tuple[WorkflowDescription, ...] | None]:
    """The repository of the image, and the workflows to make DAGs of; None where the image is to be
    asked for them."""
    from bigflow_backend.project.describe import describe_project
    from bigflow_backend.project.requirements import refuse_bigflow

    refuse_bigflow(project)
    if options.in_image:
        return _docker_repository(project, options), None
    deployment, workflows = describe_project(
        project, python=options.python, start_time=_start_time(options), config=options.config
    )
    return _repository(project, deployment, options), _chosen(workflows, project, options)


def _workflows_in_image(
    project: Project, reference: str, options: BuildOptions
) -> tuple[WorkflowDescription, ...]:
    """The workflows to make DAGs of, as the image's own Python finds them."""
    from bigflow_backend.image.engine.container import run_in_image
    from bigflow_backend.project.describe import DESCRIBE, workflow_arguments
    from bigflow_backend.project.workflows import read_description, some_workflows

    options.say(f"finding the workflows in {reference}")
    # The image does not inherit the variable, as a child of this process does.
    config = options.config or os.environ.get("bf_env") or None  # noqa: SIM112  (BigFlow's name)
    arguments = workflow_arguments(project.package, _start_time(options), config)
    command = ["python", *DESCRIBE, *arguments]
    output = run_in_image(reference, command, timeout=_SECONDS_TO_DESCRIBE)
    sys.stderr.write(output.stderr.decode("utf-8", "replace"))
    if not output.stdout:
        raise UserError(
            f"{reference} did not describe its workflows: exit status {output.status}:"
            f" {output.last_words}",
            hint="resources/requirements.txt should name this version of bigflow-backend",
        )
    description = read_description(output.stdout, source=reference)
    return _chosen(some_workflows(description, project.package), project, options)


_SECONDS_TO_DESCRIBE = 600


def _pushed_digest(project: Project, reference: str) -> str | None:
    """The digest of the image, when an earlier command has built and pushed it."""
    from bigflow_backend.image.imageinfo import pushed_digest

    return pushed_digest(project.images / f"imageinfo-{project.version}.json", reference)


def _chosen(
    workflows: tuple[WorkflowDescription, ...], project: Project, options: BuildOptions
) -> tuple[WorkflowDescription, ...]:
    if options.workflow is None:
        return workflows
    chosen = tuple(w for w in workflows if w.id == options.workflow)
    if not chosen:
        raise UserError(
            f"there is no workflow {options.workflow!r} in {project.package}",
            hint="workflows there: " + ", ".join(w.id for w in workflows),
        )
    return chosen


def _plan(project: Project, options: BuildOptions) -> ImagePlan:
    from bigflow_backend.image.plan import plan_image

    _check_requirements(project)
    return plan_image(
        project,
        repository=_docker_repository(project, options),
        version=project.version,
        options=_image_options(project, options),
    )


def _image(project: Project, wheel: Wheel, repository: str, options: BuildOptions) -> Image:
    from bigflow_backend.image.build import build_image

    _check_requirements(project)
    options.say("building the image")
    return build_image(
        project,
        wheel.path,
        repository=repository,
        version=project.version,
        options=_image_options(project, options),
        say=options.say,
    )


def _image_options(project: Project, options: BuildOptions) -> ImageOptions:
    from bigflow_backend.image.options import ImageOptions

    image = options.image or ImageOptions.from_settings(project.settings.image)
    # The engine is where the image is asked for its workflows.
    return dataclasses.replace(image, load=True) if options.in_image else image


def _check_requirements(project: Project) -> None:
    """A Dockerfile of the user's own may do without the file; one that copies it may not."""
    from bigflow_backend.project.requirements import refuse_bigflow

    refuse_bigflow(project)
    own = project.dockerfile
    wanted = not own.is_file() or b"requirements" in own.read_bytes()
    if wanted and not project.requirements.exists():
        raise UserError(
            "there is no resources/requirements.txt, which the image installs",
            hint="create it, with a line that says bigflow-backend: the runtime of each pod",
        )


def _dags(
    project: Project,
    workflows: tuple[WorkflowDescription, ...],
    image: str,
    options: BuildOptions,
) -> DagFiles:
    from bigflow_backend.dags.build import build_dags

    start_time = _start_time(options)
    files = f"{len(workflows)} DAG file" + ("s" if len(workflows) != 1 else "")
    options.say(f"writing {files}; the start time is {start_time:%Y-%m-%d %H:%M} UTC")
    return build_dags(
        project,
        workflows,
        image=image,
        version=project.version,
        start_time=start_time,
    )


def _pinned(reference: str, digest: str | None) -> str:
    """A tag can be moved; what is pushed can be named for good. The tag is for people then."""
    return f"{reference}@{digest}" if digest else reference


def _start_time(options: BuildOptions) -> datetime:
    if options.start_time is None:
        msg = "building DAGs needs a start time"
        raise ValueError(msg)
    return options.start_time
