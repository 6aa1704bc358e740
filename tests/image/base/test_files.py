"""Base images from OCI layouts and docker-archives."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.read import fetch_layers, read_base
from bigflow_backend.image.oci import INDEX, LAYER_GZIP, MANIFEST, canonical_json, sha256_digest
from bigflow_backend.image.registry import Registries
from bigflow_backend.image.store.blobs import open_store
from support.images import layer_tar, make_image, make_index
from support.registry import installed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from docker import DockerClient

    from bigflow_backend.image.oci import BaseImage, Descriptor
    from bigflow_backend.image.store.blobs import BlobStore

_TAR = layer_tar({"hello.txt": b"hello"})
_OTHER = layer_tar({"other.txt": b"other" * 100_000})
_REF_NAME = "org.opencontainers.image.ref.name"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BlobStore]:
    with open_store(tmp_path / "cache") as opened:
        yield opened


@pytest.fixture
def made(tmp_path: Path) -> Iterator[BlobStore]:
    """A store with the images that the files are written from."""
    with open_store(tmp_path / "made") as opened:
        yield opened


@pytest.mark.parametrize("kind", ["directory", "tar", "tar.gz"])
def test_an_oci_layout(tmp_path: Path, made: BlobStore, store: BlobStore, kind: str) -> None:
    image = make_image(made, _TAR, _OTHER)
    _write_layout(tmp_path / "layout", made, [_entry(image)])
    path = _packed(tmp_path / "layout", kind)
    base = _read(f"oci:{path.name}", tmp_path, store)
    assert (base.digest, base.os, base.architecture) == (image.digest, "linux", "amd64")
    assert base.repository is None
    assert base.config["config"] == {"Env": ["PATH=/bin"]}
    assert [layer.diff_id for layer in base.layers] == [sha256_digest(_TAR), sha256_digest(_OTHER)]
    assert [layer.created_by for layer in base.layers] == ["COPY 0", "COPY 1"]
    assert _unpacked(base, store) == [_TAR, _OTHER]


def test_a_layout_for_two_platforms(tmp_path: Path, made: BlobStore, store: BlobStore) -> None:
    images = {name: make_image(made, architecture=name) for name in ("amd64", "arm64")}
    index = make_index(made, [(image, name) for name, image in images.items()])
    _write_layout(tmp_path / "layout", made, [_entry(index)])
    for name, image in images.items():
        assert _read("oci:layout", tmp_path, store, architecture=name).digest == image.digest


def test_a_layout_with_tags(tmp_path: Path, made: BlobStore, store: BlobStore) -> None:
    images = {"one": make_image(made, _TAR), "two": make_image(made, _OTHER)}
    _write_layout(tmp_path / "layout", made, [_entry(image, tag) for tag, image in images.items()])
    assert _read("oci:layout:two", tmp_path, store).digest == images["two"].digest
    assert _error("oci:layout", tmp_path, store) == (
        "the base image oci:layout has several images; it has one, two"
    )
    assert _error("oci:layout:three", tmp_path, store) == (
        "the base image oci:layout:three has no tag 'three'; it has one, two"
    )


@pytest.mark.parametrize("is_compressed", [False, True])
def test_a_docker_archive(
    tmp_path: Path, made: BlobStore, store: BlobStore, *, is_compressed: bool
) -> None:
    _write_archive(tmp_path / "base.tar", made, make_image(made, _TAR, _OTHER))
    if is_compressed:
        plain = (tmp_path / "base.tar").read_bytes()
        (tmp_path / "base.tar").write_bytes(gzip.compress(plain))
    base = _read("docker-archive:base.tar", tmp_path, store)
    assert {layer.descriptor.media_type for layer in base.layers} == {LAYER_GZIP}
    assert _unpacked(base, store) == [_TAR, _OTHER]
    again = _read("docker-archive:base.tar", tmp_path, store)
    assert again == base


def test_a_docker_archive_gives_the_same_layers_in_another_cache(
    tmp_path: Path, made: BlobStore, store: BlobStore
) -> None:
    _write_archive(tmp_path / "base.tar", made, make_image(made, _TAR))
    base = _read("docker-archive:base.tar", tmp_path, store)
    assert base.digest.startswith("sha256:")
    with open_store(tmp_path / "elsewhere") as other:
        assert _read("docker-archive:base.tar", tmp_path, other) == base


def test_a_docker_archive_that_changed_is_read_again(
    tmp_path: Path, made: BlobStore, store: BlobStore
) -> None:
    path = tmp_path / "base.tar"
    _write_archive(path, made, make_image(made, _TAR))
    stat = path.stat()
    before = _read("docker-archive:base.tar", tmp_path, store)
    _write_archive(path, made, make_image(made, layer_tar({"hello.txt": b"HELLO"})))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    assert _read("docker-archive:base.tar", tmp_path, store).layers != before.layers


def test_a_docker_archive_with_several_images(
    tmp_path: Path, made: BlobStore, store: BlobStore
) -> None:
    one, two = make_image(made, _TAR), make_image(made, _OTHER)
    _write_archive(tmp_path / "base.tar", made, one, two)
    base = _read("docker-archive:base.tar:team/base:1", tmp_path, store)
    assert _unpacked(base, store) == [_OTHER]
    assert _error("docker-archive:base.tar", tmp_path, store) == (
        "the base image docker-archive:base.tar has 2 images; it has "
        "docker.io/team/base:0, docker.io/team/base:1"
    )
    assert "has no 'team/base:2'" in _error("docker-archive:base.tar:team/base:2", tmp_path, store)


def test_the_layers_of_a_lost_cache_are_read_again(
    tmp_path: Path, made: BlobStore, store: BlobStore
) -> None:
    _write_archive(tmp_path / "base.tar", made, make_image(made, _TAR))
    base = _read("docker-archive:base.tar", tmp_path, store)
    store.path(base.layers[0].descriptor.digest).unlink()
    assert _unpacked(_read("docker-archive:base.tar", tmp_path, store), store) == [_TAR]


def test_links_between_layers(tmp_path: Path, made: BlobStore, store: BlobStore) -> None:
    # Old versions of `docker save` write a layer once, and a link where it comes again.
    config = canonical_json(_config(made, make_image(made, _TAR, _TAR)))
    with tarfile.open(tmp_path / "base.tar", "w") as tar:
        _add(tar, "one/layer.tar", _TAR)
        link = tarfile.TarInfo("two/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../one/layer.tar"
        tar.addfile(link)
        _add(tar, "config.json", config)
        entry = {"Config": "config.json", "Layers": ["one/layer.tar", "two/layer.tar"]}
        _add(tar, "manifest.json", canonical_json([entry]))
    base = _read("docker-archive:base.tar", tmp_path, store)
    assert _unpacked(base, store) == [_TAR, _TAR]


def test_another_architecture(tmp_path: Path, made: BlobStore, store: BlobStore) -> None:
    image = make_image(made, architecture="arm64")
    _write_layout(tmp_path / "layout", made, [_entry(image)])
    _write_layout(tmp_path / "index", made, [_entry(make_index(made, [(image, "arm64")]))])
    _write_archive(tmp_path / "base.tar", made, image)
    for name in ("oci:layout", "docker-archive:base.tar"):
        assert _error(name, tmp_path, store) == (
            f"the base image {name} is for linux/arm64, not for linux/amd64"
        )
    assert _error("oci:index", tmp_path, store) == (
        "the base image oci:index has no image for linux/amd64; it has linux/arm64"
    )


@pytest.mark.parametrize("name", ["oci:missing", "docker-archive:missing.tar:a:b"])
def test_a_file_that_does_not_exist(tmp_path: Path, store: BlobStore, name: str) -> None:
    message = _error(name, tmp_path, store)
    assert message.startswith(f"the base image {name} does not exist: {tmp_path}")


@pytest.mark.parametrize("name", ["oci:", "oci-archive::1", "docker-archive:"])
def test_a_file_without_a_path(tmp_path: Path, store: BlobStore, name: str) -> None:
    assert _error(name, tmp_path, store) == f"the base image {name} has no path"


def test_a_corrupt_blob_of_a_layout(tmp_path: Path, made: BlobStore, store: BlobStore) -> None:
    image = make_image(made, _TAR)
    _write_layout(tmp_path / "layout", made, [_entry(image)])
    digest = json.loads(made.read(image.digest))["layers"][0]["digest"]
    blob = tmp_path / "layout/blobs/sha256" / digest.removeprefix("sha256:")
    blob.write_bytes(b"X" + blob.read_bytes()[1:])
    message = _error("oci:layout", tmp_path, store)
    assert message.startswith(f"the base image oci:layout is damaged: the blob {digest}: ")
    assert not store.has(digest)
    blob.unlink()
    assert f"{blob} does not exist" in _error("oci:layout", tmp_path, store)


def test_a_corrupt_layer_of_an_archive(tmp_path: Path, made: BlobStore, store: BlobStore) -> None:
    image = make_image(made, _TAR)
    for name, layer in (("plain", _OTHER), ("packed", gzip.compress(_OTHER, mtime=0))):
        _write_archive(tmp_path / f"{name}.tar", made, image, layers=[layer])
        assert _error(f"docker-archive:{name}.tar", tmp_path, store) == (
            f"the base image docker-archive:{name}.tar is damaged: a layer has the content "
            f"{sha256_digest(_OTHER)} instead of {sha256_digest(_TAR)}"
        )


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
def test_a_truncated_archive(tmp_path: Path, made: BlobStore, store: BlobStore, kind: str) -> None:
    _write_layout(tmp_path / "layout", made, [_entry(make_image(made, os.urandom(50_000)))])
    path = _packed(tmp_path / "layout", kind)
    path.write_bytes(path.read_bytes()[:30_000])
    assert "cannot read the base image" in _error(f"oci:{path.name}", tmp_path, store)


def test_what_is_no_image(tmp_path: Path, made: BlobStore, store: BlobStore) -> None:
    (tmp_path / "text").write_text("no tar at all", "utf-8")
    assert "is not a complete tar" in _error("docker-archive:text", tmp_path, store)
    (tmp_path / "empty").mkdir()
    assert "does not exist" in _error("oci:empty", tmp_path, store)
    (tmp_path / "empty/index.json").write_text("{", "utf-8")
    assert "not valid JSON" in _error("oci:empty", tmp_path, store)
    (tmp_path / "empty/index.json").write_text("{}", "utf-8")
    assert "has no images" in _error("oci:empty", tmp_path, store)
    strange = made.add(b"{}", "text/plain")
    _write_layout(tmp_path / "strange", made, [_entry(strange)])
    assert "has a manifest of the type 'text/plain'" in _error("oci:strange", tmp_path, store)
    _write_archive(tmp_path / "base.tar", made, make_image(made, _TAR), layers=[])
    assert "lists 1 layers instead of 0" in _error("docker-archive:base.tar", tmp_path, store)


@pytest.mark.parametrize("wrong", [5, True, "text", {"a": 1}, [5], [None], [[]]])
@pytest.mark.parametrize("key", ["manifests", "layers", "config", "rootfs", "history", "os"])
def test_documents_of_another_form(
    tmp_path: Path, made: BlobStore, store: BlobStore, key: str, wrong: object
) -> None:
    """Each ends in one error, or makes no difference."""
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": []}} | {key: wrong}
    manifest: dict[str, Any] = {
        "config": made.add(canonical_json(config), "application/json").as_json(),
        "layers": [],
    }
    if key in {"manifests", "layers", "config"}:
        manifest |= {key: wrong}
    media_type = INDEX if key == "manifests" else MANIFEST
    _write_layout(
        tmp_path / "layout", made, [_entry(made.add(canonical_json(manifest), media_type))]
    )
    if key == "rootfs" and isinstance(wrong, dict):  # there are no layers to be listed
        assert _read("oci:layout", tmp_path, store).layers == ()
    else:
        assert "base image oci:layout" in _error("oci:layout", tmp_path, store)


def test_a_document_that_is_too_deep(tmp_path: Path, made: BlobStore, store: BlobStore) -> None:
    deep = made.add(b"[" * 200_000, MANIFEST)
    _write_layout(tmp_path / "layout", made, [_entry(deep)])
    assert "nested too deeply" in _error("oci:layout", tmp_path, store)


@pytest.mark.parametrize("wrong", [5, "a:1", {"a": 1}])
def test_the_tags_of_an_archive_of_another_form(
    tmp_path: Path, store: BlobStore, wrong: object
) -> None:
    manifest = json.dumps([{"Config": "c", "Layers": [], "RepoTags": wrong}]).encode()
    with tarfile.open(tmp_path / "base.tar", "w") as tar:
        member = tarfile.TarInfo("manifest.json")
        member.size = len(manifest)
        tar.addfile(member, io.BytesIO(manifest))
    assert "RepoTags, which is not a list" in _error("docker-archive:base.tar", tmp_path, store)


def test_layers_that_may_not_be_copied(tmp_path: Path, made: BlobStore, store: BlobStore) -> None:
    foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    _write_layout(tmp_path / "layout", made, [_entry(make_image(made, layer_type=foreign))])
    assert f"{foreign} is not a layer" in _error("oci:layout", tmp_path, store)


def test_an_unknown_platform(tmp_path: Path, store: BlobStore) -> None:
    with Registries() as registries, pytest.raises(UserError, match="linux/s390x"):
        read_base("oci:x", architecture="s390x", root=tmp_path, store=store, registries=registries)


@pytest.mark.engine
def test_what_docker_saves(engine: DockerClient, tmp_path: Path, store: BlobStore) -> None:
    tag = "bigflow-test/bases:1"
    engine.api.import_image_from_data(_TAR, repository="bigflow-test/bases", tag="1")
    try:
        with (tmp_path / "base.tar").open("wb") as file:
            file.writelines(engine.images.get(tag).save(named=True))
    finally:
        engine.images.remove(tag)
    base = _read(f"docker-archive:base.tar:{tag}", tmp_path, store)
    assert _unpacked(base, store) == [_TAR]


def test_what_skopeo_writes(tmp_path: Path, made: BlobStore, store: BlobStore) -> None:
    skopeo = installed("skopeo", package="skopeo")
    image = make_image(made, _TAR, _OTHER)
    _write_layout(tmp_path / "layout", made, [_entry(image, "1")])
    targets = ("oci:copied:1", "oci-archive:copied.tar:1", "docker-archive:docker.tar:a/b:1")
    for target in targets:
        subprocess.run(
            [skopeo, "--insecure-policy", "copy", "--quiet", "oci:layout:1", target],
            cwd=tmp_path,
            check=True,
        )
        assert _unpacked(_read(target, tmp_path, store), store) == [_TAR, _OTHER]


def _read(name: str, root: Path, store: BlobStore, *, architecture: str = "amd64") -> BaseImage:
    with Registries() as registries:
        base = read_base(
            name, architecture=architecture, root=root, store=store, registries=registries
        )
        fetch_layers(base, store=store, registries=registries)  # nothing is left to do
    return base


def _error(name: str, root: Path, store: BlobStore) -> str:
    with pytest.raises(UserError) as caught:
        _read(name, root, store)
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value.message


def _unpacked(base: BaseImage, store: BlobStore) -> list[bytes]:
    return [gzip.decompress(store.read(layer.descriptor.digest)) for layer in base.layers]


def _entry(image: Descriptor, tag: str | None = None) -> dict[str, Any]:
    return image.as_json() | ({"annotations": {_REF_NAME: tag}} if tag else {})


def _write_layout(path: Path, made: BlobStore, entries: list[dict[str, Any]]) -> None:
    shutil.copytree(made.root / "sha256", path / "blobs/sha256")
    (path / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
    index = {"schemaVersion": 2, "manifests": entries}
    (path / "index.json").write_bytes(canonical_json(index))


def _packed(layout: Path, kind: str) -> Path:
    if kind == "directory":
        return layout
    path = layout.with_name(f"layout.{kind}")
    with tarfile.open(path, "w:gz" if kind == "tar.gz" else "w") as tar:
        tar.add(layout, ".")
    return path


def _config(made: BlobStore, image: Descriptor) -> dict[str, Any]:
    manifest = json.loads(made.read(image.digest))
    config: dict[str, Any] = json.loads(made.read(manifest["config"]["digest"]))
    return config


def _write_archive(
    path: Path, made: BlobStore, *images: Descriptor, layers: Sequence[bytes] | None = None
) -> None:
    """Old style, with unpacked layers; ``layers`` replaces those of the images."""
    entries = []
    with tarfile.open(path, "w") as tar:
        for number, image in enumerate(images):
            manifest = json.loads(made.read(image.digest))
            own = [gzip.decompress(made.read(layer["digest"])) for layer in manifest["layers"]]
            names = []
            for position, layer in enumerate(own if layers is None else layers):
                names.append(f"{number}-{position}/layer.tar")
                _add(tar, names[-1], layer)
            _add(tar, f"{number}.json", canonical_json(_config(made, image)))
            entries.append(
                {"Config": f"{number}.json", "RepoTags": [f"team/base:{number}"], "Layers": names}
            )
        _add(tar, "manifest.json", canonical_json(entries))


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
