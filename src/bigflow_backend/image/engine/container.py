"""A container that starts as a pod's does, says something, and is removed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.text import one_line
from bigflow_backend.image.engine.client import engine_errors, reachable_engine

if TYPE_CHECKING:
    from docker import APIClient


@dataclass(frozen=True)
class Output:
    """What a container's process left behind."""

    status: int
    """Its exit status."""
    stdout: bytes
    stderr: bytes

    @property
    def last_words(self) -> str:
        """The last line that it printed."""
        said = (self.stderr or self.stdout).decode("utf-8", "replace")
        return one_line(said.strip().rpartition("\n")[2])


def run_in_image(reference: str, command: Sequence[str], *, timeout: int) -> Output:
    """Runs a command in a container of an image that the Docker Engine has.

    It has no network, and can write to ``/tmp`` alone. ``timeout`` is in seconds.

    :raises UserError: when there is no engine or no such image, or it takes too long.
    """
    with reachable_engine(timeout=timeout) as client:
        return output_of(
            client.api,
            reference,
            command,
            doing="asking the image",
            read_only=True,
            timeout=timeout,
        )


def output_of(
    api: APIClient,
    image: str,
    command: Sequence[str],
    *,
    doing: str,
    timeout: int,
    read_only: bool = False,
) -> Output:
    """What ``command`` prints in a container without a network, as the image's user.

    It takes the place of the image's entry point. ``doing`` is a gerund for the messages.
    """
    with (
        _container(api, image, command, doing=doing, read_only=read_only) as container,
        engine_errors(doing),
    ):
        status = api.wait(container, timeout=timeout)["StatusCode"]
        return Output(
            status=status,
            stdout=api.logs(container, stdout=True, stderr=False),
            stderr=api.logs(container, stdout=False, stderr=True),
        )


@contextlib.contextmanager
def _container(
    api: APIClient, image: str, command: Sequence[str], *, doing: str, read_only: bool
) -> Iterator[str]:
    from docker.errors import APIError, DockerException, ImageNotFound

    with engine_errors(doing):
        try:
            container = api.create_container(
                image,
                entrypoint=command[0],
                command=list(command[1:]),
                host_config=api.create_host_config(
                    network_mode="none",
                    read_only=read_only,
                    tmpfs={"/tmp": ""} if read_only else None,  # noqa: S108 - in the container
                ),
            )["Id"]
        except ImageNotFound as error:
            raise UserError(
                f"the Docker Engine has no image {image}",
                hint="build it there: bigflow build-image (the layered builder needs --load)",
            ) from error
    try:
        try:
            with engine_errors(doing):
                api.start(container)
        except UserError as error:
            if isinstance(error.__cause__, APIError) and "executable file not found" in str(error):
                raise UserError(
                    "the image has no `python` on its PATH",
                    hint="the Dockerfile should start from an image with Python, and keep PATH",
                ) from error
            if isinstance(error.__cause__, APIError) and "unable to find user" in str(error):
                inspected = api.inspect_image(image)  # type: ignore[no-untyped-call]
                user = inspected["Config"].get("User")
                raise UserError(
                    f"the image has no user {user!r}, as which its containers would run",
                    hint="the Dockerfile should create it, or name it by its number: USER 10001",
                ) from error
            raise
        yield container
    finally:
        # An engine that is gone cannot remove it; what made the block end is told instead.
        with contextlib.suppress(DockerException, OSError):
            api.remove_container(container, v=True, force=True)
