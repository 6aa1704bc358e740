"""The interface of what runs containers: an engine, or a sandbox."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bigflow_backend.rehearsal.node.container_spec import ContainerSpec


class ImageMissingError(Exception):
    """The runtime does not have the image of the container."""


class StartError(Exception):
    """The container exists, but its program cannot be started."""


@dataclass(frozen=True)
class Mount:
    """A file or a directory of this machine that a container sees."""

    path: str
    """The path in the container."""
    source: Path
    read_only: bool = False


@dataclass(frozen=True)
class Exit:
    """The end of a container."""

    code: int
    """The exit status of its first process; 128 and the number of the signal that killed it."""
    out_of_memory: bool
    """A process of it was killed because of its memory limit."""
    start_error: str = ""
    """The reason why its program was never started, if that is known only at the end."""


class Container(Protocol):
    """A container. Only :meth:`stop` may be called from another thread."""

    def start(self) -> None:
        """Start its program.

        :raises StartError: if it cannot be started.
        """

    def output(self) -> Iterator[bytes]:
        """Yield what the program writes to stdout and stderr, until it ends."""

    def wait(self) -> Exit:
        """Return the end of the program, after its output has ended."""

    def stop(self, grace_seconds: float) -> None:
        """Send SIGTERM, and SIGKILL after ``grace_seconds``."""

    def remove(self) -> None:
        """Kill the program if it still runs, and remove the container."""


class Runtime(Protocol):
    """Makes containers. Its methods are thread-safe."""

    def create(self, spec: ContainerSpec, mounts: Sequence[Mount]) -> Container:
        """Return a new container.

        :raises ImageMissingError: if it does not have the image.
        :raises ContainerConfigError: if it cannot make such a container.
        """

    def erase(self, directory: Path) -> None:
        """Remove the files in a directory that only users of a container can remove."""
