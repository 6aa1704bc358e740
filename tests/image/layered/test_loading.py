"""Images that are loaded into an engine: each gets the compression that it reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.image.layered.compression import reads_zstd

if TYPE_CHECKING:
    from pathlib import Path

    from docker import DockerClient

    from bigflow_backend.image.image import PublishedImage
    from support.layered import LayeredProject

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def _loaded(project: LayeredProject, base: str, wheels: Path) -> PublishedImage:
    project.require("bigflow-backend")
    image = project.build(
        base_image=base,
        find_links=(wheels,),
        repository="bigflow-test/loading",
        load=True,
        export_tar=False,
    )
    assert not (project.root / ".image" / "image-1.0.0.tar").exists()
    return image


def _check(project: LayeredProject, image: PublishedImage, client: DockerClient, name: str) -> None:
    expected = "zstd" if reads_zstd(name) else "gzip"
    assert json.loads(image.info.read_text())["compression"].startswith(f"{expected} by ")
    try:
        command = ["python", "-m", "bigflow", "--version"]
        out = client.containers.run(image.tag, command, network_mode="none", remove=True)
        assert b"bigflow" in out
    finally:
        client.images.remove(image.tag, force=True)


def test_docker(
    *,
    layered_project: LayeredProject,
    engine: DockerClient,
    base_archive: str,
    bigflow_wheels: Path,
) -> None:
    image = _loaded(layered_project, base_archive, bigflow_wheels)
    version = engine.version()["Version"]
    _check(layered_project, image, engine, f"Docker Engine {version}")


def test_podman(
    *,
    layered_project: LayeredProject,
    podman_engine: DockerClient,
    base_archive: str,
    bigflow_wheels: Path,
) -> None:
    image = _loaded(layered_project, base_archive, bigflow_wheels)
    version = podman_engine.version()["Version"]
    _check(layered_project, image, podman_engine, f"Podman Engine {version}")
