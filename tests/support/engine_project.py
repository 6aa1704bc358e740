"""The project of the layered builder's tests, built on the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

    from support.layered import LayeredProject

__all__ = ["engine_project"]

# It has what the check of an image wants to see, in a second.
_DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY dist/ /dist/
RUN python3 -m zipfile -e /dist/*.whl /site && touch /site/bigflow.py
ENV PYTHONPATH=/site
"""


@pytest.fixture
def engine_project(
    layered_project: LayeredProject, engine: DockerClient, base_image: str
) -> Iterator[LayeredProject]:
    """It has a Dockerfile of its own, and no archive unless a test wants one."""
    layered_project.write({"Dockerfile": _DOCKERFILE})
    layered_project.options = {
        "builder": "engine", "base_image": base_image, "platforms": (), "export_tar": False,
        "find_links": (), "network": "none",
    }  # fmt: skip
    before = {tag for image in engine.images.list() for tag in image.tags}
    yield layered_project
    for image in engine.images.list():
        for tag in set(image.tags) - before:
            # What it was made of stays as a cache for the next test.
            engine.images.remove(tag, force=True, noprune=True)
