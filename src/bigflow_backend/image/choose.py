"""Which builder makes the image: the one that is asked for, or the first that can."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.dockerfile import STANDARD
from bigflow_backend.image.engine.build import EngineBuilder
from bigflow_backend.image.engine.client import reachable_engine
from bigflow_backend.image.layered.build import EmbeddedBuilder
from bigflow_backend.image.layered.standard import standard_dockerfile
from bigflow_backend.image.layered.support import CannotServeError, NoBaseError

if TYPE_CHECKING:
    from bigflow_backend.image.image import Builder, BuildRequest, BuiltImage, ImageFiles
    from bigflow_backend.project.project import Project


def builder_for(name: str) -> Builder:
    """The builder that ``name`` means: ``auto``, ``engine`` or ``embedded``.

    :raises UserError: when it is none of them.
    """
    kinds: dict[str, type[Builder]] = {
        "auto": _FirstThatCan,
        "embedded": EmbeddedBuilder,
        "engine": EngineBuilder,
    }
    if name not in kinds:
        raise UserError(
            f"{name!r} is no builder of images", hint="it is 'auto', 'engine' or 'embedded'"
        )
    return kinds[name]()


def chosen_builder(name: str, project: Project) -> tuple[str, str]:
    """``embedded`` or ``engine``, and why: as far as the project's Dockerfile decides.

    :raises UserError: when ``name`` is no builder, or means the embedded one, which does not serve
        this Dockerfile.
    """
    builder_for(name)
    if name == "engine":
        return "engine", "as asked for"
    try:
        standard_dockerfile(project)
    except CannotServeError as reason:
        if name == "embedded":
            raise
        return "engine", reason.message
    if name == "embedded":
        return "embedded", "as asked for"
    if project.dockerfile.exists():
        return "embedded", f"{project.dockerfile.name} is the standard one"
    return "embedded", f"there is no {project.dockerfile.name}, so the standard one is meant"


class _FirstThatCan:
    """The embedded builder where it can serve, else the engine; it says which, and why."""

    @contextlib.contextmanager
    def build(
        self, request: BuildRequest, *, files: ImageFiles, stale: tuple[str, ...]
    ) -> Iterator[BuiltImage]:
        """See :class:`bigflow_backend.image.image.Builder`."""
        name, why = chosen_builder("auto", request.project)
        with contextlib.ExitStack() as stack:

            def built_by(builder: Builder) -> BuiltImage:
                return stack.enter_context(builder.build(request, files=files, stale=stale))

            built = None
            if name == "embedded":
                request.say(f"with the embedded builder: {why}")
                try:
                    built = built_by(EmbeddedBuilder())
                except CannotServeError as refusal:
                    _check_engine(refusal)
                    why = refusal.message
            else:
                _check_engine(
                    UserError(
                        why, hint=f"or take the standard Dockerfile of this release: {STANDARD}"
                    )
                )
            if built is None:
                request.say(f"with the Docker Engine: {why}")
                standard = None if request.project.dockerfile.exists() else STANDARD
                built = built_by(EngineBuilder(standard))
            yield built


def _check_engine(reason: UserError) -> None:
    """Tells why it takes an engine, when there is none."""
    try:
        with reachable_engine(timeout=10):
            return
    except UserError as error:
        if isinstance(reason, NoBaseError):
            # An engine may have the base; that there is none is not what is wrong.
            raise UserError(reason.message, hint=f"{reason.hint}; here {error.message}") from reason
        hint = "; ".join(filter(None, (error.hint, reason.hint)))
        raise UserError(
            f"{reason.message}, so it takes an engine; {error.message}", hint=hint
        ) from reason
