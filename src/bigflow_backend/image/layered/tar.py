"""A layer as a tar archive: equal names, modes and contents give equal bytes.

https://github.com/opencontainers/image-spec/blob/main/layer.md
"""

from __future__ import annotations

import hashlib
import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.epoch import DEFAULT
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import Slice, walk
from bigflow_backend.image.oci import Descriptor, Layer

if TYPE_CHECKING:
    from bigflow_backend.image.store.blob import BlobWriter
    from bigflow_backend.image.store.blobs import BlobStore
    from bigflow_backend.image.store.compressors import Compression

# Constant times: SOURCE_DATE_EPOCH often is the time of the last commit, and each commit would
# change each layer.
_TIME = DEFAULT
_PIECE = 1 << 20
_BUFFER = 1 << 18


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, link or directory of a layer."""

    name: str
    """Its path in the image, without the first slash."""
    mode: int
    """Its type and its permissions, as in ``stat``."""
    content: bytes | Path | Slice = b""
    """The content of a file, or the path or the part of a file of this machine with it."""
    target: str = ""
    """The target of a link."""
    owner: int = 0
    """The number of its user and of its group."""

    def size(self) -> int:
        """Return the bytes of the content."""
        match self.content:
            case Path():
                return self.content.stat().st_size
            case Slice():
                return self.content.size
        return len(self.content)

    def pieces(self) -> Iterator[bytes]:
        """Yield the content."""
        match self.content:
            case Path():
                with self.content.open("rb", buffering=0) as file:
                    while piece := file.read(_PIECE):
                        yield piece
            case Slice():
                yield from self.content.pieces(_PIECE)
            case bytes():
                yield self.content


def directory(name: str, *, owner: int = 0) -> Entry:
    return Entry(name, stat.S_IFDIR | 0o755, owner=owner)


def file(name: str, content: bytes | Path | Slice, *, executable: bool = False) -> Entry:
    return Entry(name, stat.S_IFREG | (0o755 if executable else 0o644), content)


def link(name: str, target: str) -> Entry:
    return Entry(name, stat.S_IFLNK | 0o777, target=target)


@dataclass(frozen=True, kw_only=True)
class StoredLayer:
    """A layer that is in the store."""

    layer: Layer
    size: int
    """Unpacked bytes of its files."""

    def is_in(self, store: BlobStore) -> bool:
        return store.has(self.layer.descriptor.digest, self.layer.descriptor.size)

    def as_json(self) -> dict[str, object]:
        """Return the layer as a record of the store."""
        return {
            "descriptor": self.layer.descriptor.as_json(),
            "diff_id": self.layer.diff_id,
            "created_by": self.layer.created_by,
            "size": self.size,
        }

    @classmethod
    def from_json(cls, value: object) -> StoredLayer | None:
        """Return the layer of a record; None for a record that is missing or damaged."""
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
    """Yield the content of the directory ``root``, as entries below ``name``.

    Of the permissions only the owner's right to execute a file counts, never the umask.
    """
    for path in sorted(walk(root)):
        inside = f"{name}/{path.relative_to(root).as_posix()}"
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            yield link(inside, str(path.readlink()))
        elif stat.S_ISDIR(mode):
            yield directory(inside)
        else:
            yield file(inside, path, executable=bool(mode & stat.S_IXUSR))


def write_layer(
    store: BlobStore,
    entries: Iterable[Entry],
    *,
    created_by: str,
    compression: Compression,
) -> StoredLayer:
    """Write the entries, sorted by name, to the store as a compressed layer.

    The digest of the layer depends on the library that compresses; the ``diff_id`` does not.
    """
    size = 0
    with store.writer(compression.media_type) as blob:
        archive = _Archive(blob, compression)
        for entry in sorted(entries, key=lambda e: e.name):
            size += archive.add(entry)
        archive.finish()
    layer = Layer(blob.descriptor, f"sha256:{archive.hash.hexdigest()}", created_by)
    return StoredLayer(layer=layer, size=size)


class _Archive:
    """A tar that is hashed and compressed while it is written.

    ``tarfile`` makes its headers. Its own stream copies each byte several times.
    """

    def __init__(self, output: BlobWriter, compression: Compression) -> None:
        self.hash = hashlib.sha256()
        self._output = output
        self._compressor = compression.start()
        self._held: list[bytes] = []
        self._held_size = 0
        self._size = 0

    def add(self, entry: Entry) -> int:
        """Add the entry; return the size of its content.

        :raises UserError: if a file of this machine changes while it is read.
        """
        member = tarfile.TarInfo(entry.name)
        member.mode = stat.S_IMODE(entry.mode)
        member.mtime = _TIME
        member.uid = member.gid = entry.owner
        if stat.S_ISDIR(entry.mode):
            member.type = tarfile.DIRTYPE
        elif stat.S_ISLNK(entry.mode):
            member.type, member.linkname = tarfile.SYMTYPE, entry.target
        else:
            member.size = entry.size()
        self._write(member.tobuf(tarfile.PAX_FORMAT, tarfile.ENCODING, "surrogateescape"))
        start = self._size
        if member.isreg():
            for piece in entry.pieces():
                self._write(piece)
        if self._size - start != member.size:
            raise UserError(
                f"the content of /{entry.name} has changed while it was read",
                hint="build the image again",
            )
        self._write(bytes(-member.size % tarfile.BLOCKSIZE))
        return member.size

    def finish(self) -> None:
        """Write the end of the archive, and what is still held."""
        self._write(bytes(2 * tarfile.BLOCKSIZE))
        self._write(bytes(-self._size % tarfile.RECORDSIZE))
        self._flush()
        self._output.write(self._compressor.flush())

    def _write(self, data: bytes) -> None:
        self._size += len(data)
        self._held.append(data)
        self._held_size += len(data)
        if self._held_size >= _BUFFER:
            self._flush()

    def _flush(self) -> None:
        data = b"".join(self._held)
        self._held.clear()
        self._held_size = 0
        self.hash.update(data)
        self._output.write(self._compressor.compress(data))
