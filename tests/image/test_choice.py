"""The choice of the builder, and its messages."""

from __future__ import annotations

import io
import json
import urllib.request
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.dockerfile import STANDARD
from support.engine import sockets_may_leak
from support.layered import make_sdist

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient

    from support.layered import LayeredProject
    from support.registry import Registry

# It has what the check of an image wants to see, and nothing of bigflow.
_OWN = """\
FROM {base}
COPY dist/ /dist/
RUN python3 -m pip install --no-deps --no-index --quiet /dist/*.whl \\
 && mkdir /bf && touch /bf/bigflow.py
ENV PYTHONPATH=/bf
"""
_REPOSITORY = "bigflow-test/auto"


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with sockets_may_leak():
        yield


@pytest.fixture
def clean_engine(engine: DockerClient) -> Iterator[DockerClient]:
    """The engine, from which the images of a test go at its end."""
    yield engine
    for image in engine.images.list(_REPOSITORY):
        engine.images.remove(str(image.id), force=True)


@pytest.mark.usefixtures("no_engine")
def test_auto_takes_the_layered_one_without_a_dockerfile(
    layered_project: LayeredProject,
) -> None:
    image = layered_project.build(builder="auto")
    assert image.builder.startswith("layered builder of bigflow-backend ")
    why = "there is no Dockerfile, so the standard one is used"
    assert layered_project.said[1] == f"with the layered builder: {why}"


@pytest.mark.usefixtures("no_engine")
def test_auto_takes_the_layered_one_for_the_standard_dockerfile(
    layered_project: LayeredProject,
) -> None:
    text = "# Ours\n\n" + STANDARD.read_text().replace("python:3.12-slim-bookworm", "base:1")
    layered_project.write({"Dockerfile": text})
    image = layered_project.build(builder="auto")
    assert image.builder.startswith("layered builder of bigflow-backend ")
    assert layered_project.said[1] == "with the layered builder: Dockerfile is the standard one"


@pytest.mark.usefixtures("no_engine")
def test_a_dockerfile_that_names_no_base(layered_project: LayeredProject) -> None:
    text = STANDARD.read_text().replace("=python:3.12-slim-bookworm", "")
    layered_project.write({"Dockerfile": text})
    with pytest.raises(UserError, match="ARG BASE_IMAGE in the Dockerfile has no value"):
        layered_project.build(builder="auto", base_image=None)


@pytest.mark.usefixtures("no_engine")
def test_a_dockerfile_of_ones_own_without_an_engine(layered_project: LayeredProject) -> None:
    layered_project.write({"Dockerfile": "FROM scratch\n"})
    with pytest.raises(UserError) as caught:
        layered_project.build(builder="auto", base_image=None)
    assert caught.value.message.startswith(
        "Dockerfile, line 1, differs from the standard Dockerfile, so it needs an engine; "
        "no Docker Engine answers at unix:///nowhere/docker.sock: "
    )
    assert "start Docker" in caught.value.hint


@pytest.mark.usefixtures("no_engine")
def test_what_must_be_compiled_without_an_engine(layered_project: LayeredProject) -> None:
    make_sdist(layered_project.wheels, "native", "1.0", tag="cp311-cp311-linux_x86_64")
    layered_project.require("native")
    with pytest.raises(UserError) as caught:
        layered_project.build(builder="auto")
    assert caught.value.message.startswith(
        "native 1.0 has no wheel for the image and must be compiled, so it needs an engine; "
        "no Docker Engine answers at "
    )


@pytest.mark.usefixtures("no_engine")
def test_a_base_that_no_registry_has_without_an_engine(layered_project: LayeredProject) -> None:
    with pytest.raises(UserError) as caught:
        layered_project.build(builder="auto", base_image="localhost:1/none:1")
    assert "localhost:1" in caught.value.message
    assert "Docker Engine" not in caught.value.hint


@pytest.mark.usefixtures("no_engine")
def test_a_file_that_is_no_base_is_for_no_engine(layered_project: LayeredProject) -> None:
    with pytest.raises(UserError) as caught:
        layered_project.build(builder="auto", base_image="oci:none")
    assert "the base image oci:none does not exist" in caught.value.message
    assert "Engine" not in caught.value.hint


@pytest.mark.usefixtures("no_engine")
def test_an_engine_takes_no_file_for_its_base(layered_project: LayeredProject) -> None:
    layered_project.write({"Dockerfile": f"ARG BASE_IMAGE\n{_OWN.format(base='${BASE_IMAGE}')}"})
    with pytest.raises(UserError, match=r"docker-archive:.* is a file, which the Docker Engine"):
        layered_project.build(builder="engine")


def test_an_engine_writes_no_oci_layout(layered_project: LayeredProject) -> None:
    layered_project.write({"Dockerfile": "FROM scratch\n"})
    with pytest.raises(UserError, match="the Docker Engine cannot write an OCI layout"):
        layered_project.build(builder="engine", base_image=None, oci_layout=True)


@pytest.mark.engine
def test_auto_takes_the_engine_for_a_dockerfile_of_ones_own(
    layered_project: LayeredProject, clean_engine: DockerClient, base_image: str
) -> None:
    layered_project.write({"Dockerfile": _OWN.format(base=base_image)})
    image = layered_project.build(builder="auto", base_image=None, repository=_REPOSITORY)
    assert image.builder.startswith("Docker Engine")
    reason = "Dockerfile, line 1, differs from the standard Dockerfile"
    assert layered_project.said[1] == f"with the Docker Engine: {reason}"
    assert clean_engine.images.get(image.tag).id == image.id


@pytest.mark.slow
@pytest.mark.engine
def test_auto_takes_the_engine_for_a_base_that_is_only_there(
    layered_project: LayeredProject,
    clean_engine: DockerClient,
    base_image: str,
    registry: Registry,
    bigflow_wheels: Path,
) -> None:
    base = f"{registry.address}/never/pushed:1"
    clean_engine.images.build(
        fileobj=io.BytesIO(f"FROM {base_image}\nENV PIP_NO_INDEX=1\n".encode()), tag=base
    )
    try:
        # Without a Dockerfile the engine, too, gets the standard one.
        image = layered_project.build(
            builder="auto",
            base_image=base,
            find_links=(bigflow_wheels,),
            repository=_REPOSITORY,
        )
        assert image.builder.startswith("Docker Engine")
        (message,) = (line for line in layered_project.said if "with the Docker Engine: " in line)
        assert base in message
        assert clean_engine.images.get(image.tag).attrs["Config"]["User"] == "10001:10001"
    finally:
        clean_engine.images.remove(base, force=True)


@pytest.mark.slow
@pytest.mark.engine
def test_auto_takes_the_engine_for_what_must_be_compiled(
    layered_project: LayeredProject,
    clean_engine: DockerClient,
    base_image: str,
    registry: Registry,
) -> None:
    """The base is in a registry, so both builders have it; the sdist is built in the image."""
    base = f"{registry.address}/compiling/base:1"
    dockerfile = f"FROM {base_image}\nENV PIP_NO_INDEX=1 PIP_NO_BUILD_ISOLATION=1\n"
    clean_engine.images.build(fileobj=io.BytesIO(dockerfile.encode()), tag=base)
    clean_engine.images.push(base)
    make_sdist(layered_project.wheels, "native", "1.0", tag="cp311-cp311-linux_x86_64")
    layered_project.require("native")
    try:
        image = layered_project.build(builder="auto", base_image=base, repository=_REPOSITORY)
        assert image.builder.startswith("Docker Engine")
        why = "native 1.0 has no wheel for the image and must be compiled"
        assert f"with the Docker Engine: {why}" in layered_project.said
    finally:
        clean_engine.images.remove(base, force=True)


@pytest.mark.engine
@pytest.mark.slow
def test_an_engine_pushes_and_knows_the_digest(
    layered_project: LayeredProject, engine: DockerClient, base_image: str, registry: Registry
) -> None:
    layered_project.write({"Dockerfile": _OWN.format(base=base_image)})
    repository = f"{registry.address}/pushed/demo"
    image = layered_project.build(
        builder="engine", base_image=None, repository=repository, push=True
    )
    try:
        url = f"http://{registry.address}/v2/pushed/demo/manifests/1.0.0"
        accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
        with urllib.request.urlopen(urllib.request.Request(url, headers=accept)) as answer:
            assert answer.headers["Docker-Content-Digest"] == image.digest
        info = json.loads(image.info.read_text("utf-8"))
        assert (info["pushed"], info["digest"]) == (True, image.digest)
        manifest = json.loads(registry.blob_path(info["documents"][0]["digest"]).read_bytes())
        assert manifest["subject"]["digest"] == image.digest
    finally:
        engine.images.remove(image.tag, force=True)


@pytest.mark.engine
def test_a_push_of_the_engine_that_fails(
    layered_project: LayeredProject, engine: DockerClient, base_image: str
) -> None:
    layered_project.write({"Dockerfile": _OWN.format(base=base_image)})
    repository = "localhost:1/pushed/demo"
    with pytest.raises(UserError, match="the Docker Engine could not push localhost:1/pushed/demo"):
        layered_project.build(builder="engine", base_image=None, repository=repository, push=True)
    assert not (layered_project.root / ".image").exists()
    assert not engine.images.list(repository)


def test_a_dockerfile_without_requirements_needs_no_lock(
    layered_project: LayeredProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that does not fit does not stop an image that installs nothing from it."""
    monkeypatch.setenv("CI", "true")
    layered_project.write({"pylock.toml": "[", "Dockerfile": "FROM scratch\n"})
    text = (layered_project.root / "pyproject.toml").read_text("utf-8")
    layered_project.write(
        {"pyproject.toml": f"{text}version = '1'\ndependencies = []\n"},
    )
    (layered_project.root / "resources/requirements.txt").unlink()
    with pytest.raises(UserError) as caught:
        layered_project.build(builder="auto")
    assert "pylock.toml" not in caught.value.message
