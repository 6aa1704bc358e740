"""Run a command in a container of an image, as a pod does, and return its output."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.text import one_line
from bigflow_backend.image.engine.client import engine_errors

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.errors import APIError
    from docker.models.containers import Container


@dataclass(frozen=True)
class Output:
    """The result of a container's process."""

    status: int
    """The exit status."""
    stdout: bytes
    stderr: bytes

    @property
    def last_line(self) -> str:
        """The last line of stderr, or of stdout if stderr is empty."""
        text = (self.stderr or self.stdout).decode("utf-8", "replace")
        return one_line(text.strip().rpartition("\n")[2])


def run_in_image(
    client: DockerClient,
    image: str,
    command: Sequence[str],
    *,
    doing: str,
    timeout: int,
    read_only: bool = False,
) -> Output:
    """Run a command in a container without network, as the image's user; then remove it.

    The command replaces the entry point of the image. ``read_only`` makes all but ``/tmp``
    read-only. ``timeout`` is in seconds. ``doing`` is a gerund for the messages.

    :raises UserError: if the engine does not have the image, or the container does not start.
    """
    from docker.errors import APIError, DockerException

    container = _created(client, image, command, doing=doing, read_only=read_only)
    try:
        with engine_errors(doing):
            try:
                container.start()
            except APIError as error:
                _explain(error, client, image)
                raise
            status = container.wait(timeout=timeout)["StatusCode"]
            stdout = container.logs(stdout=True, stderr=False)
            return Output(status, stdout, container.logs(stdout=False, stderr=True))
    finally:
        # If the engine has stopped, the user needs the first error, not this one.
        with contextlib.suppress(DockerException, OSError):
            container.remove(v=True, force=True)


def _created(
    client: DockerClient, image: str, command: Sequence[str], *, doing: str, read_only: bool
) -> Container:
    from docker.errors import ImageNotFound

    with engine_errors(doing):
        try:
            return client.containers.create(
                image,
                list(command[1:]),
                entrypoint=command[0],
                network_mode="none",
                read_only=read_only,
                tmpfs={"/tmp": ""} if read_only else None,  # noqa: S108 - in the container
            )
        except ImageNotFound as error:
            raise UserError(
                f"the Docker Engine has no image {image}",
                hint="build it there: bigflow build-image (the layered builder needs --load)",
            ) from error


def _explain(error: APIError, client: DockerClient, image: str) -> None:
    """Raise a UserError if the image is the reason why its container does not start."""
    if "executable file not found" in str(error):
        raise UserError(
            "the image has no `python` on its PATH",
            hint="the Dockerfile should start from an image with Python, and keep PATH",
        ) from error
    if "unable to find user" in str(error):
        user = client.images.get(image).attrs["Config"].get("User")
        raise UserError(
            f"the image has no user {user!r}, which its USER names",
            hint="the Dockerfile should create the user, or use a number: USER 10001",
        ) from error
