"""The files of a base image: layers over layers, links, and layers that are damaged."""

from __future__ import annotations

import gzip
import math
import re
import tarfile
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.deadline import DeadlineError
from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.read import read_base
from bigflow_backend.image.layered.python.interpreter import _matches
from bigflow_backend.image.layered.rootfs import FileSystem, read_file_system
from bigflow_backend.image.oci import LAYER_GZIP, BaseImage, Layer, sha256_digest
from bigflow_backend.image.registry import Registries
from bigflow_backend.image.store.blobs import open_store
from support.images import layer_tar, write_docker_archive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _file_system(
    tmp_path: Path,
    *layers: bytes,
    wanted: Callable[[str], int | None] = lambda _path: 1000,
    deadline: float = math.inf,
) -> FileSystem:
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
        return read_file_system(store, base, wanted=wanted, directory=contents, deadline=deadline)


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


def _entries(tar: bytes) -> bytes:
    """Return an archive of small files without its end."""
    return tar[: len(tar.rstrip(b"\0")) // 512 * 512 + 512]


def _joined(*archives: bytes) -> bytes:
    """Return one archive with the members of several, each of them two blocks."""
    return b"".join(archive[:1024] for archive in archives) + bytes(1024)


def test_a_name_that_no_file_system_takes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a name has 5000 letters"):
        _file_system(tmp_path, layer_tar({"x/" * 2500: ""}))


def test_a_file_below_a_link_of_the_layer_below(tmp_path: Path) -> None:
    """Only an entry for the directory itself replaces the link."""
    lower = layer_tar({"usr/lib/a": "1", "opt/b": "2"}, {"lib": "usr/lib", "old": "opt"})
    directory = tarfile.TarInfo("old")
    directory.type = tarfile.DIRTYPE
    upper = directory.tobuf() + layer_tar({"lib/a": "II", "lib/new": "3", "old/c": "4"})
    system = _file_system(tmp_path, lower, upper)
    files = {path: text for path, text in _files(system).items() if text is not None}
    assert files == {"usr/lib/a": "II", "usr/lib/new": "3", "opt/b": "2", "old/c": "4"}
    assert system.resolve("lib/new") == "usr/lib/new"
    assert system.resolve("old/b") is None


def test_the_last_entry_of_a_layer_counts(tmp_path: Path) -> None:
    """Also for other kinds of entries."""
    first = layer_tar({"a/x": "1", "b": "2", "d": "3"}, {"c": "b"})
    last = layer_tar({"a": "file", "b/y": "directory", "c": "no link"}, {"d": "a"})
    system = _file_system(tmp_path, _entries(first) + last)
    assert _files(system) == {"a": "file", "b/y": "directory", "c": "no link", "d": "file"}
    assert system.resolve("d") == "a"


def test_files_that_are_not_needed_replace_what_is_there(tmp_path: Path) -> None:
    def wanted(path: str) -> int | None:
        return 10 if path.startswith("needed") else None

    lower = layer_tar({"needed": "1", "needed/x": "2"}, {"link": "needed", "other": "link"})
    upper = layer_tar({"link": "a file", "unknown": "file", "far/away": "file"})
    system = _file_system(tmp_path, lower, upper, wanted=wanted)
    assert [path for path, _node in system.nodes()] == ["link", "needed/x", "other"]
    assert system.resolve("other") == "link"
    assert system.content("other") is None


def test_whiteouts_hide_only_lower_layers(tmp_path: Path) -> None:
    lower = layer_tar({"a/one": "1", "b/two": "2", "c": "3"})
    upper = layer_tar({"a/new": "n", "b/two": "II"})
    hiding = layer_tar({".wh.a": "", "b/.wh.two": "", ".wh.missing": "", "x/.wh..wh..opq": ""})
    for number, layer in enumerate((_entries(upper) + hiding, _entries(hiding) + upper)):
        place = tmp_path / str(number)
        place.mkdir()
        assert _files(_file_system(place, lower, layer)) == {"a/new": "n", "b/two": "II", "c": "3"}
    place = tmp_path / "all"
    place.mkdir()
    assert _files(_file_system(place, lower, layer_tar({".wh..wh..opq": "", "d": "4"}))) == {
        "d": "4"
    }


def test_reading_ends_at_the_deadline(tmp_path: Path) -> None:
    with pytest.raises(DeadlineError):
        _file_system(tmp_path, layer_tar({"a": "1"}), deadline=0)


def test_a_version_at_the_border_of_two_pieces(tmp_path: Path) -> None:
    pattern = re.compile(rb"(?<![0-9.])(3\.11\.\d)\0")
    path = tmp_path / "python"
    for place in range(2**20 - 8, 2**20 + 2):
        path.write_bytes(bytes(place) + b"3.11.2\0" + bytes(2**20))
        assert set(_matches(pattern, path)) == {"3.11.2"}
    for place in range(2**20 - 520, 2**20 - 500):
        path.write_bytes(bytes(place) + b"13.11.2\0" + bytes(2**20))
        assert set(_matches(pattern, path)) == set()
