"""Registries and engines that fail while the layered builder pulls, pushes or loads."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.read import read_base
from bigflow_backend.image.registry import Registries, push_image
from bigflow_backend.image.registry.retry import Access
from bigflow_backend.image.store.blobs import open_store
from support.engine import sockets_may_leak
from support.faulty_registry import Failure
from support.images import make_image
from support.matrix import rest_slow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from docker import DockerClient

    from support.faulty_registry import FaultyRegistry
    from support.layered import LayeredProject
    from support.registry import Registry
    from support.stalling_engine import StallingEngine

_LOAD = r"POST /[^ ]*/images/load"
_LAYER = "/blobs/sha256:"
_UPLOAD = "/blobs/uploads/"
_MANIFEST = "/manifests/"


@pytest.fixture
def base(layered_project: LayeredProject, registry: Registry, tmp_path: Path) -> str:
    """Return the path and tag of the project's base image in the registry."""
    with open_store(tmp_path / "pushed") as store, Registries() as registries:
        found = read_base(
            layered_project.base,
            architecture="amd64",
            root=tmp_path,
            store=store,
            registries=registries,
        )
        manifest = make_image(store, b"", config_changes=found.config)
        layers = [layer.descriptor.as_json() for layer in found.layers]
        document = json.loads(store.read(manifest.digest)) | {"layers": layers}
        image = store.add(json.dumps(document).encode(), manifest.media_type)
        push_image(image, f"{registry.address}/failures/base:1", store=store, registries=registries)
    return "failures/base:1"


@dataclass(frozen=True, kw_only=True)
class _WithoutPauses(Access):
    """Access that retries at once."""

    pause: Callable[[float], None] = field(default=lambda _seconds: None, repr=False)


@dataclass(frozen=True, kw_only=True)
class _Impatient(_WithoutPauses):
    """Access for a registry that is silent: on a busy machine the others may be, too."""

    idle_timeout: float = 0.3


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bigflow_backend.image.registry.Access", _WithoutPauses)


@contextlib.contextmanager
def _impatient(*, when: bool) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if when:
            patch.setattr("bigflow_backend.image.registry.Access", _Impatient)
        yield


def _state(project: LayeredProject) -> Mapping[str, bytes]:
    directory = project.root / ".image"
    return {p.name: p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def _refused(project: LayeredProject, tmp_path: Path, **options: Any) -> UserError:
    """Return the error of a build that leaves ``.image/`` as it was, and the cache intact."""
    before = _state(project)
    with pytest.raises(UserError) as caught:
        project.build(**options)
    assert "\n" not in caught.value.message + caught.value.hint
    assert caught.value.hint
    assert _state(project) == before
    assert sorted(p.name for p in project.root.iterdir() if p.name.startswith(".image")) == (
        [".image"] if before else []
    )
    root = tmp_path / "cache/blobs"
    with open_store(root) as store:
        for blob in (root / "sha256").iterdir():
            store.read(f"sha256:{blob.name}")
    for directory in ("partial", "sessions"):
        assert list((root / directory).iterdir()) == []
    return caught.value


_PULLS: dict[str, tuple[dict[str, Any], str]] = {
    "401": ({"status": 401}, "requires credentials"),
    "403": ({"status": 403}, r"refuses access: it answered 403 \(Forbidden\)"),
    "404": ({"status": 404}, "(has no image|404)"),
    "429": ({"status": 429, "headers": {"Retry-After": "1"}}, r"429 \(Too Many Requests\) 5 times"),
    "500": ({"status": 500}, r"500 \(Internal Server Error\) 5 times"),
    "dropped": ({"drop_after": -1}, "dropped the connection 5 times"),
    "cut": ({"drop_after": 10}, "(dropped the connection|sent an incomplete blob) 5 times"),
    "silent": ({"is_silent": True}, "sent no data in time 5 times"),
    "corrupt": ({"is_corrupt": True}, "sent corrupt content"),
}


@pytest.mark.parametrize(
    ("kind", "what"),
    rest_slow(
        [
            *((kind, _MANIFEST) for kind in ("401", "404", "429", "dropped", "corrupt")),
            *((kind, _LAYER) for kind in ("403", "500", "cut", "silent", "corrupt")),
        ],
        quick=[("401", _MANIFEST), ("dropped", _MANIFEST), ("cut", _LAYER), ("corrupt", _LAYER)],
    ),
)
def test_a_pull_that_fails(
    *,
    layered_project: LayeredProject,
    faulty_registry: FaultyRegistry,
    tmp_path: Path,
    base: str,
    kind: str,
    what: str,
) -> None:
    if kind == "silent":
        layered_project.build()
    name = f"{faulty_registry.address}/{base}"
    how, message = _PULLS[kind]
    faulty_registry.failures.append(Failure("GET", what, **how, times=100))
    with _impatient(when=kind == "silent"):
        error = _refused(layered_project, tmp_path, base_image=name)
    assert name in error.message, error.message
    assert re.search(message, error.message), error.message
    faulty_registry.failures.clear()
    image = layered_project.build(base_image=name)
    assert layered_project.info(image)["base"]["name"] == name


_PUSHES: dict[str, tuple[dict[str, Any], str]] = {
    name: _PULLS[name] for name in ("401", "403", "429", "500", "dropped", "silent")
} | {"404": ({"status": 404}, "answered 404")}


@pytest.mark.parametrize(
    ("kind", "method", "what"),
    rest_slow(
        [
            *((kind, "POST", _UPLOAD) for kind in ("401", "404", "429", "500")),
            *((kind, "PUT", _UPLOAD) for kind in ("dropped", "silent")),
            *((kind, "PUT", _MANIFEST) for kind in ("403", "500")),
        ],
        quick=[("401", "POST", _UPLOAD), ("dropped", "PUT", _UPLOAD), ("500", "PUT", _MANIFEST)],
    ),
)
def test_a_push_that_fails(
    *,
    layered_project: LayeredProject,
    faulty_registry: FaultyRegistry,
    tmp_path: Path,
    kind: str,
    method: str,
    what: str,
) -> None:
    layered_project.build(files={"demo/__init__.py": "before = 1\n"})
    how, message = _PUSHES[kind]
    faulty_registry.failures.append(Failure(method, what, **how, times=100))
    # Another path in each case, so that the registry has nothing of it yet.
    place = f"{method}{what}".strip("/").replace("/", "-").lower()
    repository = f"{faulty_registry.address}/push-{kind}/{place}"
    with _impatient(when=kind == "silent"):
        error = _refused(layered_project, tmp_path, repository=repository, push=True)
    assert faulty_registry.address in error.message
    assert re.search(message, error.message), error.message
    faulty_registry.failures.clear()
    image = layered_project.build(repository=repository, push=True)
    with open_store(tmp_path / "pulled") as store, Registries() as registries:
        found = read_base(
            image.tag, architecture="amd64", root=tmp_path, store=store, registries=registries
        )
        assert found.digest == image.digest


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        (
            "localhost:1/team/base:1",
            "no registry answers at localhost:1: Connection refused",
            "network",
        ),
        ("registry.invalid/base:1", "no registry answers at registry.invalid: ", "name and port"),
        ("{registry}/no/such:1", "the registry {registry} has no image", "name and tag"),
        ("oci:nowhere", "the base image oci:nowhere does not exist", "path after oci:"),
        ("a b", "'a b' is not a valid image name", "write it like"),
        ("Team/Base:1", "'Team/Base:1' is not a valid image name", "write it like"),
        (
            "python:3.12:1",
            "'python:3.12:1' is not a valid image name",
            "write it like",
        ),
        ("", "'' is not a valid image name", "write it like"),
    ],
)
def test_a_base_that_is_not_available(
    *,
    layered_project: LayeredProject,
    registry: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    message: str,
    hint: str,
) -> None:
    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    name, message = (text.replace("{registry}", registry.address) for text in (name, message))
    error = _refused_at_once(layered_project, base_image=name)
    assert name in error.message
    assert message in error.message
    assert hint in error.hint


def _refused_at_once(project: LayeredProject, **options: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        project.build(**options)
    assert "\n" not in caught.value.message + caught.value.hint
    assert not (project.root / ".image").exists()
    return caught.value


def test_a_base_of_another_architecture(
    layered_project: LayeredProject, registry: Registry, base: str, tmp_path: Path
) -> None:
    for name in (f"{registry.address}/{base}", layered_project.base):
        error = _refused_at_once(layered_project, base_image=name, platforms=("linux/arm64",))
        assert error.message == (f"the base image {name} is for linux/amd64, not for linux/arm64")
        assert "build for its platform" in error.hint


@pytest.mark.parametrize(
    ("repository", "version", "message"),
    [
        ("registry.example.com/Team/demo", "1.0", "has upper-case letters"),
        ("https://registry.example.com/demo", "1.0", "is not a valid image name"),
        ("registry.example.com/demo:latest", "1.0", "has a tag"),
        ("registry.example.com/team demo", "1.0", "is not a valid image name"),
        ("registry.example.com/demo", "1.0" + "0" * 130, "an image tag has at most 128"),
    ],
)
def test_invalid_image_names(
    layered_project: LayeredProject, repository: str, version: str, message: str
) -> None:
    error = _refused_at_once(layered_project, repository=repository, version=version)
    assert message in error.message


def test_a_cache_that_is_removed_during_a_build(
    layered_project: LayeredProject, tmp_path: Path, registry: Registry
) -> None:
    """The build reports it, and the next build works."""
    image = layered_project.build()

    class Remover(list[str]):
        def append(self, line: str) -> None:
            if "pushing" in line:
                shutil.rmtree(tmp_path / "cache/blobs/sha256")
                (tmp_path / "cache/blobs/sha256").mkdir()

    layered_project.said = Remover()
    repository = f"{registry.address}/lost/demo"
    with pytest.raises(UserError, match="is no longer in the cache"):
        layered_project.build(repository=repository, push=True)
    layered_project.said = []
    again = layered_project.build(repository=repository, push=True)
    assert again.digest == image.digest


@pytest.mark.engine
@pytest.mark.parametrize("at", rest_slow([_LOAD, r"POST /[^ ]*/tag"], quick=[_LOAD]))
def test_an_engine_that_stops_while_it_takes_the_image(
    *,
    layered_project: LayeredProject,
    engine: DockerClient,
    stalling_engine: StallingEngine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at: str,
) -> None:
    layered_project.build()
    stalling_engine.stall_at, stalling_engine.drops = at, True
    with monkeypatch.context() as patch, sockets_may_leak():
        patch.setenv("DOCKER_HOST", stalling_engine.url)
        error = _refused(layered_project, tmp_path, load=True, repository="stops/demo")
    doing = "loading" if "load" in at else "tagging"
    assert error.message.startswith(f"the Docker Engine stopped while {doing} the image: ")
    assert engine.images.list("stops/demo") == []
    image = layered_project.build(load=True, repository="stops/demo")
    assert engine.images.get(image.tag).id == image.id
    engine.images.remove(image.tag)
