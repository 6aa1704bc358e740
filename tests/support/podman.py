"""Podman behind the socket that speaks Docker's API, with a storage of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import pytest
import requests
from docker.errors import DockerException

from support.base_image import make_base_image
from support.engine import sockets_may_leak
from support.registry import installed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

__all__ = ["podman_base", "podman_engine"]

_START_SECONDS = 120
# runc and the kernel's own groups work where systemd is not the first process; limits of its own,
# since it may not raise them in a container to what they are outside.
_CONTAINERS = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""
# `localhost` has no TLS in the tests.
_REGISTRIES = """\
unqualified-search-registries = ["docker.io"]
[[registry]]
location = "localhost"
insecure = true
"""


@pytest.fixture(scope="module")
def podman_engine() -> Iterator[DockerClient]:
    """A client of ``podman system service``, which ``DOCKER_HOST`` names within the module."""
    program = installed("podman", package="podman")
    installed("runc", package="runc")
    # Podman takes no path of 50 characters or more: pytest's are longer.
    with tempfile.TemporaryDirectory(prefix="podman-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        (home / "containers.conf").write_text(_CONTAINERS)
        (home / "registries.conf").write_text(_REGISTRIES)
        url = f"unix://{home}/socket"
        command = [
            program, "--root", f"{home}/root", "--runroot", f"{home}/run",
            "system", "service", "--time=0", url,
        ]  # fmt: skip
        if setpriv := shutil.which("setpriv"):
            # Should this process be killed, the kernel stops it.
            command = [setpriv, "--pdeathsig", "TERM", *command]
        configuration = {
            "CONTAINERS_CONF": str(home / "containers.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(home / "registries.conf"),
        }
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                env={**os.environ, **configuration},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            with pytest.MonkeyPatch.context() as patch:
                client = _answering(process, url, home / "log")
                patch.setenv("DOCKER_HOST", url)
                with contextlib.closing(client):
                    yield client
        finally:
            process.terminate()
            process.wait()


@pytest.fixture(scope="module")
def podman_base(podman_engine: DockerClient) -> str:
    """The tag of a base image there; skipped where no container runs in it."""
    tag = "localhost/bigflow-test/base:1"
    make_base_image(podman_engine, tag)
    try:
        podman_engine.containers.run(tag, ["true"], network_mode="none", remove=True)
    except DockerException as error:
        _unavailable(f"Podman runs no containers here: {' '.join(str(error).split())}")
    return tag


def _answering(process: subprocess.Popen[bytes], url: str, log: Path) -> DockerClient:
    tries_per_second = 10
    for _ in range(_START_SECONDS * tries_per_second):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1 / tries_per_second)
            break
        with sockets_may_leak(), contextlib.suppress(DockerException, requests.RequestException):
            return docker.DockerClient(url, timeout=120)
    _unavailable(f"Podman's service did not start: {log.read_text(errors='replace')[-300:]}")
    raise AssertionError


def _unavailable(reason: str) -> None:
    if os.environ.get("BIGFLOW_REQUIRE_ENGINE") == "1":
        pytest.fail(f"BIGFLOW_REQUIRE_ENGINE=1, but {reason}")
    pytest.skip(reason)
