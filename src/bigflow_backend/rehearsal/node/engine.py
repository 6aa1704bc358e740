"""Containers in a Docker Engine or Podman."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.limits import POD_LOG
from bigflow_backend.rehearsal.node.runtime import Exit, ImageMissingError, StartError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

    from bigflow_backend.rehearsal.node.container_spec import ContainerSpec

POD_LABEL = "io.kubernetes.pod.uid"
"""The label of each container; its value is the uid of the pod."""


class EngineRuntime:
    """Containers without network, or with that of this machine."""

    def __init__(self, client: DockerClient, *, host_network: bool = False) -> None:
        self._client = client
        self._host_network = host_network

    def create(self, spec: ContainerSpec, mounts: Mapping[str, Path]) -> EngineContainer:
        """Return a new container, as :meth:`Runtime.create` does."""
        from docker.errors import ImageNotFound

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
            "volumes": {str(path): {"bind": at, "mode": "rw"} for at, path in mounts.items()},
            "labels": {POD_LABEL: spec.pod_uid},
            "hostname": None if on_host else spec.hostname,
        }
        try:
            return EngineContainer(self._client.containers.create(spec.image, **options))
        except ImageNotFound as error:
            raise ImageMissingError from error


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
        size = 0
        for chunk in self._container.logs(stream=True, follow=True):
            size += len(chunk)
            yield chunk
        # Docker may end the stream of a container's log before the last lines.
        self._container.wait(timeout=None)
        if size < POD_LOG:
            yield self._container.logs()[size:]

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
