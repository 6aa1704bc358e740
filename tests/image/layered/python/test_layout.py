"""Hostile names: nothing is written outside of the directory that gets a base's files."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigflow_backend.image.layered.python.base_python import lay_out

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bigflow_backend.image.store.blobs import BlobStore

_PARTS = st.sampled_from(
    ["a", "b", "lib", "..", ".", "", "a:b", "é", "\n", "x" * 300, "/", "root", "\0", "\udcff"]
)
_PATHS = st.lists(_PARTS, min_size=1, max_size=5).map("/".join)
_TARGETS = st.one_of(
    _PATHS,
    st.sampled_from(["/", "..", "../outside", "/etc", "../../..", "a", "{outside}", "\0", "."]),
)


def _names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def _state(directory: Path) -> list[tuple[str, int, int]]:
    paths = [directory, *sorted(directory.rglob("*"))]
    return [(str(p), p.lstat().st_mode, p.lstat().st_mtime_ns) for p in paths]


@settings(max_examples=100, deadline=None)
@given(names=st.lists(_PATHS, max_size=6), links=st.dictionaries(_PATHS, _TARGETS, max_size=6))
def test_hostile_names(store: BlobStore, names: list[str], links: Mapping[str, str]) -> None:
    blob = store.add(b"hostile", "application/octet-stream")
    with tempfile.TemporaryDirectory() as name:
        outside, inside = Path(name, "outside"), Path(name, "inside")
        (outside / "a").mkdir(parents=True)
        (outside / "lib").write_text("ours")
        inside.mkdir()
        before = _state(outside)
        targets = {link: target.format(outside=outside) for link, target in links.items()}
        with contextlib.suppress(OSError, ValueError):
            lay_out(inside / "root", dict.fromkeys(names, blob), targets, store)
        assert _state(outside) == before
        assert _names(Path(name)) == {"inside", "outside"}
        assert _names(inside) <= {"root"}


def test_a_link_below_a_link(store: BlobStore, tmp_path: Path) -> None:
    """The second link would be made in a directory of this machine."""
    outside = tmp_path / "outside"
    outside.mkdir()
    lay_out(tmp_path / "root", {}, {"a": str(outside), "a/evil": "/etc/passwd"}, store)
    assert _names(outside) == set()
    assert (tmp_path / "root" / "a").readlink() == outside


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../x", "", "a//b", "./a", "a/."])
def test_names_that_are_not_paths_in_an_image(store: BlobStore, tmp_path: Path, name: str) -> None:
    blob = store.add(b"hostile", "application/octet-stream")
    with pytest.raises(ValueError, match="is not a path in an image"):
        lay_out(tmp_path / "root", {name: blob}, {}, store)
    assert _names(tmp_path / "root") == set()


def test_files_and_links_are_at_their_places(store: BlobStore, tmp_path: Path) -> None:
    blob = store.add(b"content", "application/octet-stream")
    old = os.umask(0o077)
    try:
        files = {"usr/lib/x.so": blob, "bin/python": blob}
        links = {"lib": "usr/lib", "bin": "usr/bin", "usr/lib/y.so": "x.so"}
        lay_out(tmp_path / "root", files, links, store)
    finally:
        os.umask(old)
    root = tmp_path / "root"
    assert (root / "lib/y.so").read_bytes() == b"content"
    assert (root / "bin").is_dir()
    assert not (root / "bin").is_symlink()
    for path in (root, root / "usr", root / "usr/lib", root / "usr/lib/x.so"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o755
