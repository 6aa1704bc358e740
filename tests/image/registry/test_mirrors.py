"""A mirror of a registry: it is asked first, and never trusted more than the registry."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.read import fetch_layers, read_base
from bigflow_backend.image.reference import mirror_name
from bigflow_backend.image.registry import Access, Registries, push_image
from support.faulty_registry import Failure, faulty
from support.images import make_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bigflow_backend.image.oci import BaseImage, Descriptor
    from bigflow_backend.image.store.blobs import BlobStore
    from support.faulty_registry import FaultyRegistry
    from support.registry import Registry


def test_a_mirror_of_docker_hub(
    registry: Registry, store: BlobStore, empty_store: BlobStore
) -> None:
    image = make_image(store, os.urandom(9), os.urandom(9))
    with Registries(Access(mirrors={"docker.io": (f"{registry.address}/hub",)})) as registries:
        name = f"{registry.address}/hub/library/python:3.12"
        push_image(image, name, store=store, registries=registries)
        base = _pull("python:3.12", empty_store, registries)
    assert (base.digest, base.reference) == (image.digest, "python:3.12")
    assert base.repository == "docker.io/library/python"


@pytest.mark.parametrize(
    "failure",
    [
        Failure("GET", "/manifests/", status=404, times=9),
        Failure("GET", "/manifests/", status=403, times=9),
        Failure("GET", "/manifests/", status=503, times=9),
        Failure("GET", "/manifests/", is_corrupt=True, times=9),
        Failure("GET", "/blobs/", status=404, times=9),
        Failure("GET", "/blobs/", is_corrupt=True, times=9),
        Failure("GET", "/blobs/", after=1, drop_after=5, times=9),
    ],
    ids=["unknown", "forbidden", "down", "manifest", "no-blob", "corrupt-blob", "cut-blob"],
)
def test_after_an_error_the_registry_is_asked(
    failure: Failure,
    registry: Registry,
    faulty_registry: FaultyRegistry,
    store: BlobStore,
    empty_store: BlobStore,
) -> None:
    image = make_image(store, os.urandom(1 << 10), os.urandom(1 << 10))
    name = _pushed(image, registry, store)
    faulty_registry.failures.append(failure)
    lines: list[str] = []
    with Registries(_access(registry, faulty_registry.address, say=lines.append)) as registries:
        assert _pull(name, empty_store, registries).digest == image.digest
    reports = [line for line in lines if "the mirror failed" in line]
    assert len(reports) == 1
    assert reports[0].endswith(f"; the mirror failed, so {registry.address} is asked")


def test_a_mirror_that_is_not_there(
    registry: Registry, store: BlobStore, empty_store: BlobStore
) -> None:
    image = make_image(store, os.urandom(9))
    name = _pushed(image, registry, store)
    with Registries(_access(registry, "localhost:1")) as registries:
        assert _pull(name, empty_store, registries).digest == image.digest
    with (
        Registries(Access(mirrors={"localhost:2": ("localhost:1",)}, attempts=1)) as registries,
        pytest.raises(UserError, match="localhost:2"),
    ):
        _pull("localhost:2/team/none:1", empty_store, registries)


def test_the_second_mirror_is_asked_after_the_first(
    registry: Registry,
    faulty_registry: FaultyRegistry,
    store: BlobStore,
    empty_store: BlobStore,
) -> None:
    image = make_image(store, os.urandom(9))
    name = _pushed(image, registry, store)
    lines: list[str] = []
    mirrors = ("localhost:1", faulty_registry.address)
    with Registries(_access(registry, *mirrors, say=lines.append)) as registries:
        assert _pull(name, empty_store, registries).digest == image.digest
    (report,) = [line for line in lines if "the mirror failed" in line]
    assert report.endswith(f"; the mirror failed, so {faulty_registry.address} is asked")
    assert faulty_registry.count("GET", "/blobs/") == 2


@pytest.mark.slow
def test_a_mirror_that_never_answers_gets_a_share_of_the_time(
    registry: Registry,
    faulty_registry: FaultyRegistry,
    store: BlobStore,
    empty_store: BlobStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bigflow_backend.image.registry.connection._SHARE_OF_A_MIRROR", 300)
    image = make_image(store, os.urandom(9))
    name = _pushed(image, registry, store)
    faulty_registry.failures.append(Failure("GET", "/manifests/", is_silent=True, times=9))
    access = _access(registry, faulty_registry.address, deadline=time.monotonic() + 600)
    with Registries(dataclasses.replace(access, idle_timeout=600)) as registries:
        assert _pull(name, empty_store, registries).digest == image.digest
    assert faulty_registry.count("GET", "/manifests/") == 1


def test_nothing_is_pushed_to_a_mirror(
    registry: Registry, faulty_registry: FaultyRegistry, store: BlobStore
) -> None:
    image = make_image(store, os.urandom(9))
    with Registries(_access(registry, faulty_registry.address)) as registries:
        name = f"{registry.address}/team/unmirrored:1"
        push_image(image, name, store=store, registries=registries)
    assert faulty_registry.requests == []


def test_a_mirror_gets_no_credentials_of_the_registry(
    registry_with_password: Registry,
    store: BlobStore,
    empty_store: BlobStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = registry_with_password
    secret = base64.b64encode(f"{registry.username}:{registry.password}".encode()).decode()
    (tmp_path / "config.json").write_text(
        json.dumps({"auths": {registry.address: {"auth": secret}}})
    )
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    image = make_image(store, os.urandom(9))
    name = _pushed(image, registry, store)
    with faulty(registry.address) as mirror:  # it asks for the password, as its upstream does
        with Registries(_access(registry, mirror.address)) as registries:
            assert _pull(name, empty_store, registries).digest == image.digest
        assert mirror.requests
        assert not [r for r in mirror.requests if "Authorization" in r.headers]


@pytest.mark.parametrize("mirror", ["https://m", "m:1/UPPER", "m/", "user@m", ""])
def test_a_mirror_that_is_not_valid(mirror: str) -> None:
    with pytest.raises(UserError, match="is not a valid"):
        mirror_name(mirror)


def _access(
    registry: Registry,
    *mirrors: str,
    say: Callable[[str], None] = print,
    deadline: float | None = None,
) -> Access:
    places = {registry.address: mirrors}
    return Access(mirrors=places, pause=lambda _seconds: None, say=say, deadline=deadline)


def _pushed(image: Descriptor, registry: Registry, store: BlobStore) -> str:
    name = f"{registry.address}/team/mirrored:1"
    with Registries() as registries:
        push_image(image, name, store=store, registries=registries)
    return name


def _pull(name: str, store: BlobStore, registries: Registries) -> BaseImage:
    base = read_base(
        name, architecture="amd64", root=store.root, store=store, registries=registries
    )
    fetch_layers(base, store=store, registries=registries)
    return base
