"""Places of a layered image: archive, OCI layout, registry and engine."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
import tarfile
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.cli.report import build_lines
from bigflow_backend.ground.errors import UserError
from bigflow_backend.pipeline import Build
from support.engine import sockets_may_leak

if TYPE_CHECKING:
    from docker import DockerClient

    from support.layered import LayeredProject
    from support.registry import Registry


def test_a_push_sends_only_new_blobs(layered_project: LayeredProject, registry: Registry) -> None:
    repository = f"{registry.address}/team/demo"

    def pushed(text: str) -> tuple[str | None, int]:
        layered_project.said.clear()
        image = layered_project.build(
            files={"demo/__init__.py": text}, repository=repository, push=True, export_tar=False
        )
        assert image.tar is None
        (sent,) = (int(m[1]) for s in layered_project.said if (m := re.search(r", (\d+) b.* s", s)))
        return image.digest, sent

    digest, everything = pushed("one = 1\n")
    assert everything > 0
    url = f"http://{registry.address}/v2/team/demo/manifests/1.0.0"
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=accept)) as answer:
        assert answer.headers["Docker-Content-Digest"] == digest
        assert len(json.load(answer)["layers"]) == 5
    assert pushed("one = 1\n") == (digest, 0)
    changed, sent = pushed("one = 2\n")
    assert changed != digest
    assert 0 < sent < 20_000


def test_several_tags_of_one_digest(layered_project: LayeredProject, registry: Registry) -> None:
    repository = f"{registry.address}/team/tags"
    image = layered_project.build(
        repository=repository, tags=("latest", "1.0.0", "1"), push=True, oci_layout=True
    )
    names = [f"{repository}:{tag}" for tag in ("1.0.0", "latest", "1")]
    assert list(image.tags) == layered_project.info(image)["tags"] == names
    for tag in ("1.0.0", "latest", "1"):
        url = f"http://{registry.address}/v2/team/tags/manifests/{tag}"
        accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
        with urllib.request.urlopen(urllib.request.Request(url, headers=accept)) as answer:
            assert answer.headers["Docker-Content-Digest"] == image.digest
    assert image.tar is not None
    with tarfile.open(image.tar) as archive:
        (member,) = (m for m in archive if m.name == "manifest.json")
        assert json.load(archive.extractfile(member))[0]["RepoTags"] == names  # type: ignore[arg-type]
    assert image.layout is not None
    entries = json.loads((image.layout / "index.json").read_text())["manifests"]
    assert {entry["digest"] for entry in entries} == {image.digest}
    tags = [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in entries]
    assert tags == ["1.0.0", "latest", "1"]
    # One image with several tags can be a base.
    above = layered_project.build(base_image=f"oci:{image.layout}", version="2")
    assert layered_project.info(above)["base"]["digest"] == image.digest


def test_a_tag_that_is_not_valid(layered_project: LayeredProject) -> None:
    with pytest.raises(UserError, match="must be tags of an image: got 'la test'"):
        layered_project.build(tags=("la test",))


def test_plain_http_only_for_insecure_registries(
    layered_project: LayeredProject, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    # On Linux this address leads to the machine itself, but it is not a loopback address.
    address = registry.address.replace("localhost", "0.0.0.0")
    repository = f"{address}/insecure/demo"
    with pytest.raises(UserError, match=address):
        layered_project.build(repository=repository, push=True)
    image = layered_project.build(repository=repository, push=True, insecure_registries=(address,))
    # The same setting makes the pushed image a base.
    above = layered_project.build(
        base_image=image.tag, repository=repository, version="2", insecure_registries=(address,)
    )
    assert layered_project.info(above)["base"]["digest"] == image.digest


def test_an_invalid_insecure_registry(layered_project: LayeredProject) -> None:
    with pytest.raises(UserError, match="'http://r:1' is not a valid registry name"):
        layered_project.build(insecure_registries=("http://r:1",))


def test_a_registry_that_does_not_answer(layered_project: LayeredProject) -> None:
    layered_project.build()
    before = {p: p.read_bytes() for p in (layered_project.root / ".image").iterdir()}
    with pytest.raises(UserError):
        layered_project.build(repository="localhost:1/demo", push=True)
    assert {p: p.read_bytes() for p in (layered_project.root / ".image").iterdir()} == before


def test_the_summary_has_all_places(layered_project: LayeredProject, registry: Registry) -> None:
    image = layered_project.build(
        repository=f"{registry.address}/summary", push=True, oci_layout=True
    )
    assert image.tar is not None
    assert image.layout is not None
    published = dataclasses.replace(
        image,
        tar=Path(".image") / image.tar.name,
        layout=Path(".image") / image.layout.name,
    )
    sizes = {Path(".image") / path.name: 1500 for path in (image.tar, image.layout)}
    lines = list(build_lines(Build(image=published, sizes=sizes)))
    assert lines[0] == f"image  {registry.address}/summary:1.0.0"
    assert lines[1].startswith("       .image/image-1.0.0.tar  ")
    assert lines[2].startswith("       .image/oci-layout-1.0.0  ")
    assert lines[3:] == [
        f"       pushed as {image.digest}",
        "       to run it here: docker load --input .image/image-1.0.0.tar",
    ]


def test_an_oci_layout_can_be_built_on(layered_project: LayeredProject) -> None:
    image = layered_project.build(oci_layout=True, export_tar=False)
    assert image.layout == layered_project.root / ".image" / "oci-layout-1.0.0"
    assert image.tar is None
    blobs = {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest()
        for p in (image.layout / "blobs" / "sha256").iterdir()
    }
    assert all(name == content for name, content in blobs.items())
    assert sorted(p.name for p in image.layout.iterdir()) == ["blobs", "index.json", "oci-layout"]
    # They are copies: a change there does not change the cache.
    assert {p.stat().st_nlink for p in (image.layout / "blobs" / "sha256").iterdir()} == {1}
    # The next build replaces .image/.
    shutil.move(image.layout, layered_project.root / "base")
    above = layered_project.build(base_image="oci:base:1.0.0", version="2")
    assert layered_project.info(above)["base"]["digest"] == image.digest


def test_loading_without_an_engine(
    layered_project: LayeredProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with sockets_may_leak(), pytest.raises(UserError, match="no Docker Engine answers"):
        layered_project.build(load=True)
    assert not (layered_project.root / ".image").exists()


@pytest.mark.engine
def test_a_failed_build_gives_the_name_back_in_the_engine(
    layered_project: LayeredProject, engine: DockerClient, base_image: str
) -> None:
    repository = "localhost:1/bigflow-test-load"
    engine.images.get(base_image).tag(repository, "1.0.0")
    try:
        with pytest.raises(UserError):
            layered_project.build(repository=repository, load=True, push=True)
        assert engine.images.get(f"{repository}:1.0.0").id == engine.images.get(base_image).id
    finally:
        engine.images.remove(f"{repository}:1.0.0", noprune=True)
