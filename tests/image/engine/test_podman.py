"""The engine builder on Podman, by the socket that speaks Docker's API."""

from __future__ import annotations

import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.dockerfile import STANDARD
from support.distribution import make_wheel

if TYPE_CHECKING:
    from docker import DockerClient

    from support.layered import LayeredProject
    from support.registry import Registry

pytestmark = [pytest.mark.engine, pytest.mark.slow]

_SITE = f"app/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


@pytest.fixture
def project(layered_project: LayeredProject, podman_base: str) -> LayeredProject:
    """With the standard Dockerfile, a library, and no network."""
    make_wheel(layered_project.wheels, "library", "3.1", {"library.py": "X = 1\n"})
    layered_project.require("library")
    text = STANDARD.read_text().replace(
        "ENV PIP_NO_CACHE_DIR=1", "ENV PIP_NO_INDEX=1 PIP_NO_CACHE_DIR=1"
    )
    assert "PIP_NO_INDEX" in text
    layered_project.write({"Dockerfile": text})
    layered_project.options = {
        "builder": "engine", "base_image": podman_base, "platforms": (), "network": "none",
    }  # fmt: skip
    return layered_project


def test_the_standard_dockerfile(
    project: LayeredProject, podman_engine: DockerClient, registry: Registry
) -> None:
    image = project.build(repository=f"{registry.address}/podman/demo", push=True)
    assert image.builder.startswith("Podman Engine ")
    found = project.files(image)
    assert f"{_SITE}/demo/__init__.py" in found.files
    assert f"{_SITE}/library.py" in found.files
    assert not any("wheels" in name.split("/") for name in found.files)
    config = found.config["config"]
    assert config["User"] == "10001:10001"
    assert config["WorkingDir"] == "/home/app"
    assert config["Labels"]["org.opencontainers.image.revision"] == "c0ffee"
    out = podman_engine.containers.run(
        image.tag, ["python", "-m", "bigflow"], network_mode="none", remove=True
    )
    assert out == b"ran\n"
    assert image.pushed
    info = project.info(image)
    assert info["digest"] == image.digest == _digest(registry, "podman/demo", "1.0.0")
    assert info["base"]["name"] == project.options["base_image"]


def _digest(registry: Registry, path: str, tag: str) -> str | None:
    """Return the digest of the image in the registry."""
    kinds = ("oci.image.manifest.v1+json", "docker.distribution.manifest.v2+json")
    request = urllib.request.Request(
        f"http://{registry.address}/v2/{path}/manifests/{tag}",
        headers={"Accept": ", ".join(f"application/vnd.{kind}" for kind in kinds)},
    )
    with urllib.request.urlopen(request) as answer:
        digest: str | None = answer.headers["Docker-Content-Digest"]
    return digest


_SHORT = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY dist/ /dist/
RUN python3 -m zipfile -e /dist/*.whl /site && touch /site/bigflow.py
ENV PYTHONPATH=/site
"""


def test_a_dockerfile_with_mounts(project: LayeredProject, podman_engine: DockerClient) -> None:
    mounts = "--mount=type=cache,target=/cache --mount=type=secret,id=token"
    text = f"RUN {mounts} wc -c < /run/secrets/token > /size\n"
    project.write({"token": "s3cret", "Dockerfile": _SHORT + text})
    image = project.build(find_links=(), export_tar=False, secrets=("id=token,src=token",))
    out = podman_engine.containers.run(
        image.tag, ["cat", "/size"], network_mode="none", remove=True
    )
    assert out == b"6\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "RUN echo so >&2 && exit 7",
            "Dockerfile, line {line}: RUN echo so >&2 && exit 7 failed: ",
        ),
        ("RUNN true", "RUNN"),
        ("COPY nowhere /", "nowhere"),
        ("USER nobody-here", "no user 'nobody-here'"),
    ],
)
def test_a_dockerfile_that_fails(
    project: LayeredProject, podman_engine: DockerClient, text: str, message: str
) -> None:
    before = [str(i.id) for i in podman_engine.images.list() if i.tags]
    project.write({"Dockerfile": f"{_SHORT}{text}\n"})
    with pytest.raises(UserError) as caught:
        project.build(find_links=(), export_tar=False)
    assert message.format(line=6) in caught.value.message
    assert "\n" not in caught.value.message + caught.value.hint
    assert caught.value.hint
    assert not (project.root / ".image").exists()
    assert [str(i.id) for i in podman_engine.images.list() if i.tags] == before


def test_the_layered_builder_loads_into_it(
    layered_project: LayeredProject, podman_engine: DockerClient
) -> None:
    options: dict[str, Any] = {"repository": "localhost/podman/loaded", "load": True}
    image = layered_project.build(**options)
    assert podman_engine.images.get(image.tag).id == image.id
    changed = layered_project.build(files={"demo/__init__.py": "X = 2\n"}, **options)
    assert changed.id != image.id
    assert podman_engine.images.get(image.tag).id == changed.id
