"""``--runtime`` -> what runs the pods: Docker, Podman, or a sandbox on the image's files."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.text import one_line
from bigflow_backend.ground.processes import child
from bigflow_backend.rehearsal.image import unpack
from bigflow_backend.rehearsal.node.engine import EngineRuntime, own_ulimits
from bigflow_backend.rehearsal.node.sandbox import SandboxRuntime, find_bubblewrap

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.types import Ulimit

    from bigflow_backend.rehearsal.image import BuiltImage
    from bigflow_backend.rehearsal.node.runtime import Runtime

AUTO, DOCKER, PODMAN, SANDBOX = RUNTIMES = ("auto", "docker", "podman", "sandbox")
_TIMEOUT = 3600
"""Seconds of silence of an engine: a pod may print nothing for long."""
_PROBE_SECONDS = 10
_START_SECONDS = 60
DIFFERENCES = {
    DOCKER: "",
    PODMAN: "",
    SANDBOX: "the image's files are read-only, except /tmp and the working directory;"
    " CPU limits have no effect",
}
"""Runtime -> what differs from a node of Kubernetes, beside the network."""


@contextlib.contextmanager
def chosen_runtime(
    wanted: str, image: BuiltImage, scratch: Path, *, network: bool, say: Callable[[str], None]
) -> Iterator[tuple[str, Runtime]]:
    """Yield the name of the runtime and the runtime itself, ready for pods of the image.

    ``auto`` is Docker if an engine answers, else Podman, else the sandbox.

    :raises UserError: if it is not there, or does not get the image.
    """
    with contextlib.ExitStack() as stack:
        if wanted in {AUTO, DOCKER}:
            client = _docker(stack, required=wanted == DOCKER)
            if client:
                yield DOCKER, _engine(client, image, scratch, [], network=network, say=say)
                return
        podman = shutil.which("podman")
        if wanted == PODMAN and podman is None:
            raise UserError("podman is not installed", hint="use --runtime sandbox, or docker")
        if podman and wanted in {AUTO, PODMAN}:
            try:
                client = _podman(stack, podman, scratch)
                limits = own_ulimits()
                runtime = _engine(client, image, scratch, limits, network=network, say=say)
            except UserError as error:
                if wanted == PODMAN or find_bubblewrap() is None:
                    raise
                say(f"{error.message}; the pods run in a sandbox")
            else:
                yield PODMAN, runtime
                return
        bwrap = find_bubblewrap()
        if bwrap is None:
            raise UserError(
                "nothing can run the pods: no Docker Engine answers, and there is neither podman"
                " nor a bubblewrap that works",
                hint="start Docker, or install bubblewrap (the command bwrap)",
            )
        _check_access(scratch)
        directory = scratch / "image"
        directory.mkdir(0o755)
        files = unpack(image, directory)
        pods = scratch / "pods"
        pods.mkdir(0o755)
        yield SANDBOX, SandboxRuntime(bwrap, image, files, pods, network=network)


def _check_access(scratch: Path) -> None:
    """Check that the sandboxes of root, which run as nobody, can enter the directory.

    :raises UserError: if a directory above it is closed to other users.
    """
    closed = [parent for parent in scratch.parents if not parent.stat().st_mode & stat.S_IXOTH]
    if closed and os.geteuid() == 0:
        raise UserError(
            f"the user nobody, who runs the pods, cannot enter {closed[-1]}",
            hint="set TMPDIR to a directory that every user can enter, such as /tmp",
        )


def _docker(stack: contextlib.ExitStack, *, required: bool) -> DockerClient | None:
    from bigflow_backend.image.engine.client import reachable_engine

    try:
        with contextlib.ExitStack() as attempt:
            attempt.enter_context(reachable_engine(timeout=_PROBE_SECONDS))
        return stack.enter_context(reachable_engine(timeout=_TIMEOUT))
    except UserError:
        if required:
            raise
        return None


def _podman(stack: contextlib.ExitStack, podman: str, scratch: Path) -> DockerClient:
    """Return a client of a service that ends with the rehearsal. Podman has Docker's API."""
    import docker
    import requests

    url = f"unix://{scratch}/podman.sock"
    process = stack.enter_context(
        child(
            [podman, "system", "service", "--time=0", url],
            cwd=str(scratch),  # its containers leave files there
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    )
    end = time.monotonic() + _START_SECONDS
    socket = scratch / "podman.sock"
    while time.monotonic() < end and process.poll() is None:
        if socket.exists():
            with contextlib.suppress(docker.errors.DockerException, requests.RequestException):
                client = docker.DockerClient(url, timeout=_TIMEOUT)
                stack.callback(client.close)
                return client
        time.sleep(0.1)
    raise UserError(
        "podman's service does not start: podman system service",
        hint="look at the output of `podman info`, or use --runtime sandbox",
    )


def _engine(
    client: DockerClient,
    image: BuiltImage,
    scratch: Path,
    ulimits: Sequence[Ulimit],
    *,
    network: bool,
    say: Callable[[str], None],
) -> Runtime:
    from docker.errors import ImageNotFound

    from bigflow_backend.image.engine.client import engine_errors

    with engine_errors("looking for the image"):
        try:
            has_it = client.images.get(image.tag).id in image.ids
        except ImageNotFound:
            has_it = False
        if not has_it:  # another image can have the name
            if image.archive is None:
                raise UserError(
                    f"the engine does not have the built image {image.tag}, and .image/ has no"
                    " file of it",
                    hint="build it with the engine: bigflow build --load",
                )
            say(f"loading {image.archive.name} into the engine")
            with image.archive.open("rb") as file:
                client.images.load(file)
        _check_containers(client, image, scratch, ulimits)
    return EngineRuntime(client, host_network=network, ulimits=ulimits)


def _check_containers(
    client: DockerClient, image: BuiltImage, scratch: Path, ulimits: Sequence[Ulimit]
) -> None:
    """Start a container, whose program need not exist.

    :raises UserError: if the engine cannot start any, or does not see the files of this machine.
    """
    from docker.errors import APIError
    from docker.types import Mount

    try:
        container = client.containers.create(
            image.tag,
            entrypoint=["true"],
            network_mode="none",
            mounts=[Mount("/bigflow", str(scratch), type="bind")],
            ulimits=list(ulimits),
        )
    except APIError as error:
        raise UserError(
            f"the engine cannot mount {scratch}: {one_line(str(error.explanation))}",
            hint="use an engine of this machine, set TMPDIR to a directory that it can mount, or"
            " use --runtime sandbox",
        ) from error
    try:
        container.start()
    except APIError as error:
        reason = one_line(str(error.explanation))
        if not any(words in reason.lower() for words in ("not found", "no such file")):
            raise UserError(
                f"the engine cannot start containers: {reason}",
                hint="check it with `docker run` or `podman run`, or use --runtime sandbox",
            ) from error
    finally:
        container.remove(force=True)
