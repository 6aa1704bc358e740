"""The files of a base image: layers over layers, links, and layers that are damaged."""

from __future__ import annotations

import gzip
import math
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.read import read_base
from bigflow_backend.image.layered.rootfs import FileSystem, read_file_system
from bigflow_backend.image.oci import LAYER_GZIP, BaseImage, Layer, sha256_digest
from bigflow_backend.image.registry import Registries
from bigflow_backend.image.store.blobs import open_store
from support.images import layer_tar, write_docker_archive

if TYPE_CHECKING:
    from pathlib import Path


def _file_system(tmp_path: Path, *layers: bytes) -> FileSystem:
    write_docker_archive(tmp_path / "base.tar", layers, {})
    contents = tmp_path / "contents"
    contents.mkdir()
    with open_store(tmp_path / "store") as store, Registries() as registries:
        base = read_base(
            f"docker-archive:{tmp_path}/base.tar",
            architecture="amd64",
            root=tmp_path,
            store=store,
            registries=registries,
        )
        return read_file_system(
            store, base, wanted=lambda _path: 1000, directory=contents, deadline=math.inf
        )


def _text(system: FileSystem, path: str) -> str | None:
    found = system.content(path)
    return None if found is None else found.read_text()


def _files(system: FileSystem) -> dict[str, str | None]:
    return {path: _text(system, path) for path, _node in system.nodes()}


def test_layers_over_layers(tmp_path: Path) -> None:
    system = _file_system(
        tmp_path,
        layer_tar({"a/one": "1", "a/two": "2", "b/one": "1", "c": "file", "d/e/f": "f"}),
        layer_tar(
            {"a/.wh.one": "", "b/.wh..wh..opq": "", "b/new": "n", ".wh.d": "", "a/two": "II"}
        ),
        layer_tar({"c/now": "a directory", "d/again": "new"}),
    )
    assert _files(system) == {"a/two": "II", "b/new": "n", "c/now": "a directory", "d/again": "new"}
    assert system.layer_sizes == (8, 3, 14)


def test_links_are_followed_as_in_a_container(tmp_path: Path) -> None:
    links = {
        "lib": "usr/lib",
        "usr/bin/python3": "/etc/alternatives/python",
        "etc/alternatives/python": "../../usr/bin/python3.11",
        "loop": "loop",
        "out": "../../../usr/bin/python3.11",
        "nowhere": "gone/x",
    }
    system = _file_system(tmp_path, layer_tar({"usr/bin/python3.11": "p", "usr/lib/x": "x"}, links))
    assert system.resolve("/usr/bin/python3") == "usr/bin/python3.11"
    assert system.resolve("lib/x") == "usr/lib/x"
    assert system.resolve("out") == "usr/bin/python3.11"
    assert system.resolve("loop") is None
    assert system.resolve("nowhere") is None


def test_a_layer_that_is_not_an_archive(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has a layer that is not a valid tar archive"):
        _file_system(tmp_path, b"not an archive, but long enough to look like one" * 20)


def _stored(tmp_path: Path, *members: bytes, diff_id: str) -> FileSystem:
    """Read an image with one layer, which is stored as these bytes."""
    contents = tmp_path / "contents"
    contents.mkdir()
    with open_store(tmp_path / "store") as store:
        layer = Layer(store.add(b"".join(members), LAYER_GZIP), diff_id, "a test")
        base = BaseImage("hostile:1", sha256_digest(b""), "linux", "amd64", {}, (layer,))
        return read_file_system(
            store, base, wanted=lambda _path: 1000, directory=contents, deadline=math.inf
        )


def test_a_gzip_file_of_several_members(tmp_path: Path) -> None:
    """As eStargz has it: a member for each file."""
    tar = layer_tar({"a": "1", "b": "2"})
    members = [gzip.compress(tar[start : start + 512]) for start in range(0, len(tar), 512)]
    system = _stored(tmp_path, *members, diff_id=sha256_digest(tar))
    assert _files(system) == {"a": "1", "b": "2"}


def test_content_after_the_end_of_the_archive_counts(tmp_path: Path) -> None:
    tar = layer_tar({"a": "1"}) + b"x" * 20000
    _stored(tmp_path, gzip.compress(tar), diff_id=sha256_digest(tar))


def test_a_layer_with_another_content_than_its_diff_id(tmp_path: Path) -> None:
    """A hostile image could get the cached layers of a good one replaced."""
    good = sha256_digest(layer_tar({"a": "good"}))
    with pytest.raises(UserError, match="with another content than its configuration says"):
        _stored(tmp_path, gzip.compress(layer_tar({"a": "evil"})), diff_id=good)


@pytest.mark.parametrize("cut", [5, 40])
def test_a_gzip_file_that_is_cut(tmp_path: Path, cut: int) -> None:
    tar = layer_tar({"a": "1"})
    with pytest.raises(UserError, match="not a valid tar archive"):
        _stored(tmp_path, gzip.compress(tar)[:-cut], diff_id=sha256_digest(tar))


def test_hostile_names(tmp_path: Path) -> None:
    """Names end at the root of the image, as in a container."""
    tar = layer_tar({"../../x": "1", "/etc/y": "2", "a/../../z": "3", "b//./c": "4"})
    system = _file_system(tmp_path, tar)
    assert _files(system) == {"x": "1", "etc/y": "2", "z": "3", "b/c": "4"}


def test_a_name_that_comes_twice(tmp_path: Path) -> None:
    tar = _joined(layer_tar({"a": "1"}), layer_tar({"a": "2"}), layer_tar({"b": "3"}))
    system = _file_system(tmp_path, tar)
    assert _files(system) == {"a": "2", "b": "3"}


def _joined(*archives: bytes) -> bytes:
    """Return one archive with the members of several, each of them two blocks."""
    return b"".join(archive[:1024] for archive in archives) + bytes(1024)


def test_a_name_that_no_file_system_takes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a name has 5000 letters"):
        _file_system(tmp_path, layer_tar({"x/" * 2500: ""}))
