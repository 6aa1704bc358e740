"""Build an image with the builder that the settings ask for, or with the first that can."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.dependencies.requirements import NOT_REPEATABLE
from bigflow_backend.image.dockerfile import STANDARD, installs_requirements
from bigflow_backend.image.engine import build as engine
from bigflow_backend.image.engine.client import reachable_engine
from bigflow_backend.image.layered import build as layered
from bigflow_backend.image.platforms import engine_platform
from bigflow_backend.image.standard import CannotServeError, NoBaseError, standard_dockerfile
from bigflow_backend.project.requirements import OURS

if TYPE_CHECKING:
    from bigflow_backend.image.image import BuildRequest, Image
    from bigflow_backend.project.project import Project

_SECONDS_TO_CONNECT = 10


def build_image(request: BuildRequest) -> Image:
    """Build the image of ``request``. It is checked, and has no name yet.

    :raises UserError: for everything that the user can fix.
    """
    if installs_requirements(request.project):
        requirements = request.requirements
        if not requirements.is_locked and requirements.names - {OURS} - requirements.local_names:
            request.say(NOT_REPEATABLE)
    if request.settings.builder == "engine":
        return engine.build_image(request)
    if request.settings.builder == "layered":
        return layered.build_image(request)
    builder, reason = choose_builder("auto", request.project)
    if builder == "layered":
        request.say(f"with the layered builder: {reason}")
        try:
            return layered.build_image(request)
        except CannotServeError as refusal:
            _check_engine(refusal)
            reason = refusal.message
    else:
        engine_platform(request.settings)
        check_engine(reason)
    request.say(f"with the Docker Engine: {reason}")
    return engine.build_image(request)


def choose_builder(builder: str, project: Project) -> tuple[str, str]:
    """Return ``layered`` or ``engine``, and the reason, as far as the Dockerfile decides.

    :raises UserError: if ``builder`` is ``layered``, which cannot build this Dockerfile.
    """
    if builder == "engine":
        return "engine", "as asked for"
    try:
        standard_dockerfile(project)
    except CannotServeError as refusal:
        if builder == "layered":
            raise
        return "engine", refusal.message
    if builder == "layered":
        return "layered", "as asked for"
    if project.dockerfile.exists():
        return "layered", f"{project.dockerfile.name} is the standard one"
    return "layered", f"there is no {project.dockerfile.name}, so the standard one is used"


def check_engine(reason: str) -> None:
    """Check that an engine is running, which must build the image for that reason.

    :raises UserError: if none is running.
    """
    hint = f"or use the standard Dockerfile of this release: {STANDARD}"
    _check_engine(UserError(reason, hint=hint))


def _check_engine(reason: UserError) -> None:
    """Raise an error that says why an engine is needed, if none is running."""
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(reachable_engine(timeout=_SECONDS_TO_CONNECT))
    except UserError as error:
        if isinstance(reason, NoBaseError):
            raise reason from error  # an engine may have the image, but its lack is not the error
        hint = "; ".join(filter(None, (error.hint, reason.hint)))
        raise UserError(
            f"{reason.message}, so it needs an engine; {error.message}", hint=hint
        ) from reason
