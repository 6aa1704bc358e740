"""Containers in a Docker Engine or Podman."""

from __future__ import annotations

import contextlib
import resource
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.limits import POD_LOG
from bigflow_backend.rehearsal.node.container_spec import check_user
from bigflow_backend.rehearsal.node.data import ContainerConfigError
from bigflow_backend.rehearsal.node.runtime import Exit, ImageMissingError, Mount, StartError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.types import CancellableStream, Ulimit

    from bigflow_backend.rehearsal.node.container_spec import ContainerSpec

_PROCESSES = 32768
"""The processes of a container of Podman, which lowers the limit for what it starts."""
_LAST_LINES_SECONDS = 5.0
"""The time from the end of a container to that of the stream of its log."""
POD_LABEL = "io.kubernetes.pod.uid"
"""The label of each container; its value is the uid of the pod."""


class EngineRuntime:
    """Containers without network, or with that of this machine."""

    def __init__(
        self, client: DockerClient, *, host_network: bool = False, ulimits: Sequence[Ulimit] = ()
    ) -> None:
        self._client = client
        self._host_network = host_network
        self._ulimits = list(ulimits)
        self._image = ""

    def create(self, spec: ContainerSpec, mounts: Sequence[Mount]) -> EngineContainer:
        """Return a new container, as :meth:`Runtime.create` does."""
        from docker import types
        from docker.errors import APIError, ImageNotFound

        on_host = spec.host_network or self._host_network
        options: dict[str, Any] = {
            "entrypoint": spec.command or None,
            # For an empty list, Docker uses the command of the image. Kubernetes does not use it
            # if the pod has a command.
            "command": spec.arguments or ([] if spec.command else None),
            "environment": spec.environment,
            "user": spec.user,
            "working_dir": spec.working_directory,
            "network_mode": "host" if on_host else "none",
            "mem_limit": spec.memory_bytes,
            "nano_cpus": spec.nano_cpus,
            "mounts": [
                types.Mount(mount.path, str(mount.source), type="bind", read_only=mount.read_only)
                for mount in mounts
            ],
            "read_only": spec.read_only,
            "cap_drop": spec.dropped_capabilities,
            "security_opt": [] if spec.can_gain_rights else ["no-new-privileges"],
            "ulimits": self._ulimits,
            "labels": {POD_LABEL: spec.pod_uid},
            "hostname": None if on_host else spec.hostname,
        }
        try:
            image = self._client.images.get(spec.image)
            check_user(spec, image.attrs["Config"].get("User") or "")
            self._image = spec.image
            return EngineContainer(self._client.containers.create(spec.image, **options))
        except ImageNotFound as error:
            raise ImageMissingError from error
        except APIError as error:
            raise ContainerConfigError(str(error.explanation)) from error

    def erase(self, directory: Path) -> None:
        """Remove the files of a directory, in a container of the last image."""
        from docker import types
        from docker.errors import DockerException

        script = "import shutil, sys; shutil.rmtree('/bigflow', ignore_errors=True)"
        with contextlib.suppress(DockerException):
            self._client.containers.run(
                self._image,
                entrypoint=["python3", "-c", script],
                user="0:0",
                network_mode="none",
                mounts=[types.Mount("/bigflow", str(directory), type="bind")],
                ulimits=self._ulimits,
                remove=True,
            )


def own_ulimits() -> list[Ulimit]:
    """Return the limits of this process for a container.

    Podman sets its own limits, and fails where they are above those of its process.
    """
    from docker.types import Ulimit

    most = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    hard = {name: resource.getrlimit(number)[1] for name, number in most.items()}
    if not 0 <= hard["nproc"] <= _PROCESSES:  # -1 is unlimited
        hard["nproc"] = _PROCESSES
    return [Ulimit(name=name, soft=limit, hard=limit) for name, limit in hard.items()]


class EngineContainer:
    """A container of an engine."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def start(self) -> None:
        from docker.errors import APIError

        try:
            self._container.start()
        except APIError as error:
            # containerd reports a program that the image does not have in this way.
            raise StartError(str(error.explanation)) from error

    def output(self) -> Iterator[bytes]:
        stream = self._container.logs(stream=True, follow=True)
        ended, size = threading.Event(), 0
        end = threading.Thread(target=self._close, args=(stream, ended), daemon=True)
        end.start()
        try:
            for chunk in stream:
                size += len(chunk)
                yield chunk
        finally:
            ended.set()
        # Docker may end the stream of a container's log before the last lines.
        end.join()
        if size < POD_LOG:
            yield self._container.logs()[size:]

    def _close(self, stream: CancellableStream[bytes], ended: threading.Event) -> None:
        """Return at the end of the container, and close a stream that has not ended by then.

        Podman 4.3 may follow the log of a container that has ended, without an end.
        """
        # The reader of the stream meets the same error of the engine.
        with contextlib.suppress(OSError):
            self._container.wait(timeout=None)
        if not ended.wait(_LAST_LINES_SECONDS):
            stream.close()

    def wait(self) -> Exit:
        code = int(self._container.wait(timeout=None)["StatusCode"])
        self._container.reload()
        return Exit(code, bool(self._container.attrs["State"]["OOMKilled"]))

    def stop(self, grace_seconds: float) -> None:
        from docker.errors import NotFound

        with contextlib.suppress(NotFound):
            self._container.stop(timeout=int(grace_seconds))

    def remove(self) -> None:
        self._container.remove(force=True, v=True)
