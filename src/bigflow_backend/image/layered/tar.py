"""A layer: a tar archive whose every byte follows from the names, modes and contents in it.

https://github.com/opencontainers/image-spec/blob/main/layer.md
"""

from __future__ import annotations

import gzip
import hashlib
import io
import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from bigflow_backend.ground.epoch import DEFAULT
from bigflow_backend.image.oci import LAYER_GZIP, Descriptor, Layer

if TYPE_CHECKING:
    from bigflow_backend.image.store.blobs import BlobStore

# The times of files are the same in all images: SOURCE_DATE_EPOCH, which often is that of the last
# commit, would change each layer with each commit.
_TIME = DEFAULT
_LEVEL = 6
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, link or directory of a layer."""

    name: str
    """Its path in the image, without the first slash."""
    mode: int
    """Its kind and its rights, as ``stat`` has them."""
    content: bytes | Path = b""
    """Of a file; or the file of this machine that has it."""
    target: str = ""
    """Of a link."""
    owner: int = 0
    """The numbers of its user and its group."""


def directory(name: str, *, owner: int = 0) -> Entry:
    return Entry(name, stat.S_IFDIR | 0o755, owner=owner)


def file(name: str, content: bytes | Path, *, executable: bool = False) -> Entry:
    return Entry(name, stat.S_IFREG | (0o755 if executable else 0o644), content)


def link(name: str, target: str) -> Entry:
    return Entry(name, stat.S_IFLNK | 0o777, target=target)


@dataclass(frozen=True, kw_only=True)
class StoredLayer:
    """A layer that is in the store."""

    layer: Layer
    size: int
    """Of its files, in bytes, unpacked."""

    def is_in(self, store: BlobStore) -> bool:
        return store.has(self.layer.descriptor.digest, self.layer.descriptor.size)

    def as_json(self) -> dict[str, object]:
        """For the store's records."""
        return {
            "descriptor": self.layer.descriptor.as_json(),
            "diff_id": self.layer.diff_id,
            "created_by": self.layer.created_by,
            "size": self.size,
        }

    @classmethod
    def from_json(cls, value: object) -> StoredLayer | None:
        """What :meth:`as_json` made; None for anything else."""
        match value:
            case {
                "descriptor": dict(descriptor),
                "diff_id": str(diff_id),
                "created_by": str(created_by),
                "size": int(size),
            }:
                layer = Layer(Descriptor.from_json(descriptor), diff_id, created_by)
                return cls(layer=layer, size=size)
        return None


def tree(root: Path, name: str) -> Iterator[Entry]:
    """What lies in the directory ``root``, as entries below ``name``; itself is not among them.

    Of the rights only whether the owner may execute a file counts: never the umask.
    """
    for path in sorted(root.rglob("*")):
        inside = f"{name}/{path.relative_to(root).as_posix()}"
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            yield link(inside, str(path.readlink()))
        elif stat.S_ISDIR(mode):
            yield directory(inside)
        else:
            yield file(inside, path, executable=bool(mode & stat.S_IXUSR))


def write_layer(store: BlobStore, entries: Iterable[Entry], *, created_by: str) -> StoredLayer:
    """Writes the entries, sorted by name, to the store as a compressed layer.

    The digest of the layer also depends on zlib, which has compressed alike since 2013; the
    ``diff_id`` does not.
    """
    size = 0
    with store.writer(LAYER_GZIP) as blob:
        compressed = gzip.GzipFile("", "wb", _LEVEL, fileobj=cast("IO[bytes]", blob), mtime=0)
        plain = _Hashing(compressed)
        with (
            compressed,
            tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT) as archive,  # type: ignore[call-overload]  # it only writes
        ):
            for entry in sorted(entries, key=lambda e: e.name):
                size += _add(archive, entry)
    layer = Layer(blob.descriptor, f"sha256:{plain.hash.hexdigest()}", created_by)
    return StoredLayer(layer=layer, size=size)


def _add(archive: tarfile.TarFile, entry: Entry) -> int:
    """Adds the entry; returns the size of its content."""
    member = tarfile.TarInfo(entry.name)
    member.mode = stat.S_IMODE(entry.mode)
    member.mtime = _TIME
    member.uid = member.gid = entry.owner
    if stat.S_ISDIR(entry.mode):
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
    elif stat.S_ISLNK(entry.mode):
        member.type, member.linkname = tarfile.SYMTYPE, entry.target
        archive.addfile(member)
    elif isinstance(entry.content, bytes):
        member.size = len(entry.content)
        archive.addfile(member, io.BytesIO(entry.content))
    else:
        member.size = entry.content.stat().st_size
        with entry.content.open("rb") as content:
            archive.addfile(member, content)
    return member.size


class _Hashing:
    """Passes on what is written, and hashes it."""

    def __init__(self, output: IO[bytes] | gzip.GzipFile) -> None:
        self.hash = hashlib.sha256()
        self._output = output

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        return self._output.write(data)
