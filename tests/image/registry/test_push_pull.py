"""Push and pull with a real registry: what goes over, and what need not."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.read import fetch_layers, read_base
from bigflow_backend.image.oci import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    LAYER_GZIP,
    Descriptor,
    canonical_json,
    sha256_digest,
)
from bigflow_backend.image.registry import Registries, push_image
from support.faulty_registry import Failure, faulty
from support.images import layer_tar, make_image, make_index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bigflow_backend.image.oci import BaseImage
    from bigflow_backend.image.store.blobs import BlobStore
    from support.faulty_registry import FaultyRegistry
    from support.registry import Registry

_MEBIBYTE = 1 << 20
_BLOB = "/blobs/sha256:"


@pytest.fixture
def registries() -> Iterator[Registries]:
    with Registries() as opened:
        yield opened


def test_what_is_pushed_can_be_pulled(
    registry: Registry, store: BlobStore, empty_store: BlobStore, registries: Registries
) -> None:
    tars = [layer_tar({"a": b"a"}), os.urandom(3 * _MEBIBYTE)]  # in one request, and in two
    image = make_image(store, *tars)
    name = f"{registry.address}/team/pulled:1.0"
    pushed = push_image(image, name, store=store, registries=registries)
    assert (pushed.digest, str(pushed.name)) == (image.digest, name)
    assert pushed.sent == _size(store, image)
    base = _read(name, empty_store, registries)
    assert (base.digest, base.repository) == (image.digest, f"{registry.address}/team/pulled")
    fetch_layers(base, store=empty_store, registries=registries)
    assert [
        gzip.decompress(empty_store.read(layer.descriptor.digest)) for layer in base.layers
    ] == tars


def test_the_layers_of_a_base_are_fetched_when_they_are_needed(
    registry: Registry, store: BlobStore, empty_store: BlobStore, registries: Registries
) -> None:
    image = make_image(store, layer_tar({"lazy": b"lazy"}))
    name = f"{registry.address}/team/lazy:1"
    push_image(image, name, store=store, registries=registries)
    base = _read(name, empty_store, registries)
    layer = base.layers[0].descriptor
    assert not empty_store.has(layer.digest)
    lines: list[str] = []
    fetch_layers(base, store=empty_store, registries=registries, say=lines.append)
    assert empty_store.has(layer.digest, layer.size)
    assert [layer.digest in line for line in lines] == [True]


def test_nothing_is_sent_again(
    faulty_registry: FaultyRegistry, store: BlobStore, registries: Registries
) -> None:
    image = make_image(store, layer_tar({"again": b"again"}))
    name = f"{faulty_registry.address}/team/again"
    push_image(image, f"{name}:1", store=store, registries=registries)
    faulty_registry.requests.clear()
    assert push_image(image, f"{name}:1", store=store, registries=registries).sent == 0
    assert [r.method for r in faulty_registry.requests] == ["HEAD"]
    # Another tag for the same: the manifest goes over, nothing else.
    pushed = push_image(image, f"{name}:2", store=store, registries=registries)
    assert pushed.sent == image.size
    assert not faulty_registry.count("POST")


def test_a_changed_layer_goes_over_alone(
    registry: Registry, store: BlobStore, registries: Registries
) -> None:
    common = os.urandom(2 * _MEBIBYTE)
    name = f"{registry.address}/team/changed"
    first = make_image(store, common, b"one")
    push_image(first, f"{name}:1", store=store, registries=registries)
    second = make_image(store, common, b"two")
    assert push_image(second, f"{name}:2", store=store, registries=registries).sent < 3000


def test_layers_of_a_base_are_taken_over_within_the_registry(
    faulty_registry: FaultyRegistry,
    store: BlobStore,
    empty_store: BlobStore,
    registries: Registries,
) -> None:
    address = faulty_registry.address
    image = make_image(store, os.urandom(2 * _MEBIBYTE))
    push_image(image, f"{address}/team/mount-base:1", store=store, registries=registries)
    base = _read(f"{address}/team/mount-base:1", empty_store, registries)
    own = _on(base, empty_store)
    faulty_registry.requests.clear()
    pushed = push_image(
        own, f"{address}/team/mounted:1", store=empty_store, registries=registries, bases=[base]
    )
    assert pushed.sent < 2000
    assert not faulty_registry.count("GET")
    assert not faulty_registry.count("PATCH")
    assert faulty_registry.count("POST", "mount=sha256") == 1
    assert not empty_store.has(base.layers[0].descriptor.digest)


def test_a_push_to_another_repository_of_the_registry_sends_only_the_manifest(
    faulty_registry: FaultyRegistry, store: BlobStore, registries: Registries
) -> None:
    image = make_image(store, os.urandom(2 * _MEBIBYTE), layer_tar({"own": b"own"}))
    address = faulty_registry.address
    push_image(image, f"{address}/dev/moved:1", store=store, registries=registries)
    for name in ("prod/moved:1", "prod/again:1"):
        faulty_registry.requests.clear()
        pushed = push_image(image, f"{address}/{name}", store=store, registries=registries)
        assert pushed.sent == image.size
        assert faulty_registry.count("POST", "mount=sha256") == 3  # two layers, one configuration
        assert not faulty_registry.count("PATCH")
        assert faulty_registry.count("PUT") == 1
    assert _read(f"{address}/prod/again:1", store, registries).digest == image.digest


@pytest.mark.parametrize("status", [202, 401, 403, 404, 405])
def test_a_repository_that_blobs_cannot_be_mounted_from(
    faulty_registry: FaultyRegistry, store: BlobStore, registries: Registries, status: int
) -> None:
    """The registry has lost the blobs, or does not let us read them any more: they are sent."""
    layers = [layer_tar({f"{status}-{number}": os.urandom(9)}) for number in range(6)]
    image = make_image(store, *layers)
    address = faulty_registry.address
    push_image(image, f"{address}/lost/from{status}:1", store=store, registries=registries)
    failure = Failure("POST", "mount=", status=status, times=9)
    faulty_registry.failures.append(failure)
    name = f"{address}/lost/to{status}:1"
    pushed = push_image(image, name, store=store, registries=registries)
    assert pushed.sent == _size(store, image)
    if status == 202:
        assert faulty_registry.count("POST", "mount=") == 7
    else:  # of the blobs that are pushed at once, one asks
        assert faulty_registry.count("POST", "mount=") == 1
    # The new repository has them.
    faulty_registry.failures.clear()
    name = f"{address}/lost/third{status}:1"
    assert push_image(image, name, store=store, registries=registries).sent == image.size


def test_layers_of_a_base_go_from_one_registry_to_another(
    registry: Registry, store: BlobStore, empty_store: BlobStore, registries: Registries
) -> None:
    image = make_image(store, b"from afar")
    with faulty(registry.address) as other:
        push_image(image, f"{other.address}/team/afar:1", store=store, registries=registries)
        base = _read(f"{other.address}/team/afar:1", empty_store, registries)
        own = _on(base, empty_store)
        target = f"{registry.address}/team/here:1"
        push_image(own, target, store=empty_store, registries=registries, bases=[base])
        assert other.count("GET", base.layers[0].descriptor.digest) == 1
    assert _read(target, empty_store, registries).layers[0].diff_id == base.layers[0].diff_id


def test_the_platform_is_chosen(
    registry: Registry, store: BlobStore, empty_store: BlobStore, registries: Registries
) -> None:
    images = {name: make_image(store, architecture=name) for name in ("amd64", "arm64")}
    index = make_index(store, [(image, name) for name, image in images.items()])
    name = _push_index(
        registry.address, "team/index", index, images, store=store, registries=registries
    )
    for architecture, image in images.items():
        base = _read(name, empty_store, registries, architecture=architecture)
        assert (base.digest, base.architecture) == (image.digest, architecture)


def test_a_platform_that_is_not_there(
    registry: Registry, store: BlobStore, registries: Registries
) -> None:
    images = {"arm64": make_image(store, architecture="arm64")}
    index = make_index(store, [(image, name) for name, image in images.items()])
    name = _push_index(
        registry.address, "team/arm-index", index, images, store=store, registries=registries
    )
    with pytest.raises(UserError) as caught:
        _read(name, store, registries)
    assert caught.value.message == (
        f"the base image {name} has no image for linux/amd64; it has linux/arm64"
    )


def test_dockers_own_kinds_of_documents(
    registry: Registry, store: BlobStore, empty_store: BlobStore, registries: Registries
) -> None:
    image = make_image(
        store,
        manifest_type=DOCKER_MANIFEST,
        layer_type="application/vnd.docker.image.rootfs.diff.tar.gzip",
    )
    index = make_index(store, [(image, "amd64")], media_type=DOCKER_INDEX)
    name = _push_index(
        registry.address, "team/v2", index, {"amd64": image}, store=store, registries=registries
    )
    base = _read(name, empty_store, registries)
    assert base.digest == image.digest
    assert base.layers[0].descriptor.media_type == LAYER_GZIP


def test_an_image_by_its_digest_takes_no_request_once_it_is_known(
    faulty_registry: FaultyRegistry,
    store: BlobStore,
    empty_store: BlobStore,
    registries: Registries,
) -> None:
    image = make_image(store, b"pinned")
    repository = f"{faulty_registry.address}/team/pinned"
    push_image(image, f"{repository}:1", store=store, registries=registries)
    name = f"{repository}:1@{image.digest}"
    first = _read(name, empty_store, registries)
    faulty_registry.requests.clear()
    assert _read(name, empty_store, registries) == first
    assert faulty_registry.requests == []


def test_a_tag_is_looked_up_each_time(
    faulty_registry: FaultyRegistry,
    store: BlobStore,
    empty_store: BlobStore,
    registries: Registries,
) -> None:
    name = f"{faulty_registry.address}/team/moving:1"
    for content in (b"before", b"after"):
        image = make_image(store, content)
        push_image(image, name, store=store, registries=registries)
        assert _read(name, empty_store, registries).digest == image.digest
        faulty_registry.requests.clear()
        assert _read(name, empty_store, registries).digest == image.digest
        assert [r.method for r in faulty_registry.requests] == ["HEAD"]


def test_a_layer_that_the_cache_lost(
    registry: Registry, store: BlobStore, registries: Registries
) -> None:
    image = make_image(store, b"lost")
    layer = json.loads(store.read(image.digest))["layers"][0]
    store.path(layer["digest"]).unlink()
    with pytest.raises(UserError, match=f"{layer['digest']} is no longer in the cache"):
        push_image(image, f"{registry.address}/team/lost:1", store=store, registries=registries)


def test_memory_stays_small(registry: Registry, tmp_path: Path) -> None:
    """A layer of 400 MiB, pushed and pulled."""
    script = """
import re, sys
from pathlib import Path
from bigflow_backend.image.base.read import fetch_layers, read_base
from bigflow_backend.image.oci import CONFIG, LAYER_TAR, MANIFEST, canonical_json
from bigflow_backend.image.registry import Registries, push_image
from bigflow_backend.image.store.blobs import open_store

root, name = Path(sys.argv[1]), sys.argv[2]
with Registries() as registries:
    with open_store(root / "one") as store:
        with store.writer(LAYER_TAR) as layer:
            for _ in range(400):
                layer.write(bytes(1 << 20))
        config = store.add(canonical_json({
            "os": "linux", "architecture": "amd64",
            "rootfs": {"diff_ids": [layer.descriptor.digest]},
        }), CONFIG)
        manifest = store.add(canonical_json({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config.as_json(),
            "layers": [layer.descriptor.as_json()],
        }), MANIFEST)
        push_image(manifest, name, store=store, registries=registries)
    with open_store(root / "two") as store:
        base = read_base(
            name, architecture="amd64", root=root, store=store, registries=registries
        )
        fetch_layers(base, store=store, registries=registries)
        assert store.has(layer.descriptor.digest, 400 << 20)
# Not getrusage: its maximum begins with that of the process that was forked for this one.
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), f"{registry.address}/team/large:1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert int(done.stdout) < 100 * 1024


def _read(
    name: str, store: BlobStore, registries: Registries, *, architecture: str = "amd64"
) -> BaseImage:
    return read_base(
        name, architecture=architecture, root=store.root, store=store, registries=registries
    )


def _on(base: BaseImage, store: BlobStore) -> Descriptor:
    """An image of a base's layers and one of its own."""
    diff_ids = [*(layer.diff_id for layer in base.layers), sha256_digest(b"own")]
    changes = {"rootfs": {"type": "layers", "diff_ids": diff_ids}}
    own = json.loads(store.read(make_image(store, b"own", config_changes=changes).digest))
    own["layers"][:0] = [layer.descriptor.as_json() for layer in base.layers]
    return store.add(canonical_json(own), own["mediaType"])


def _push_index(
    address: str,
    path: str,
    index: Descriptor,
    images: dict[str, Descriptor],
    *,
    store: BlobStore,
    registries: Registries,
) -> str:
    for image in images.values():
        push_image(image, f"{address}/{path}:part", store=store, registries=registries)
    answer = registries.connection(address).ask(
        "PUT",
        f"/v2/{path}/manifests/all",
        scopes=(),
        headers={"Content-Type": index.media_type},
        body=lambda: store.read(index.digest),
    )
    assert answer.status == 201
    return f"{address}/{path}:all"


def _size(store: BlobStore, image: Descriptor) -> int:
    sizes = re.findall(rb'"size":(\d+)', store.read(image.digest))
    return image.size + sum(map(int, sizes))
