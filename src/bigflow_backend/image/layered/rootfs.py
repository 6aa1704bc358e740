"""A base image's layers -> its files: the layers, laid one over another.

https://github.com/opencontainers/image-spec/blob/main/layer.md#applying-changesets
"""

from __future__ import annotations

import contextlib
import gzip
import posixpath
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.zstd import ZSTD_MISSING, can_unpack_zstd, unpacked_zstd
from bigflow_backend.image.layered.support import CannotServeError
from bigflow_backend.image.oci import LAYER_GZIP, LAYER_ZSTD
from bigflow_backend.image.store.blob import BlobReader

if TYPE_CHECKING:
    from _typeshed import SupportsRead

    from bigflow_backend.image.oci import BaseImage, Layer
    from bigflow_backend.image.store.blobs import BlobStore

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_LINKS_AT_MOST = 40  # as Linux: path_resolution(7)
_NAME_AT_MOST = 4096  # PATH_MAX of Linux
_PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class Node:
    """A file, link or directory; a device counts as a file without content."""

    is_directory: bool = False
    target: str | None = None
    """The target of a symbolic link."""
    content: Path | None = None
    """The content of a wanted file, on this machine."""


_DIRECTORY = Node(is_directory=True)


@dataclass(frozen=True)
class FileSystem:
    """The files of an image."""

    nodes: Mapping[str, Node]
    """By their paths, which have no slash at either end, and no ``..``."""
    layer_sizes: tuple[int, ...]
    """Unpacked bytes of the files in each layer, from the lowest upwards."""

    def resolve(self, path: str) -> str | None:
        """Return the path with its links followed, as in a container; None if it leads nowhere."""
        todo = [part for part in reversed(path.split("/")) if part]
        found: list[str] = []
        links = 0
        while todo:
            part = todo.pop()
            if part in {"", "."}:
                continue
            if part == "..":
                del found[-1:]
                continue
            node = self.nodes.get("/".join([*found, part]))
            if node is None:
                return None
            if node.target is None:
                found.append(part)
                continue
            links += 1
            if links > _LINKS_AT_MOST:
                return None
            if node.target.startswith("/"):
                found.clear()
            todo += reversed(node.target.split("/"))
        return "/".join(found)

    def content(self, path: str) -> Path | None:
        """Return the content of the file at the path, whose links are followed; None without it."""
        resolved = self.resolve(path)
        return self.nodes[resolved].content if resolved else None

    def below(self, directory: str) -> Iterator[str]:
        """Yield all paths below a directory."""
        return (path for path in self.nodes if path.startswith(f"{directory}/"))


def read_file_system(
    store: BlobStore, base: BaseImage, *, wanted: Callable[[str], bool], directory: Path
) -> FileSystem:
    """Read the base's layers, which are in the store, once.

    The contents of the files whose paths are ``wanted`` are written to ``directory``.

    :raises CannotServeError: for a compression that cannot be unpacked here.
    :raises UserError: for a layer that is not a tar archive, or not the one that the image's
        configuration names: its ``diff_id`` is a key of the cache.
    """
    merged: dict[str, Node] = {}
    sizes = []
    for number, layer in enumerate(base.layers):
        if layer.descriptor.media_type == LAYER_ZSTD and not can_unpack_zstd():
            raise CannotServeError(
                f"the base image {base.reference} has layers compressed with zstd; {ZSTD_MISSING}",
                hint="pip install backports.zstd, or use another base image",
            )
        kept = directory / str(number)
        kept.mkdir()
        reader = _LayerReader(wanted, kept)
        with store.reader(layer.descriptor) as blob:
            try:
                diff_id = _read_layer(blob, layer, reader)
            except (tarfile.TarError, zlib.error, EOFError, ValueError, gzip.BadGzipFile) as error:
                raise UserError(
                    f"the base image {base.reference} has a layer that is not a valid tar "
                    f"archive: {error}",
                    hint="use another base image; this one is damaged",
                ) from error
        if diff_id != layer.diff_id:
            raise UserError(
                f"the base image {base.reference} has a layer with another content than its "
                f"configuration says: {diff_id}, not {layer.diff_id}",
                hint="use another base image; this one is damaged",
            )
        merged = reader.over(merged)
        sizes.append(reader.size)
    return FileSystem(merged, tuple(sizes))


def _read_layer(blob: SupportsRead[bytes], layer: Layer, reader: _LayerReader) -> str:
    """Return the ``diff_id`` of the layer's content."""
    with contextlib.ExitStack() as stack:
        stream = blob
        if layer.descriptor.media_type == LAYER_ZSTD:
            stream = stack.enter_context(unpacked_zstd(blob))
        elif layer.descriptor.media_type == LAYER_GZIP:
            # Unlike tarfile, it reads all members of a gzip file: eStargz has one for each file.
            stream = stack.enter_context(gzip.GzipFile(fileobj=cast("IO[bytes]", blob)))
        content = BlobReader(cast("IO[bytes]", stream))
        with tarfile.open(fileobj=content, mode="r|", bufsize=_PIECE) as archive:  # type: ignore[call-overload]  # it only reads
            reader.read(archive)
        return content.digest()


class _LayerReader:
    """Reads one layer."""

    def __init__(self, wanted: Callable[[str], bool], kept: Path) -> None:
        self.size = 0
        self._wanted = wanted
        self._kept = kept
        self._kept_count = 0
        self._nodes: dict[str, Node] = {}
        self._hidden: set[str] = set()
        self._emptied: set[str] = set()

    def read(self, archive: tarfile.TarFile) -> None:
        for member in archive:
            path = _inside(member.name)
            parent, name = posixpath.split(path)
            if not path:
                continue
            if name == _OPAQUE:
                self._emptied.add(parent)
            elif name.startswith(_WHITEOUT):
                self._hidden.add(posixpath.join(parent, name.removeprefix(_WHITEOUT)))
            else:
                self._nodes[path] = self._node(archive, member, path)

    def _node(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> Node:
        if member.isdir():
            return _DIRECTORY
        if member.issym():
            return Node(target=member.linkname)
        if member.islnk():
            # It leads to a file before it in the same layer.
            return self._nodes.get(_inside(member.linkname), Node())
        self.size += member.size
        source = archive.extractfile(member) if self._wanted(path) else None
        if source is None:
            return Node()
        self._kept_count += 1  # a name may come twice
        content = self._kept / str(self._kept_count)
        with source, content.open("wb") as output:
            shutil.copyfileobj(source, output)
        return Node(content=content)

    def over(self, lower: Mapping[str, Node]) -> dict[str, Node]:
        """Return the nodes of this layer laid over those of the layers below."""
        replaced = {p for p, n in self._nodes.items() if not n.is_directory and p in lower}
        gone = self._hidden | {p for p in replaced if lower[p].is_directory}
        covered = gone | self._emptied
        if covered:
            lower = {
                path: node
                for path, node in lower.items()
                if path not in gone and not any(p in covered for p in _parents(path))
            }
        merged = {**lower, **self._nodes}
        for path in self._nodes:
            for parent in _parents(path):
                node = merged.get(parent)  # an archive need not have an entry for it
                if node is None or not (node.is_directory or node.target):
                    merged[parent] = _DIRECTORY
        return merged


def _inside(name: str) -> str:
    """Return the path in the image: ``..`` ends at its root, as in a container.

    :raises ValueError: for a name that no file system takes.
    """
    if len(name) > _NAME_AT_MOST:
        raise ValueError(f"a name has {len(name)} letters")
    return posixpath.normpath(f"/{name}").lstrip("/")


def _parents(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path
