"""When the layered builder cannot make an image that the Docker Engine could."""

from __future__ import annotations

from bigflow_backend.ground.errors import UserError


class CannotServeError(UserError):
    """The reason, in one line: ``builder = "auto"`` takes the engine then."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint or 'build it on a Docker Engine: builder = "engine"')


class NoBaseError(CannotServeError):
    """The base image cannot be had; an engine has it, if it was built there and pushed nowhere."""
