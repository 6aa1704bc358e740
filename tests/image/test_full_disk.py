"""A disk that is full: the project's, the cache's, that of temporary files; for both builders."""

from __future__ import annotations

import errno
import os
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.store.blobs import open_store
from support.images import small_base
from support.matrix import rest_slow
from support.small_disk import filled, small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from support.layered import LayeredProject

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")


def _state(project: LayeredProject) -> Mapping[str, bytes]:
    directory = project.root / ".image"
    return {p.name: p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def _refused(project: LayeredProject, **options: Any) -> UserError:
    before = _state(project)
    with pytest.raises(UserError) as caught:
        project.build(**options)
    assert "\n" not in caught.value.message + caught.value.hint
    assert "No space left on device" in caught.value.message
    assert caught.value.hint.startswith("free ")
    assert _state(project) == before
    assert [p.name for p in project.root.iterdir() if p.name.startswith(".image")] == (
        [".image"] if before else []
    )
    return caught.value


@pytest.fixture
def on_small_disk(layered_project: LayeredProject, tmp_path: Path) -> Iterator[LayeredProject]:
    """The project lies on a disk of its own, with an image of a build before."""
    content = {p: p.read_bytes() for p in layered_project.root.rglob("*") if p.is_file()}
    with small_disk(layered_project.root, "2m"):
        for path, data in content.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        layered_project.build()
        yield layered_project


@pytest.mark.parametrize("kind", ["tar", "layout"])
def test_the_project_has_no_space_for_the_image(on_small_disk: LayeredProject, kind: str) -> None:
    random = os.urandom(1 << 20).hex()
    error = _refused(
        on_small_disk,
        files={"demo/resources/large.txt": random[: 3 << 19]},
        export_tar=kind == "tar",
        oci_layout=kind == "layout",
    )
    what = "image-1.0.0.tar" if kind == "tar" else "oci-layout-1.0.0"
    assert error.message == f"cannot write {what}: No space left on device"
    assert on_small_disk.build().tar


@pytest.mark.parametrize("builder", ["layered", pytest.param("engine", marks=pytest.mark.engine)])
@pytest.mark.slow
def test_the_project_has_no_space_at_all(
    layered_project: LayeredProject, builder: str, request: pytest.FixtureRequest
) -> None:
    """The disk has no space for imageinfo; the wheel is in place already."""
    project = layered_project
    if builder == "engine":
        request.getfixturevalue("engine_project")
    project.build(export_tar=False)
    (project.root / "deployment_config.py").write_text("#" * 100_000)
    with small_disk(project.root / "small", "64k"):
        # The staging directory is beside .image/: this is the project's own disk, made small.
        target = project.root / "small"
        content = {
            p.relative_to(project.root): p.read_bytes()
            for p in project.root.rglob("*")
            if p.is_file() and p.suffix != ".tar" and "deployment" not in p.name
        }
        for name, data in content.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(data)
        root, project.root = project.root, target
        try:
            project.build(export_tar=False)
            with filled(target):
                error = _refused_in_place(project, export_tar=False)
            assert error.message.startswith(("no space in ", "cannot write in "))
            project.build(export_tar=False)
        finally:
            project.root = root


def _refused_in_place(project: LayeredProject, **options: Any) -> UserError:
    """With the wheel that is there: a full disk takes no other."""
    with pytest.MonkeyPatch.context() as patch:
        (wheel,) = (project.root / "dist").glob("*.whl")
        patch.setattr("support.layered.make_wheel", lambda *_arguments, **_more: wheel)
        return _refused(project, **options)


@pytest.mark.parametrize("size", rest_slow(["64k", "256k"], quick=["256k"]))
def test_the_cache_has_no_space(layered_project: LayeredProject, tmp_path: Path, size: str) -> None:
    random = os.urandom(1 << 20).hex()
    image = layered_project.build(export_tar=False)
    with small_disk(tmp_path / "cache", size):
        error = _refused(layered_project, files={"demo/resources/large.txt": random})
        assert error.message.startswith(f"cannot write the cache {tmp_path}/cache: ")
        assert "BIGFLOW_CACHE" in error.hint
        root = tmp_path / "cache/blobs"
        with open_store(root) as store:
            for blob in (root / "sha256").iterdir():
                store.read(f"sha256:{blob.name}")
        assert list((root / "partial").iterdir()) == []
    assert layered_project.build(export_tar=False).digest == image.digest


def test_the_tar_of_a_base_has_no_space_in_the_cache(
    layered_project: LayeredProject, tmp_path: Path
) -> None:
    """While the base is read into it."""
    base = small_base(tmp_path / "large.tar", files={"large": os.urandom(1 << 20).hex()})
    with small_disk(tmp_path / "cache", "512k"):
        error = _refused(layered_project, base_image=base)
    assert "cannot write the cache" in error.message


@pytest.mark.engine
def test_no_space_for_the_context(
    engine_project: LayeredProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine_project.build()
    with small_disk(tmp_path / "small", "64k"):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "small"))
        error = _refused(engine_project, files={"demo/large.txt": os.urandom(1 << 18).hex()})
    assert error.message == (
        f"no space for temporary files in {tmp_path}/small: {os.strerror(errno.ENOSPC)}"
    )


@pytest.mark.engine
def test_no_space_for_what_the_engine_saves(engine_project: LayeredProject, tmp_path: Path) -> None:
    image = engine_project.build()
    content = {p: p.read_bytes() for p in engine_project.root.rglob("*") if p.is_file()}
    with small_disk(engine_project.root, "1m"):
        for path, data in content.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        error = _refused(engine_project, export_tar=True)
        assert error.message == "cannot write image-1.0.0.tar: No space left on device"
        assert engine_project.build().id == image.id
