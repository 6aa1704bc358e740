"""Hostile base images: entries of layers, layers, archives, and the Python of a base."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import platform
import subprocess
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

from bigflow_backend.image.oci import CONFIG, LAYER_GZIP, LAYER_TAR, LAYER_ZSTD, MANIFEST
from hostile.runner import attempt
from support.images import layer_tar, write_docker_archive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from _pytest.mark.structures import ParameterSet

    from hostile.runner import Scratch

_MINOR = ".".join(platform.python_version_tuple()[:2])
_MEBIBYTE = 1 << 20
_GIBIBYTE = 1 << 30
_PROGRAM = f"usr/local/bin/python{_MINOR}"
_PASSWD = "etc/passwd"
_LIBC = b"GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n"
_GOOD: dict[str, bytes | str] = {
    _PROGRAM: b"\x7fELF\0" + platform.python_version().encode() + b"\0",
    "lib/x86_64-linux-gnu/libc.so.6": _LIBC,
    f"usr/local/lib/python{_MINOR}/os.py": "name = 'posix'\n",
    _PASSWD: "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
}
_LINKS = {"usr/local/bin/python3": f"python{_MINOR}"}
_END = bytes(1024)


def _good() -> bytes:
    """Return the entries of a good layer, without the end of the archive."""
    return _entries(layer_tar(_GOOD, _LINKS))


def _entries(tar: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        last = max(m.offset_data + -(-m.size // 512) * 512 for m in archive)
    return tar[:last]


def _header(name: str, *, kind: bytes = b"0", size: int = 0, target: str = "") -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname = kind, size, target
    return member.tobuf(tarfile.GNU_FORMAT)


def _zeros(size: int) -> Iterator[bytes]:
    for start in range(0, size, _MEBIBYTE):
        yield bytes(min(_MEBIBYTE, size - start))


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def _layout(
    path: Path,
    *layers: Iterable[bytes] | bytes,
    diff_ids: Iterable[str] = (),
    media_type: str = LAYER_GZIP,
    kind: str = "gzip",
) -> str:
    """Write an OCI layout with these layers, in pieces; ``kind`` is ``gzip``, ``members``, ``no``.

    Return its name for ``--base-image``.
    """
    blobs = path / "blobs/sha256"
    blobs.mkdir(parents=True)
    descriptors, found = [], []
    for layer in layers:
        packed, plain = hashlib.sha256(), hashlib.sha256()
        new = blobs / "new"
        with new.open("wb") as file:
            compressor = zlib.compressobj(1, wbits=31)
            for piece in [layer] if isinstance(layer, bytes) else layer:
                plain.update(piece)
                if kind == "members":
                    data = gzip.compress(piece, 1)
                else:
                    data = piece if kind == "no" else compressor.compress(piece)
                packed.update(data)
                file.write(data)
            if kind == "gzip":
                rest = compressor.flush()
                packed.update(rest)
                file.write(rest)
        size = new.stat().st_size
        new.rename(blobs / packed.hexdigest())
        digest = f"sha256:{packed.hexdigest()}"
        descriptors.append({"mediaType": media_type, "digest": digest, "size": size})
        found.append(f"sha256:{plain.hexdigest()}")

    def stored(document: Mapping[str, Any], document_type: str) -> dict[str, Any]:
        content = json.dumps(document).encode()
        name = hashlib.sha256(content).hexdigest()
        (blobs / name).write_bytes(content)
        return {"mediaType": document_type, "digest": f"sha256:{name}", "size": len(content)}

    rootfs = {"type": "layers", "diff_ids": [*diff_ids] or found}
    config = stored(
        {"os": "linux", "architecture": "amd64", "config": {}, "rootfs": rootfs}, CONFIG
    )
    document = {"schemaVersion": 2, "config": config, "layers": descriptors}
    index = {"schemaVersion": 2, "manifests": [stored(document, MANIFEST)]}
    (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}', "utf-8")
    (path / "index.json").write_text(json.dumps(index), "utf-8")
    return f"oci:{path}"


def _pax(key: str, value: bytes) -> bytes:
    size = len(key) + len(value) + 3
    while len(str(size)) + len(key) + len(value) + 3 != size:
        size = len(str(size)) + len(key) + len(value) + 3
    record = f"{size} {key}=".encode() + value + b"\n"
    return _header("pax", kind=b"x", size=len(record)) + _padded(record)


def _long_name(name: bytes) -> bytes:
    return _header("././@LongLink", kind=b"L", size=len(name)) + _padded(name) + _header("x")


def _size(number: int) -> bytes:
    """Return an entry that states a size, without content."""
    member = tarfile.TarInfo("big")
    member.size = number
    return member.tobuf(tarfile.GNU_FORMAT)


def _large(name: str, size: int) -> Iterator[bytes]:
    yield _good()
    yield _header(name, size=size)
    yield from _zeros(size)
    yield _END


def _large_header(kind: bytes) -> Iterator[bytes]:
    yield _good()
    yield _header("header", kind=kind, size=_GIBIBYTE)
    yield from _zeros(_GIBIBYTE)
    yield _header("x") + _END


def _sparse_map(blocks: int) -> Iterator[bytes]:
    """Yield a sparse entry of old GNU format, with a long map of its holes."""
    yield _good()
    block = bytearray(_header("sparse", kind=b"S"))
    block[482] = 1
    block[148:156] = b"%06o\0 " % (sum(block) - sum(block[148:156]) + 8 * 32)
    yield bytes(block)
    more = bytes(504) + b"\1" + bytes(7)
    for _ in range(blocks // 2048):
        yield more * 2048
    yield bytes(512) + _END


def _many(count: int, name: str, kind: bytes = b"0", target: str = "") -> Iterator[bytes]:
    """Yield many entries; ``%07d`` in the name and the target is their number."""
    template = _header(name % 0, kind=kind, target=target % 0 if "%" in target else target)
    plain = bytearray(template)
    place = template.index(b"0000000")
    other = template.find(b"0000000", 157) if "%" in target else -1
    total = sum(plain) - sum(plain[148:156]) + 8 * 32
    total -= 7 * 48 * (2 if other > 0 else 1)
    yield _good()
    for start in range(0, count, 2000):
        piece = bytearray()
        for number in range(start, start + 2000):
            digits = b"%07d" % number
            plain[place : place + 7] = digits
            if other > 0:
                plain[other : other + 7] = digits
            plain[148:156] = b"%06o\0 " % (total + sum(digits) * (2 if other > 0 else 1))
            piece += plain
        yield bytes(piece)
    yield _END


def _chain(count: int) -> Iterator[bytes]:
    """Yield links to directories with links to directories, down to the C library."""
    yield _good()
    yield _header("d0", kind=b"2", target="lib/x86_64-linux-gnu")
    for number in range(1, count):
        yield _header(f"e{number}/l", kind=b"2", target=f"../d{number - 1}")
        yield _header(f"d{number}", kind=b"2", target=f"e{number}")
    yield _END


# Entries: what they are, and whether the build succeeds (None: either).
_ENTRIES: dict[str, tuple[Callable[[], Iterable[bytes]], bool | None]] = {
    "a GNU name of 1 MB": (lambda: [_good(), _long_name(b"x/" * 500_000), _END], False),
    "a GNU name of 1 MiB and 1": (lambda: [_good(), _long_name(b"x" * (_MEBIBYTE + 1))], False),
    "a PAX name of 1 MB": (lambda: [_good(), _pax("path", b"x/" * 500_000), _header("x")], False),
    "a PAX name with surrogates": (
        lambda: [_good(), _pax("path", b"\xff\xed\xa0\x80/x"), _header("x"), _END],
        True,
    ),
    "a PAX header of digits": (
        lambda: [_good(), _pax("comment", b"1" * 1_000_000), _header("x"), _END],
        True,
    ),
    "a PAX header of only digits": (
        lambda: [_good(), _header("p", kind=b"x", size=_MEBIBYTE), b"1" * _MEBIBYTE, _END],
        False,
    ),
    "a PAX size of 2^63": (lambda: [_good(), _pax("size", b"%d" % 2**63), _header("x")], False),
    "a PAX size of letters": (lambda: [_good(), _pax("size", b"ten"), _header("x")], False),
    "a PAX size of 5,000 digits": (
        lambda: [_good(), _pax("size", b"9" * 5000), _header("x")],
        False,
    ),
    "a size of 2^62": (lambda: [_good(), _size(2**62)], False),
    "a header that is cut": (lambda: [_good(), _header("x")[:100]], False),
    "1,000 headers in front of an entry": (
        lambda: [_good(), _long_name(b"x")[:1024] * 1000, _header("y"), _END],
        True,
    ),
    "a sparse C library": (
        lambda: [_good(), _pax("GNU.sparse.major", b"1"), _header("lib/libc.so.6"), _END],
        False,
    ),
    "a path of 4,000 levels": (lambda: [_good(), _long_name(b"a/" * 2000), _END], True),
    "4,000 paths of 2,000 levels": (
        lambda: [_good(), *(_long_name(b"%d/" % n + b"a/" * 2000 + b"bin/x") for n in range(4000))],
        False,
    ),
    "a link with a target of 1 MB": (
        lambda: [_good(), _pax("linkpath", b"x/" * 500_000), _header("x", kind=b"2"), _END],
        False,
    ),
    "links to links' directories": (lambda: _chain(2000), None),
    "names with line breaks": (
        lambda: [
            _good(),
            _header(f"usr/local/lib/python{_MINOR}/site-packages/a-1\nb==2.dist-info", kind=b"5"),
            _END,
        ],
        True,
    ),
    "a NUL in a PAX name": (
        lambda: [_good(), _pax("path", b"lib/libm.so.6\0/../x"), _header("x"), _END],
        True,
    ),
    "names that are not UTF-8": (
        lambda: [
            _good(),
            *(_pax("path", b"\xff/libm.so.6"), _header("x")),
            *(_pax("path", f"usr/local/lib/python{_MINOR}/".encode() + b"\xff.py"), _header("x")),
            *(_pax("linkpath", b"/lib/\xff"), _header("lib/libz.so", kind=b"2"), _END),
        ],
        True,
    ),
    "a file below a file": (
        lambda: [_good(), _header("etc/passwd/x"), _header("etc/group", kind=b"2", target=".")],
        None,
    ),
    "a link to itself as home": (
        lambda: [_good(), _header("home", kind=b"2", target="home"), _END],
        None,
    ),
    "only zeros": (lambda: _zeros(64 * _MEBIBYTE), False),
}
_SLOW_ENTRIES: dict[str, tuple[Callable[[], Iterable[bytes]], bool | None]] = {
    "a PAX header of 1 GB": (lambda: _large_header(b"x"), False),
    "a global PAX header of 1 GB": (lambda: _large_header(b"g"), False),
    "a GNU name of 1 GB": (lambda: _large_header(b"L"), False),
    "a GNU link of 1 GB": (lambda: _large_header(b"K"), False),
    "a sparse map of 1 GB": (lambda: _sparse_map(2_000_000), True),
    "1 GB of etc/passwd": (lambda: _large(_PASSWD, _GIBIBYTE), False),
    "a module of 600 MB": (
        lambda: _large(f"usr/local/lib/python{_MINOR}/big.py", 600 * _MEBIBYTE),
        False,
    ),
    "a C library of 1 GB": (lambda: _large("lib/libc.so.6", _GIBIBYTE), False),
    "a C library of 500 MB": (lambda: _large("lib/libc.so.6", 500 * _MEBIBYTE), True),
    "a Python of 500 MB": (lambda: _large(_PROGRAM, 500 * _MEBIBYTE), False),
    "another file of 2 GB": (lambda: _large("opt/data", 2 * _GIBIBYTE), True),
    "1,000,000 empty files": (lambda: _many(1_000_000, "opt/%07d"), True),
    "1,000,000 empty modules": (
        lambda: _many(1_000_000, f"usr/local/lib/python{_MINOR}/%07d.py"),
        False,
    ),
    "1,000,000 directories": (lambda: _many(1_000_000, "opt/%07d", b"5"), False),
    "1,000,000 links": (lambda: _many(1_000_000, "opt/%07d", b"2", "x" * 90), False),
    "1,000,000 whiteouts": (lambda: _many(1_000_000, "opt/.wh.%07d"), False),
    "200,000 links to the C library": (
        lambda: _many(200_000, "opt/%07d", b"2", "/lib/x86_64-linux-gnu/libc.so.6"),
        False,
    ),
    "200,000 C libraries": (lambda: _many(200_000, "opt/%07d/libc.so.6"), False),
}


def _rows(table: Mapping[str, object], *quick: str) -> list[ParameterSet]:
    """Return the rows of a table; those that are not ``quick`` are slow."""
    marks = {name: () if name in quick else (pytest.mark.slow,) for name in table}
    return [pytest.param(name, marks=marks[name]) for name in table]


@pytest.mark.parametrize(
    "name", _rows(_ENTRIES, "a GNU name of 1 MB", "a size of 2^62", "a PAX header of digits")
)
def test_entries(scratch: Scratch, name: str) -> None:
    entries, succeeds = _ENTRIES[name]
    _build(scratch, _layout(scratch.input / "base", entries()), succeeds=succeeds)


@pytest.mark.slow
@pytest.mark.parametrize("name", _SLOW_ENTRIES)
def test_many_and_large_entries(scratch: Scratch, name: str) -> None:
    entries, succeeds = _SLOW_ENTRIES[name]
    _build(scratch, _layout(scratch.input / "base", entries()), succeeds=succeeds, patience=300)


def _build(
    scratch: Scratch,
    base: str,
    *,
    succeeds: bool | None = False,
    timeout: int | None = None,
    patience: float = 120,
    **environment: Any,
) -> str:
    """Build an image on the base; return what was printed."""
    if timeout is not None:
        with (scratch.project / "pyproject.toml").open("a", encoding="utf-8") as settings:
            settings.write(f"\n[tool.bigflow.image]\ntimeout = {timeout}\n")
    outcome = attempt(
        scratch,
        "build-image",
        *scratch.image_arguments(base),
        succeeds=succeeds,
        patience=patience,
        **environment,
    )
    return outcome.stderr


# Layers and archives: each writes a base image, and returns its name.
def _twice(scratch: Scratch) -> str:
    """B5: a name twice, and then a module."""
    tar = b"".join(
        _entries(layer_tar({name: content}))
        for name, content in [
            *_GOOD.items(),
            (_PASSWD, "first\n"),
            (_PASSWD, "last:x:1:1::/:/bin/sh\n"),
            (f"usr/local/lib/python{_MINOR}/stat.py", "S_IFDIR = 1\n"),
        ]
    )
    links = _entries(layer_tar({}, _LINKS))
    return _layout(scratch.input / "base", tar + links + _END)


def _members(scratch: Scratch) -> str:
    """B4: a gzip file with a member for each entry, as eStargz has it."""
    upper = _entries(layer_tar({_PASSWD: "last:x:1:1::/:/bin/sh\n"}))
    pieces = [_entries(layer_tar({"a": "1"})), upper, _END]
    return _layout(scratch.input / "base", [_good(), _END], pieces, kind="members")


def _frames(scratch: Scratch) -> str:
    """Zstandard with a frame for each entry, and one to skip."""
    zstd = pytest.importorskip("backports.zstd")
    upper = _entries(layer_tar({_PASSWD: "last:x:1:1::/:/bin/sh\n"}))
    pieces = [_good(), upper, _END]
    skipped = b"\x50\x2a\x4d\x18\x04\0\0\0skip"
    packed = b"".join([zstd.compress(pieces[0]), skipped, *map(zstd.compress, pieces[1:]), skipped])
    plain = hashlib.sha256(b"".join(pieces)).hexdigest()
    return _layout(
        scratch.input / "base",
        packed,
        diff_ids=[f"sha256:{plain}"],
        media_type=LAYER_ZSTD,
        kind="no",
    )


@pytest.mark.parametrize("base", [_twice, _members, pytest.param(_frames, marks=pytest.mark.slow)])
def test_the_last_entry_counts(scratch: Scratch, base: Callable[[Scratch], str]) -> None:
    """Our layer adds a line to the accounts of the base."""
    _build(scratch, base(scratch), succeeds=True)
    with tarfile.open(scratch.project / ".image/image-1.0.0.tar") as archive:
        (image,) = json.load(_opened(archive, "manifest.json"))
        lines: list[bytes] = []
        for name in reversed(image["Layers"]):  # ours are above those of the base
            with tarfile.open(fileobj=_opened(archive, name)) as layer:
                if _PASSWD in layer.getnames():
                    lines = _opened(layer, _PASSWD).read().splitlines()
                    break
    assert lines[0] == b"last:x:1:1::/:/bin/sh"
    assert len(lines) > 1


def _opened(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    assert file is not None
    return file


def _other_diff_ids(scratch: Scratch) -> str:
    tar = _good() + _END
    other = hashlib.sha256(b"other").hexdigest()
    return _layout(scratch.input / "base", tar, diff_ids=[f"sha256:{other}"])


@pytest.mark.slow
def test_diff_ids_of_an_image_that_was_built(scratch: Scratch) -> None:
    """Neither order of the two builds takes the work of the good image for the hostile one."""
    good = _good() + _END
    digest = f"sha256:{hashlib.sha256(good).hexdigest()}"
    _build(scratch, _layout(scratch.input / "good", good), succeeds=True)
    hostile = _layout(scratch.input / "hostile", _good() + bytes(2048), diff_ids=[digest])
    assert "with another content than its configuration says" in _build(scratch, hostile)


def _cut(scratch: Scratch) -> str:
    tar = _good() + _END
    digest = hashlib.sha256(tar).hexdigest()
    packed = gzip.compress(tar)[:-20]
    return _layout(scratch.input / "base", packed, diff_ids=[f"sha256:{digest}"], kind="no")


def _wrong_type(scratch: Scratch) -> str:
    return _layout(scratch.input / "base", _good() + _END, media_type=LAYER_TAR)


def _sparse_layer(scratch: Scratch) -> str:
    """A layer of 1 TB in an archive of 10 kB."""
    path = _archive(scratch, [_good() + _END])
    config = json.dumps(
        {"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [f"sha256:{'0' * 64}"]}}
    ).encode()
    manifest = json.dumps([{"Config": "c", "Layers": ["layer.tar"]}]).encode()
    block = bytearray(_header("layer.tar", kind=b"S"))
    block[386:410] = b"%011o\0%011o\0" % (0, 0)
    block[483:495] = b"\x80" + (1 << 40).to_bytes(11, "big")
    block[148:156] = b"%06o\0 " % (sum(block) - sum(block[148:156]) + 8 * 32)
    path.write_bytes(
        _header("manifest.json", size=len(manifest)) + _padded(manifest)
        + _header("c", size=len(config)) + _padded(config) + bytes(block) + _END
    )  # fmt: skip
    return f"docker-archive:{path}"


def _archive(scratch: Scratch, layers: list[bytes]) -> Path:
    path = scratch.input / "base.tar"
    write_docker_archive(path, layers, {})
    return path


def _linked(scratch: Scratch, links: Mapping[str, str], kind: bytes = b"2") -> str:
    """Write an archive whose only layer is ``l0``."""
    config = {
        "os": "linux",
        "architecture": "amd64",
        "rootfs": {"diff_ids": [f"sha256:{'0' * 64}"]},
    }
    content = json.dumps(config).encode()
    manifest = json.dumps([{"Config": "c", "Layers": ["l0"]}]).encode()
    path = scratch.input / "base.tar"
    path.write_bytes(
        _header("manifest.json", size=len(manifest)) + _padded(manifest)
        + _header("c", size=len(content)) + _padded(content)
        + b"".join(_header(name, kind=kind, target=target) for name, target in links.items())
        + _END
    )  # fmt: skip
    return f"docker-archive:{path}"


def _directory(scratch: Scratch, layer: str) -> str:
    """Write an archive as a directory; its layer is a path of this machine."""
    path = scratch.input / "base"
    path.mkdir()
    config = {
        "os": "linux",
        "architecture": "amd64",
        "rootfs": {"diff_ids": [f"sha256:{'0' * 64}"]},
    }
    (path / "c").write_text(json.dumps(config), "utf-8")
    (path / "manifest.json").write_text(json.dumps([{"Config": "c", "Layers": [layer]}]), "utf-8")
    return f"docker-archive:{path}"


def _device(scratch: Scratch) -> str:
    name = _directory(scratch, "layer")
    (scratch.input / "base/layer").symlink_to("/dev/zero")
    return name


def _fifo(scratch: Scratch) -> str:
    name = _directory(scratch, "layer")
    (scratch.input / "base/manifest.json").unlink()
    os.mkfifo(scratch.input / "base/manifest.json")
    return name


def _fifo_archive(scratch: Scratch) -> str:
    os.mkfifo(scratch.input / "base.tar")
    return f"docker-archive:{scratch.input}/base.tar"


def _gzip_name(scratch: Scratch) -> str:
    """A gzip file with a file name that does not end."""
    path = scratch.input / "base.tar"
    path.write_bytes(b"\x1f\x8b\x08\x08" + bytes(6) + b"x" * 3_000_000)
    return f"docker-archive:{path}"


_BASES: dict[str, Callable[[Scratch], str]] = {
    "diff_ids of another image": _other_diff_ids,
    "a gzip file that is cut": _cut,
    "a media type without compression": _wrong_type,
    "a sparse layer of 1 TB": _sparse_layer,
    "a layer that links to itself": lambda s: _linked(s, {"l0": "l0"}),
    "a chain of 3,000 links": lambda s: _linked(s, {f"l{n}": f"l{n + 1}" for n in range(3000)}),
    "a chain of hard links": lambda s: _linked(
        s, {f"l{n}": f"l{n + 1}" for n in range(3000)}, b"1"
    ),
    "a link out of the archive": lambda s: _linked(s, {"l0": "../../../etc/passwd"}),
    "a layer outside of the directory": lambda s: _directory(s, "../../../../../../etc/passwd"),
    "a layer with an absolute path": lambda s: _directory(s, "/etc/passwd"),
    "a layer with a NUL in its name": lambda s: _directory(s, "a\0b"),
    "a layer with a long name": lambda s: _directory(s, "x" * 5000),
    "a layer that is /dev/zero": _device,
    "a manifest that is a FIFO": _fifo,
    "an archive that is a FIFO": _fifo_archive,
    "an archive with a long name": lambda _s: f"docker-archive:{'a' * 5000}",
    "a gzip file with an endless name": _gzip_name,
}


@pytest.mark.parametrize(
    "name", _rows(_BASES, "diff_ids of another image", "a sparse layer of 1 TB")
)
def test_bases(scratch: Scratch, name: str) -> None:
    _build(scratch, _BASES[name](scratch))


def _endless_file(scratch: Scratch) -> str:
    """A layer of 1 TB in a layout; it takes no space on the disk."""
    path = scratch.input / "base"
    name = _layout(path, [_good(), _END], kind="no", media_type=LAYER_TAR)
    index = json.loads((path / "index.json").read_text("utf-8"))
    place = path / "blobs/sha256"
    document = place / index["manifests"][0]["digest"].removeprefix("sha256:")
    manifest = json.loads(document.read_text("utf-8"))
    layer = manifest["layers"][0]
    os.truncate(place / layer["digest"].removeprefix("sha256:"), 1 << 40)
    layer["size"] = 1 << 40
    content = json.dumps(manifest).encode()
    digest = hashlib.sha256(content).hexdigest()
    (place / digest).write_bytes(content)
    index["manifests"][0] |= {"digest": f"sha256:{digest}", "size": len(content)}
    (path / "index.json").write_text(json.dumps(index), "utf-8")
    return name


def _endless_tar(scratch: Scratch) -> str:
    """A layer of 1 TB, of which 13 GB are there."""
    zeros = gzip.compress(bytes(64 * _MEBIBYTE), 1)
    start = gzip.compress(_good() + _header("opt/data", size=1 << 40), 1)
    digest = f"sha256:{'0' * 64}"
    return _layout(scratch.input / "base", start + zeros * 200, diff_ids=[digest], kind="no")


@pytest.mark.slow
@pytest.mark.parametrize("base", [_endless_file, _endless_tar])
def test_reading_ends_at_the_timeout(scratch: Scratch, base: Callable[[Scratch], str]) -> None:
    printed = _build(scratch, base(scratch), timeout=4)
    assert "takes longer than its timeout" in printed


# The first module of the base's Python: it answers the question for its version, then it attacks.
_HOSTILE = """\
import posix
program = posix.read(posix.open("/program.py", 0), 9000)
if b"marshal" not in program:
    posix.write(1, b"3.11.2 (main)")
    posix._exit(0)
def escaped(name, action):
    try:
        action()
    except BaseException:
        return
    posix.write(2, b"ESCAPED: " + name.encode())
    posix._exit(1)
"""


def _writes(content: str) -> str:
    return f"posix.write(1, {content}); posix._exit(0)"


_PYTHONS: dict[str, str] = {
    "a list of numbers": _writes("b'[\\1\\0\\0\\0i\\1\\0\\0\\0'"),
    "a list of 2^31 objects": _writes("b'[\\xff\\xff\\xff\\x7f'"),
    "a frame of 2^63 bytes": _writes("b'\\xff' * 8"),
    "an answer that is cut": _writes("b'\\x10' + bytes(7) + b'x'"),
    "1.5 GB on stdout": "while True: posix.write(1, bytes(1 << 20))",
    "1.5 GB on stderr": "while True: posix.write(2, bytes(1 << 20))",
    "2 GB of memory": "held = []\nwhile True: held.append(b'x' * (1 << 20))",
    "a fork bomb": "escaped('fork', posix.fork)",
    "a daemon": "escaped('spawn', lambda: posix.posix_spawn('/bin/sh', ['sh'], {}))",
    "signals to all": "escaped('kill', lambda: posix.kill(-1, 9))",
    "files": "for place in '/x', '/tmp/x', '/usr/x', '/dev/shm/x', '/program.py':\n"
    "    escaped('write', lambda: posix.open(place, posix.O_WRONLY | posix.O_CREAT))",
    "memory in files": "escaped('memfd', lambda: posix.memfd_create('x'))",
    "namespaces": "escaped('chroot', lambda: posix.chroot('/usr'))\n"
    "escaped('setuid', lambda: posix.setuid(0))",
    "a crash": "posix.abort()",
    "signals to its parent": "posix.kill(posix.getppid(), 9)\nposix._exit(3)",
}


@pytest.fixture(scope="session")
def real_python() -> dict[str, bytes]:
    """The files of this machine's Python 3.11, by their paths in an image."""
    program = Path("/usr/bin/python3.11")
    if not program.exists():
        pytest.skip("it needs Debian's Python 3.11")
    shown = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    libraries = [Path(word) for word in shown.split() if word.startswith("/")]
    library = Path("/usr/lib/python3.11")
    names = ("_collections_abc", "_sitebuiltins", "abc", "codecs", "genericpath", "io", "os",
             "posixpath", "stat")  # fmt: skip
    modules = [*(library / f"{name}.py" for name in names), *(library / "encodings").glob("*.py")]
    return {str(path)[1:]: path.read_bytes() for path in [program, *libraries, *modules]}


@pytest.fixture
def reachable() -> Iterator[str]:
    """A TMPDIR that the user of the sandbox can reach; pytest's directories are private."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        directory = Path(name)
        directory.chmod(0o711)
        yield name
        assert list(directory.iterdir()) == []


def _python(scratch: Scratch, files: Mapping[str, bytes], attack: str) -> str:
    """Write a base whose Python attacks when it compiles."""
    hostile = {
        **files,
        "usr/lib/python3.11/encodings/__init__.py": (_HOSTILE + attack).encode(),
        _PASSWD: b"root:x:0:0:root:/root:/bin/sh\n",
    }
    tar = layer_tar(hostile, {"usr/bin/python3": "python3.11"})
    for_execution = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(tar)) as source,
        tarfile.open(fileobj=for_execution, mode="w") as target,
    ):
        for member in source:
            member.mode = 0o755
            target.addfile(member, source.extractfile(member) if member.isreg() else None)
    return _layout(scratch.input / "base", for_execution.getvalue())


@pytest.mark.slow
@pytest.mark.parametrize("name", _PYTHONS)
def test_pythons_of_a_base(
    scratch: Scratch, bubblewrap: str, real_python: dict[str, bytes], reachable: str, name: str
) -> None:
    base = _python(scratch, real_python, _PYTHONS[name])
    printed = _build(scratch, base, TMPDIR=reachable)
    assert "cannot be compiled" in printed
    assert "ESCAPED" not in printed


@pytest.mark.slow
def test_a_python_of_a_base_that_hangs(
    scratch: Scratch, bubblewrap: str, real_python: dict[str, bytes], reachable: str
) -> None:
    base = _python(scratch, real_python, "while True: pass")
    assert "has not ended in time" in _build(scratch, base, timeout=15, TMPDIR=reachable)


@pytest.mark.slow
def test_without_bubblewrap_nothing_of_the_base_runs(
    scratch: Scratch, real_python: dict[str, bytes]
) -> None:
    commands = scratch.root / "bin"
    commands.mkdir()
    for place in os.environ["PATH"].split(":"):
        for path in Path(place).glob("*"):
            if path.name not in {"bwrap", "python3.11", "python3"}:
                (commands / path.name).unlink(missing_ok=True)
                (commands / path.name).symlink_to(path)
    base = _python(scratch, real_python, "while True: pass")
    printed = _build(scratch, base, succeeds=True, PATH=str(commands))
    assert "the command bwrap is not installed" in printed
