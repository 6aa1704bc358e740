"""Damaged blobs of the cache: a build reports and removes them, and the next one makes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from support.images import small_base, write_docker_archive

if TYPE_CHECKING:
    from pathlib import Path

    from bigflow_backend.image.image import PublishedImage
    from support.layered import LayeredProject
    from support.registry import Registry


def _blob(tmp_path: Path, digest: str) -> Path:
    return tmp_path / "cache/blobs/sha256" / digest.removeprefix("sha256:")


def _rot(path: Path) -> None:
    """Change one bit; the size stays."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _layers(tmp_path: Path, manifest: str | None) -> list[str]:
    assert manifest is not None
    document = json.loads(_blob(tmp_path, manifest).read_bytes())
    return [layer["digest"] for layer in document["layers"]]


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("kind", ["tar", "layout"])
def test_a_layer_is_damaged(
    layered_project: LayeredProject, tmp_path: Path, number: int, kind: str
) -> None:
    """Of the base, the user, the environment, the dependencies, the project."""

    def build() -> PublishedImage:
        return layered_project.build(export_tar=kind == "tar", oci_layout=kind == "layout")

    image = build()
    before = {p: p.read_bytes() for p in image.info.parent.rglob("*") if p.is_file()}
    path = _blob(tmp_path, _layers(tmp_path, image.digest)[number])
    _rot(path)
    with pytest.raises(UserError) as caught:
        build()
    assert caught.value.message == (
        f"the cache was damaged: {path} did not have the digest of its name"
    )
    assert "build again" in caught.value.hint
    assert {p: p.read_bytes() for p in image.info.parent.rglob("*") if p.is_file()} == before
    assert build().digest == image.digest


def test_a_damaged_layer_is_not_pushed(
    layered_project: LayeredProject, tmp_path: Path, registry: Registry
) -> None:
    # Without it, an image that is only pushed has other layers: of Zstandard.
    layered_project.options = {"compression": "gzip"}
    image = layered_project.build()
    path = _blob(tmp_path, _layers(tmp_path, image.digest)[-1])
    _rot(path)
    repository = f"{registry.address}/team/damaged"
    with pytest.raises(UserError, match="the cache was damaged"):
        layered_project.build(repository=repository, push=True, export_tar=False)
    again = layered_project.build(repository=repository, push=True, export_tar=False)
    assert again.digest == image.digest


def test_a_damaged_layer_of_the_base_is_not_read(
    layered_project: LayeredProject, tmp_path: Path
) -> None:
    """The error is about the cache, not about the base image."""
    image = layered_project.build()
    (base, *_) = _layers(tmp_path, image.digest)
    for record in (tmp_path / "cache/blobs/records").iterdir():
        if b'"interpreter"' in record.read_bytes():
            record.unlink()
    _rot(_blob(tmp_path, base))
    with pytest.raises(UserError, match="the cache was damaged"):
        layered_project.build()
    assert layered_project.build().digest == image.digest


def test_a_base_whose_layer_is_not_an_archive(
    layered_project: LayeredProject, tmp_path: Path
) -> None:
    write_docker_archive(tmp_path / "odd.tar", [b"not an archive" * 100], {})
    with pytest.raises(UserError, match="not a valid tar archive"):
        layered_project.build(base_image=f"docker-archive:{tmp_path}/odd.tar")
    good = small_base(tmp_path / "good.tar")
    assert layered_project.build(base_image=good).digest


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"layer": 1}'])
def test_damaged_records(layered_project: LayeredProject, tmp_path: Path, content: bytes) -> None:
    """A power failure leaves such records."""
    image = layered_project.build()
    for record in (tmp_path / "cache/blobs/records").iterdir():
        record.write_bytes(content)
    assert layered_project.build().digest == image.digest
