"""The steps of a build in their order: ``Project -> Wheel -> Image -> DagFiles``.

Each step takes values and returns a frozen value. All outputs of a build are written into one
staging directory, and moved into the project when the last step has succeeded. The ``bigflow``
command and the commands of ``project_setup.py`` call the four functions below.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.ground.progress import step, waiting
from bigflow_backend.ground.transaction import Transaction, transaction
from bigflow_backend.project.requirements_in import check_compiled
from bigflow_backend.wheel.content import project_content
from bigflow_backend.wheel.isolated import (
    Wheel,
    build_wheel,
    check_build_system,
    copied_wheel,
)

# A build of the package alone needs neither the builders of images nor the templates of DAGs.
if TYPE_CHECKING:
    from bigflow_backend.dags.build import DagFiles
    from bigflow_backend.dags.takeover import Deployed
    from bigflow_backend.image.image import BuildRequest, Image, PublishedImage
    from bigflow_backend.image.plan import ImagePlan
    from bigflow_backend.image.reference import ImageReference
    from bigflow_backend.image.session import Session
    from bigflow_backend.project.project import Project
    from bigflow_backend.project.settings import ImageSettings
    from bigflow_backend.project.tests import TestRun
    from bigflow_backend.project.workflows import DeploymentDescription, WorkflowDescription

_SECONDS_TO_DESCRIBE = 600


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """The choices of whoever starts a build."""

    image: ImageSettings | None = None
    """The settings of the image; None takes those of the project."""
    config: str | None = None
    """The environment in deployment_config.py; None takes its default."""
    start_time: datetime | None = None
    """The ``<start>`` of the DAG ids, in UTC; a build of DAGs needs it."""
    deployed: Deployed | None = None
    """The deployed DAGs; None if the new ones replace no others."""
    workflows: tuple[str, ...] = ()
    """The ids of the workflows to build a DAG for; without one, all of them."""
    dry_run: bool = False
    """True if ``build_image`` only returns its plan, and ``build_dags`` writes no files."""
    in_image: bool = False
    """True if the built image finds the workflows, instead of ``python``."""
    released_wheel: Path | None = None
    """The wheel that ``build_image`` uses instead of building one; the project is its release."""
    python: str = sys.executable
    """The interpreter that has the project's dependencies. It runs tests and finds workflows."""
    say: Callable[[str], None] = print
    """Receives the lines of progress."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """The results of a build. Their paths are relative to the project."""

    tests: TestRun | None = None
    wheel: Wheel | None = None
    image: PublishedImage | None = None
    sizes: Mapping[Path, int] = field(default_factory=dict)
    """The sizes of the image's archive and layout, in bytes."""
    plan: ImagePlan | None = None
    """The result of a dry run."""
    dags: DagFiles | None = None


def build_package(project: Project, options: BuildOptions) -> Build:
    """Run the project's tests, then build its wheel into ``dist/``.

    :raises UserError: for everything that the user can fix.
    """
    _check_files(project)
    check_compiled(project)
    with started(project, options) as steps:
        return steps.result(tests=steps.test(), wheel=steps.wheel())


def build_image(project: Project, options: BuildOptions) -> Build:
    """Build the wheel and the image with it, into ``dist/`` and ``.image/``."""
    if options.released_wheel is None:
        _check_files(project)
    _check_requirements(project, options)
    if options.dry_run:
        return _plan(project, options)
    with started(project, options) as steps:
        reference = steps.reference(steps.deployment())
        steps.check_image(reference)
        wheel = steps.wheel()
        request = steps.image_request(wheel, reference)
        image = steps.image(request)
        placed = steps.place(request, image)
        return steps.result(wheel=wheel, image=steps.push(request, image, placed))


def build_dags(project: Project, options: BuildOptions) -> Build:
    """Write a DAG file for each workflow into ``.dags/``. A dry run writes none, and checks all."""
    check_compiled(project)
    with started(project, options, keeps=not options.dry_run) as steps:
        deployment, workflows = steps.description()
        name = str(steps.reference(deployment))
        if workflows is None:
            workflows = steps.workflows_in_image(name)
        return steps.result(dags=steps.dags(workflows, name, steps.pushed_digest(name)))


def build_project(project: Project, options: BuildOptions) -> Build:
    """Run the tests, then build the wheel, the image and the DAGs.

    The checks of the project run first: its requirements, repository, workflows and DAG files.
    The first error ends the build, and the results of the last build stay as they are.
    """
    _check_files(project)
    _check_requirements(project, options)
    with started(project, options) as steps:
        deployment, workflows = steps.description()
        reference = steps.reference(deployment)
        steps.check_image(reference)
        name = str(reference)
        dags = None if workflows is None else steps.dags(workflows, name, digest=None)
        tests = steps.test()
        wheel = steps.wheel()
        request = steps.image_request(wheel, reference)
        image = steps.image(request)
        placed = steps.place(request, image)
        if workflows is None:
            workflows = steps.workflows_in_image(name)
            dags = steps.dags(workflows, name, digest=None)
        # The push comes last: its tag cannot be taken back.
        published = steps.push(request, image, placed)
        if published.pushed:
            dags = steps.dags(workflows, name, published.digest)
        return steps.result(tests=tests, wheel=wheel, image=published, dags=dags)


@dataclass(frozen=True)
class Rebuilt:
    """A wheel and an image that were built a second time, to compare them."""

    wheel: Wheel
    image: Image
    session: Session
    """Its store has the layers of the image over the base."""
    files: Path
    """The directory of the outputs, such as ``dist/``."""


@contextlib.contextmanager
def rebuilt(
    project: Project, options: BuildOptions, name: ImageReference, base_digests: Mapping[str, str]
) -> Iterator[Rebuilt]:
    """Build the wheel and the image once more, from an empty cache; the block's end drops both.

    ``name`` is that of the image, and ``base_digests`` has the digests of the base images by their
    platforms.
    """
    from bigflow_backend.image.session import open_session

    _check_files(project)
    _check_requirements(project, options)
    settings = options.image or project.settings.image
    with transaction(project.root, keeps=False) as running:
        root = running.outputs.root
        with open_session(settings, options.say, cache=root / "cache") as session:
            steps = Steps(project, options, settings, session, running)
            wheel = steps.wheel()
            request = steps.image_request(wheel, name)
            image = steps.image(dataclasses.replace(request, base_digests=base_digests))
            yield Rebuilt(wheel, image, session, root)


@contextlib.contextmanager
def started(project: Project, options: BuildOptions, *, keeps: bool = True) -> Iterator[Steps]:
    """Yield the steps of one build. A build that ``keeps`` moves the results into the project."""
    from bigflow_backend.image.session import open_session

    settings = options.image or project.settings.image
    if options.in_image:  # the engine is asked for the workflows of the image
        settings = dataclasses.replace(settings, load=True)
    with (
        open_session(settings, options.say) as session,
        transaction(project.root, keeps=keeps) as running,
    ):
        yield Steps(project, options, settings, session, running)


class Steps:
    """The steps of one build."""

    def __init__(
        self,
        project: Project,
        options: BuildOptions,
        settings: ImageSettings,
        session: Session,
        running: Transaction,
    ) -> None:
        self._project = project
        self._options = options
        self._settings = settings
        self._session = session
        self._transaction = running
        self._say = options.say

    def result(
        self,
        *,
        tests: TestRun | None = None,
        wheel: Wheel | None = None,
        image: PublishedImage | None = None,
        dags: DagFiles | None = None,
    ) -> Build:
        """Return the results. The files are still in the staging directory."""
        paths = () if image is None else (image.tar, image.layout)
        sizes = {p: _size(self._transaction.outputs.root / p) for p in paths if p is not None}
        return Build(tests=tests, wheel=wheel, image=image, sizes=sizes, dags=dags)

    def deployment(self) -> DeploymentDescription:
        with step("reading deployment_config.py", self._say):
            return _deployment(self._project, self._options)

    def description(
        self,
    ) -> tuple[DeploymentDescription, tuple[WorkflowDescription, ...] | None]:
        """Return the deployment and the workflows; None if only the image knows the workflows."""
        from bigflow_backend.project.workflows import describe_project

        options = self._options
        if options.in_image:
            return self.deployment(), None
        with step("finding the workflows", self._say):
            deployment, workflows = describe_project(
                self._project,
                python=options.python,
                start_time=_start_time(options),
                config=options.config,
                only=options.workflows,
            )
        return deployment, workflows

    def reference(self, deployment: DeploymentDescription) -> ImageReference:
        """Return the name of the image: the repository, and the version as its tag."""
        reference = _reference(self._project, deployment)
        self._say(f"configuration {deployment.config}: the image is {reference}")
        return reference

    def check_image(self, reference: ImageReference) -> None:
        """Check what a build of the image needs, as far as that takes no time.

        :raises UserError: for an error in the settings or the Dockerfile; if an engine must build
            or load the image, and none is running; and if the base image does not fit.
        """
        from bigflow_backend.image.build import check_engine
        from bigflow_backend.image.early import check_base_image
        from bigflow_backend.image.plan import plan_image
        from bigflow_backend.image.session import open_session

        plan = plan_image(self._project, reference, self._settings)
        if self._settings.builder == "engine":
            _ = self._session.engine
        elif plan.builder == "engine":
            check_engine(plan.reason)
        elif self._settings.load:
            try:
                _ = self._session.engine
            except UserError as error:
                option = "--in-image" if self._options.in_image else "--load"
                raise UserError(
                    f"{option} needs an engine: {error.message}",
                    hint=f"{error.hint}; or build without {option}",
                ) from error
        # Its own session: the time limit of the other starts when the image is built.
        with (
            waiting("checking the base image"),
            open_session(self._settings, self._say, attempts=1) as session,
        ):
            check_base_image(self._project, self._settings, plan, session)

    def test(self) -> TestRun:
        from bigflow_backend.project.tests import run_tests

        project = self._project
        title = f"testing {project.tests.relative_to(project.root)}/"
        with step(title, self._say):
            run = run_tests(project, python=self._options.python)
        if not run.tests:
            message = f"{project.tests} has no tests: nothing was tested"
            warnings.warn(message, BigflowWarning, stacklevel=2)
        return run

    def wheel(self) -> Wheel:
        released = self._options.released_wheel
        if released is not None:
            wheel = copied_wheel(released, self._transaction.outputs)
        else:
            title = f"building the wheel of {self._project.name} {self._project.version}"
            with step(title, self._say):
                wheel = build_wheel(self._project, self._transaction.outputs)
        self._transaction.check(wheel.path)
        return wheel

    def image_request(self, wheel: Wheel, reference: ImageReference) -> BuildRequest:
        from bigflow_backend.image.image import BuildRequest

        return BuildRequest(
            project=self._project,
            wheel=wheel,
            reference=reference,
            settings=self._settings,
            transaction=self._transaction,
            session=self._session,
            say=self._say,
        )

    def image(self, request: BuildRequest) -> Image:
        from bigflow_backend.image.build import build_image

        with step("building the image", self._say):
            return build_image(request)

    def place(self, request: BuildRequest, image: Image) -> PublishedImage:
        from bigflow_backend.image.publish.publish import place

        with step("writing the image", self._say):
            return place(request, image)

    def push(self, request: BuildRequest, image: Image, placed: PublishedImage) -> PublishedImage:
        """Push the image if the settings say so, and write what it is into ``.image/``."""
        from bigflow_backend.image.imageinfo import write_imageinfo
        from bigflow_backend.image.materials.documents import image_documents
        from bigflow_backend.image.publish.attach import attach_documents
        from bigflow_backend.image.publish.publish import push

        published, attached = placed, dict[Path, str]()
        if request.settings.push:
            with step(f"pushing {request.reference}", self._say):
                published = push(request, image, placed)
        documents = image_documents(request, image, published)
        if request.settings.push:
            with step("attaching the bill of materials and the provenance", self._say):
                attached = attach_documents(request, published, documents)
        write_imageinfo(request, image, published, documents, attached)
        config = self._project.deployment_config
        if config.is_file():
            shutil.copyfile(config, self._transaction.outputs.images / config.name)
        return published

    def workflows_in_image(self, image: str) -> tuple[WorkflowDescription, ...]:
        """Return the chosen workflows, as the Python of the image finds them."""
        from bigflow_backend.image.engine.container import run_in_image
        from bigflow_backend.project.workflows import (
            DESCRIBE,
            read_description,
            some_workflows,
            workflow_arguments,
        )

        # The container does not inherit the variable, as a child of this process does.
        config = self._options.config or os.environ.get("bf_env") or None  # noqa: SIM112
        project, options = self._project, self._options
        arguments = workflow_arguments(
            project.packages, _start_time(options), config, options.workflows
        )
        command = ["python", *DESCRIBE, *arguments]
        with step(f"finding the workflows in {image}", self._say):
            output = run_in_image(
                self._session.engine,
                image,
                command,
                doing="finding the workflows",
                timeout=_SECONDS_TO_DESCRIBE,
                read_only=True,
            )
        sys.stderr.write(output.stderr.decode("utf-8", "replace"))
        if not output.stdout:
            raise UserError(
                f"{image} did not describe its workflows: exit status {output.status}:"
                f" {output.last_line}",
                hint="name this version of bigflow-backend in resources/requirements.txt",
            )
        description = read_description(output.stdout, source=image)
        return some_workflows(description, project.packages)

    def pushed_digest(self, image: str) -> str | None:
        """Return the digest of an image that an earlier command has built and pushed."""
        from bigflow_backend.image.imageinfo import ImageFiles, pushed_digest

        info = self._project.root / ImageFiles(self._project.version.text).info
        return pushed_digest(info, image)

    def dags(
        self, workflows: tuple[WorkflowDescription, ...], image: str, digest: str | None
    ) -> DagFiles:
        """Write the DAG files. A tag can move, so the digest of a pushed image stands beside it."""
        from bigflow_backend.dags.build import build_dags

        start_time = _start_time(self._options)
        files = f"{len(workflows)} DAG file" + ("s" if len(workflows) != 1 else "")
        title = f"writing {files}; the start time is {start_time:%Y-%m-%d %H:%M} UTC"
        with step(title, self._say):
            return build_dags(
                self._project,
                workflows,
                image=f"{image}@{digest}" if digest else image,
                start_time=start_time,
                outputs=self._transaction.outputs,
                deployed=self._options.deployed,
                only=self._options.workflows,
            )


def _plan(project: Project, options: BuildOptions) -> Build:
    from bigflow_backend.image.plan import plan_image

    deployment = _deployment(project, options)
    reference = _reference(project, deployment)
    options.say(f"configuration {deployment.config}: the image is {reference}")
    plan = plan_image(project, reference, options.image or project.settings.image)
    return Build(plan=plan)


def _deployment(project: Project, options: BuildOptions) -> DeploymentDescription:
    from bigflow_backend.project.workflows import describe_deployment

    return describe_deployment(project, python=options.python, config=options.config)


def _reference(project: Project, deployment: DeploymentDescription) -> ImageReference:
    from bigflow_backend.image.reference import image_reference

    return image_reference(deployment.docker_repository, project.version.image_tag)


def _check_files(project: Project) -> None:
    """Check ``[build-system]``, the packages and ``resources/``, before the tests run."""
    check_build_system(project)
    project_content(project)


def _check_requirements(project: Project, options: BuildOptions) -> None:
    """Check that a place lists the dependencies, and that their lock is valid.

    Nothing is checked if the user's own Dockerfile uses neither.
    """
    from bigflow_backend.image.dependencies.requirements import check_lock
    from bigflow_backend.image.dockerfile import installs_requirements
    from bigflow_backend.project.dependencies import project_dependencies

    dependencies = project_dependencies(project)
    if not installs_requirements(project):
        return
    if dependencies is None:
        raise UserError(
            "no file lists the dependencies of the image",
            hint="create resources/requirements.txt, or write dependencies into [project] of"
            " pyproject.toml; the list may be empty",
        )
    check_lock(project, options.image or project.settings.image)


def _size(path: Path) -> int:
    files = [f for f in path.rglob("*") if f.is_file()] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def _start_time(options: BuildOptions) -> datetime:
    if options.start_time is None:
        raise ValueError("a build of DAGs needs a start time")
    return options.start_time
