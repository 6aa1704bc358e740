"""The reader of tar archives: it finds what tarfile and GNU tar write, and survives the rest."""

from __future__ import annotations

import io
import math
import subprocess
import tarfile
from typing import TYPE_CHECKING, BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigflow_backend.image.base.compression import DamagedError, unpacked
from bigflow_backend.image.base.tar_reader import Kind, TarReader
from bigflow_backend.image.oci import LAYER_TAR

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.DIRTYPE: Kind.DIRECTORY,
    tarfile.SYMTYPE: Kind.SYMBOLIC_LINK,
    tarfile.LNKTYPE: Kind.HARD_LINK,
    tarfile.CHRTYPE: Kind.OTHER,
}
_NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300
).filter(lambda name: not name.endswith("/"))
_Found = list[tuple[str, Kind, str, bytes]]


def _read(content: bytes) -> _Found:
    found = []
    with unpacked(io.BytesIO(content), LAYER_TAR, deadline=math.inf) as stream:
        reader = TarReader(cast("BinaryIO", io.BufferedReader(stream)), deadline=math.inf)
        for entry in reader:
            data = io.BytesIO()
            if entry.kind is Kind.FILE:
                reader.copy(data)
            found.append((entry.name, entry.kind, entry.target, data.getvalue()))
    return found


@settings(deadline=None)
@given(
    entries=st.lists(
        st.tuples(_NAMES, st.sampled_from(sorted(_KINDS)), _NAMES, st.binary(max_size=1500)),
        max_size=5,
    ),
    form=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
def test_what_tarfile_writes(entries: list[tuple[str, bytes, str, bytes]], form: int) -> None:
    output = io.BytesIO()
    expected: _Found = []
    with tarfile.open(fileobj=output, mode="w", format=form) as archive:
        for name, kind, target, data in entries:
            member = tarfile.TarInfo(name)
            is_link = kind in {tarfile.SYMTYPE, tarfile.LNKTYPE}
            content = data if kind == tarfile.REGTYPE else b""
            member.type, member.size = kind, len(content)
            member.linkname = target if is_link else ""
            archive.addfile(member, io.BytesIO(content))
            shown = f"{name}/" if kind == tarfile.DIRTYPE else name
            expected.append((shown, _KINDS[kind], member.linkname, content))
    assert _read(output.getvalue()) == expected


@pytest.mark.parametrize("form", ["v7", "ustar", "gnu", "oldgnu", "pax"])
@pytest.mark.parametrize("sparse", [False, True])
def test_what_gnu_tar_writes(tmp_path: Path, form: str, *, sparse: bool) -> None:
    root = tmp_path / "root"
    (root / "a/b").mkdir(parents=True)
    (root / "a/one").write_bytes(b"1" * 1000)
    (root / "a/link").symlink_to("one")
    (root / "a/z").write_bytes(b"last")
    with (root / "a/holes").open("wb") as file:
        for place in range(0, 4_000_000, 100_000):
            file.seek(place)
            file.write(b"x" * 4096)
    flags = ["--sparse"] if sparse and form not in {"v7", "ustar"} else []
    subprocess.run(
        ["tar", f"--format={form}", *flags, "--sort=name", "-C", root, "-cf", tmp_path / "x", "a"],
        check=True,
    )
    found = {name: (kind, data) for name, kind, _t, data in _read((tmp_path / "x").read_bytes())}
    assert sorted(found) == ["a/", "a/b/", "a/holes", "a/link", "a/one", "a/z"]
    assert found["a/one"] == (Kind.FILE, b"1" * 1000)
    assert found["a/z"] == (Kind.FILE, b"last")
    assert (found["a/holes"][0] is Kind.SPARSE) == bool(flags)


def _good() -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("short", "long" * 60):
            member = tarfile.TarInfo(name)
            member.size = 700
            archive.addfile(member, io.BytesIO(b"x" * 700))
    return output.getvalue()


_GOOD = _good()


@settings(deadline=None, max_examples=300)
@given(place=st.integers(0, len(_GOOD) - 1), content=st.binary(min_size=1, max_size=20))
def test_damaged_bytes(place: int, content: bytes) -> None:
    """Each ends with a result, or with the one error."""
    damaged = bytearray(_GOOD)
    damaged[place : place + len(content)] = content
    try:
        found = _read(bytes(damaged))
    except DamagedError as error:
        assert str(error).isprintable()  # noqa: PT017
    else:
        assert len(found) <= 4


@given(content=st.binary(max_size=2000))
def test_any_bytes(content: bytes) -> None:
    try:
        assert _read(content) == []
    except DamagedError:
        pass
    else:
        assert not content or not any(content[:512])


def test_an_end_without_zeros() -> None:
    assert len(_read(_GOOD.rstrip(b"\0") + bytes(324))) == 2


@pytest.mark.parametrize(
    "field", [b"-0000000001\0", b"1_0\0", b"+1\0", b"0o7\0", b"9\0", b"\xff" * 12]
)
def test_numbers_that_are_not_valid(field: bytes) -> None:
    block = bytearray(tarfile.TarInfo("x").tobuf())
    block[124:136] = field.ljust(12, b"\0")
    block[148:156] = b"%06o\0 " % (sum(block) - sum(block[148:156]) + 8 * 32)
    with pytest.raises(DamagedError, match="a number is not valid"):
        _read(bytes(block))
