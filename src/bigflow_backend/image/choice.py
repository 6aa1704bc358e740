"""Which builder makes the image: the one that is asked for, or the first that can."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from bigflow_backend.errors import UserError
from bigflow_backend.image.client import engine_faults, one_line, reachable_engine
from bigflow_backend.image.engine import EngineBuilder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bigflow_backend.image.builder import Builder, BuildRequest, BuiltImage, ImageFiles

__all__ = ["builder_for"]


def builder_for(name: str) -> Builder:
    """The builder that ``name`` means: ``auto``, ``engine`` or ``embedded``.

    :raises UserError: when it is none of them.
    """
    if name == "engine":
        return _PushingEngine()
    if name == "auto":
        return _FirstThatCan()
    if name == "embedded":
        from bigflow_backend.image.embedded import EmbeddedBuilder

        return EmbeddedBuilder()
    raise UserError(
        f"{name!r} is no builder of images", hint="it is 'auto', 'engine' or 'embedded'"
    )


class _FirstThatCan:
    """The embedded builder where it can serve, else the engine; it says which, and why."""

    @contextlib.contextmanager
    def build(
        self, request: BuildRequest, *, files: ImageFiles, stale: tuple[str, ...]
    ) -> Iterator[BuiltImage]:
        """See :class:`bigflow_backend.image.builder.Builder`."""
        from bigflow_backend.image.embedded import CannotServeError, EmbeddedBuilder, NoBaseError

        with contextlib.ExitStack() as stack:
            try:
                built = stack.enter_context(
                    EmbeddedBuilder().build(request, files=files, stale=stale)
                )
                request.say("the embedded builder made the image: its Dockerfile is standard")
            except CannotServeError as reason:
                if isinstance(reason, NoBaseError):
                    _check_engine(reason)
                request.say(f"the Docker Engine builds the image: {reason.message}")
                built = stack.enter_context(
                    _PushingEngine().build(request, files=files, stale=stale)
                )
            yield built


def _check_engine(reason: UserError) -> None:
    """Tells that the base is missing, when there is no engine that might have it."""
    try:
        with reachable_engine(timeout=10):
            return
    except UserError as error:
        missing = error.message
    raise UserError(reason.message, hint=f"{reason.hint}; here {missing}") from reason


class _PushingEngine:
    """The engine, which pushes what it has built where that is asked for."""

    @contextlib.contextmanager
    def build(
        self, request: BuildRequest, *, files: ImageFiles, stale: tuple[str, ...]
    ) -> Iterator[BuiltImage]:
        """See :class:`bigflow_backend.image.builder.Builder`."""
        if files.layout is not None:
            raise UserError(
                "the Docker Engine writes no OCI layout",
                hint='leave oci-layout out, or take the other builder: builder = "embedded"',
            )
        with EngineBuilder().build(request, files=files, stale=stale) as built:
            yield built
            if request.options.push:
                _push(request)


def _push(request: BuildRequest) -> None:
    # The engine tells in the stream that it has failed, and the SDK raises nothing then:
    # https://github.com/docker/docker-py/issues/3277
    reference = request.reference
    with (
        reachable_engine(timeout=request.options.idle_timeout) as client,
        engine_faults("pushing the image"),
    ):
        for event in client.api.push(reference.repository, reference.tag, stream=True, decode=True):
            if "error" in event or "errorDetail" in event:
                detail = event.get("errorDetail") or {}
                message = one_line(str(detail.get("message") or event.get("error")))
                raise UserError(
                    f"the Docker Engine could not push {reference}: {message}",
                    hint="docker login to that registry, or see its log",
                )
            if "status" in event and not event.get("progressDetail"):
                request.say(" ".join(filter(None, (event.get("id"), event["status"]))))
