"""SIGINT, SIGTERM and SIGKILL in each phase of a build by the layered builder.

``.image/`` stays as it was, the cache stays intact, and the next build works. test_builds.py stops
a build while it builds a dependency.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.image.base.read import read_base
from bigflow_backend.image.registry import Registries, push_image
from bigflow_backend.image.store.blobs import open_store
from support.faulty_registry import Failure
from support.images import make_image
from support.interrupted import SIGNALS, interrupted_build
from support.matrix import matrix

if TYPE_CHECKING:
    import signal
    from pathlib import Path

    from docker import DockerClient

    from support.faulty_registry import FaultyRegistry
    from support.layered import LayeredProject
    from support.registry import Registry
    from support.stalling_engine import StallingEngine

_CHANGED = {"demo/__init__.py": "TEXT = 'second'\n"}


def _check(project: LayeredProject, tmp_path: Path, before: dict[str, bytes]) -> None:
    """Check that the last image is as it was, and that the cache has only whole blobs."""
    directory = project.root / ".image"
    assert {p.name: p.read_bytes() for p in directory.iterdir()} == before
    root = tmp_path / "cache/blobs"
    with open_store(root) as store:
        for blob in (root / "sha256").iterdir():
            store.read(f"sha256:{blob.name}")  # raises an error for a damaged blob
    for left in ("partial", "sessions"):
        assert list((root / left).iterdir()) == []


def _built(project: LayeredProject) -> dict[str, bytes]:
    project.build()
    return {p.name: p.read_bytes() for p in (project.root / ".image").iterdir()}


@matrix("number, at", SIGNALS, ["layers", "tar", "info"])
def test_while_it_is_made(
    layered_project: LayeredProject, tmp_path: Path, number: signal.Signals, at: str
) -> None:
    before = _built(layered_project)
    options: dict[str, Any] = {"files": _CHANGED, "oci_layout": at == "info"}
    interrupted_build(layered_project, number, at=at, started=tmp_path / "started", **options)
    _check(layered_project, tmp_path, before)
    image = layered_project.build(**options)
    assert layered_project.info(image)["digest"] == image.digest


@matrix("number, place", SIGNALS, ["manifests", "blobs"])
def test_while_its_base_is_pulled(
    *,
    layered_project: LayeredProject,
    registry: Registry,
    faulty_registry: FaultyRegistry,
    tmp_path: Path,
    number: signal.Signals,
    place: str,
) -> None:
    before = _built(layered_project)
    with open_store(tmp_path / "made") as store, Registries() as registries:
        base = make_image(store, b"\0" * 10240)
        push_image(base, f"{registry.address}/stop/base:1", store=store, registries=registries)
    faulty_registry.failures.append(Failure("GET", f"/{place}/", is_silent=True))
    interrupted_build(
        layered_project,
        number,
        at=place,
        started=faulty_registry.fell_silent,
        base_image=f"{faulty_registry.address}/stop/base:1",
    )
    _check(layered_project, tmp_path, before)
    assert layered_project.build().digest


@matrix("number, place", SIGNALS, ["uploads", "manifests"])
def test_while_it_is_pushed(
    layered_project: LayeredProject,
    faulty_registry: FaultyRegistry,
    tmp_path: Path,
    number: signal.Signals,
    place: str,
) -> None:
    before = _built(layered_project)
    faulty_registry.failures.append(Failure("PUT", f"/{place}/", is_silent=True))
    options: dict[str, Any] = {
        "files": _CHANGED,
        "push": True,
        "repository": f"{faulty_registry.address}/stop/{place}-{number.name.lower()}",
    }
    interrupted_build(
        layered_project, number, at=place, started=faulty_registry.fell_silent, **options
    )
    _check(layered_project, tmp_path, before)
    image = layered_project.build(**options)
    with open_store(tmp_path / "pulled") as store, Registries() as registries:
        found = read_base(
            image.tag, architecture="amd64", root=tmp_path, store=store, registries=registries
        )
        assert found.digest == image.digest


@pytest.mark.engine
@matrix("number", SIGNALS)
def test_while_it_is_loaded(
    *,
    layered_project: LayeredProject,
    engine: DockerClient,
    stalling_engine: StallingEngine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    before = _built(layered_project)
    images = {str(image.id) for image in engine.images.list()}
    stalling_engine.stall_at = r"POST /[^ ]*images/load"
    options: dict[str, Any] = {"load": True, "repository": f"stop/load-{number.name.lower()}"}
    with monkeypatch.context() as patch:
        patch.setenv("DOCKER_HOST", stalling_engine.url)
        interrupted_build(
            layered_project, number, at="load", started=stalling_engine.stalled, **options
        )
    _check(layered_project, tmp_path, before)
    assert {str(image.id) for image in engine.images.list()} == images
    image = layered_project.build(**options)
    assert engine.images.get(image.tag).id == image.id
    engine.images.remove(image.tag)
