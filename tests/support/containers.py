"""Fixtures: a Docker Engine, and a base image in it; and what containers the engine has.

Where there is no engine the tests are skipped with the reason; with ``BIGFLOW_REQUIRE_ENGINE=1``
they fail.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NoReturn

import docker
import pytest

from support.base_image import make_base_image, write_base_archive
from support.debian import DebianError
from support.engine import docker_engine
from support.shared import made_once

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient

__all__ = ["BASE_IMAGE", "all_containers", "base_archive", "base_image", "engine", "no_more_than"]

BASE_IMAGE = "bigflow-test/base:1"


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerClient]:
    """A client of the engine, which ``DOCKER_HOST`` names for child processes, too."""
    with docker_engine() as found:
        if found.url is None:
            _unavailable(found.note)
        with contextlib.closing(docker.from_env(timeout=300)) as client:
            yield client


@pytest.fixture(scope="session")
def base_image(engine: DockerClient) -> str:
    """The tag of an image with Python and pip, for the Dockerfile's ``ARG BASE_IMAGE``.

    In its containers pip reaches the indexes when they have the host's network.
    """
    try:
        make_base_image(engine, BASE_IMAGE)
    except DebianError as error:
        _unavailable(f"no base image: {error}")
    return BASE_IMAGE


@pytest.fixture(scope="session")
def base_archive(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of the same image as a file, which takes no engine."""

    def make(directory: Path) -> None:
        write_base_archive(directory / "base.tar", BASE_IMAGE)

    try:
        directory = made_once(tmp_path_factory, "base-archive", make)
    except DebianError as error:
        _unavailable(f"no base image: {error}")
    return f"docker-archive:{directory / 'base.tar'}"


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("BIGFLOW_REQUIRE_ENGINE") == "1":
        pytest.fail(f"BIGFLOW_REQUIRE_ENGINE=1, but {reason}")
    pytest.skip(reason)


def all_containers(engine: DockerClient) -> set[str]:
    """The ids of all containers, also of those that have ended."""
    return {str(c.id) for c in engine.containers.list(all=True, sparse=True)}


def no_more_than(containers: set[str], engine: DockerClient) -> None:
    """Wait until the engine has removed all other containers: it does so after the build.

    :raises requests.exceptions.ReadTimeout: when one stays.
    """
    for left in all_containers(engine) - containers:
        with contextlib.suppress(docker.errors.NotFound):  # it went between the two requests
            engine.api.wait(left, condition="removed", timeout=60)
