"""The file system of a base image: what its layers come to, one laid over the other.

https://github.com/opencontainers/image-spec/blob/main/layer.md#applying-changesets
"""

from __future__ import annotations

import contextlib
import posixpath
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.zstd import ZSTD_MISSING, can_unpack_zstd, unpacked_zstd
from bigflow_backend.image.layered.support import CannotServeError
from bigflow_backend.image.oci import LAYER_GZIP, LAYER_ZSTD

if TYPE_CHECKING:
    from _typeshed import SupportsRead

    from bigflow_backend.image.oci import BaseImage
    from bigflow_backend.image.store.blobs import BlobStore

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_LINKS_AT_MOST = 40  # as Linux has it: path_resolution(7)


@dataclass(frozen=True, slots=True)
class Node:
    """A file, link or directory; devices and the like count as files without content."""

    is_directory: bool = False
    target: str | None = None
    """Of a symbolic link."""
    content: Path | None = None
    """The content of a file that was asked for."""


_DIRECTORY = Node(is_directory=True)


@dataclass(frozen=True)
class FileSystem:
    """The files by their paths, which have no slash at either end."""

    nodes: Mapping[str, Node]
    layer_sizes: tuple[int, ...]
    """The bytes of the files in each layer, unpacked, from the lowest upwards."""

    def resolve(self, path: str) -> str | None:
        """The path with its links followed, as within a container; None when it leads nowhere."""
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
        """Where the content of the file is that the path leads to; None when there is none."""
        resolved = self.resolve(path)
        return None if resolved is None else self.nodes[resolved].content if resolved else None

    def below(self, directory: str) -> Iterator[str]:
        """The paths of what lies anywhere below a directory."""
        return (path for path in self.nodes if path.startswith(f"{directory}/"))


def read_file_system(
    store: BlobStore, base: BaseImage, *, wanted: Callable[[str], bool], directory: Path
) -> FileSystem:
    """Reads the base's layers, which are in the store, once.

    The contents of the files whose paths are ``wanted`` are kept in ``directory``.

    :raises UserError: for a layer of a kind that is not known, or that is no tar archive.
    """
    merged: dict[str, Node] = {}
    sizes = []
    for number, layer in enumerate(base.layers):
        media_type = layer.descriptor.media_type
        if media_type == LAYER_ZSTD and not can_unpack_zstd():
            raise CannotServeError(
                f"the base image {base.reference} has layers compressed with zstd; {ZSTD_MISSING}",
                hint="pip install backports.zstd, or take another base image",
            )
        kept = directory / str(number)
        kept.mkdir()
        reader = _LayerReader(wanted, kept)
        with store.reader(layer.descriptor) as blob:
            try:
                with (
                    _unpacked(blob, media_type) as (stream, mode),
                    tarfile.open(fileobj=stream, mode=mode) as archive,  # type: ignore[call-overload]  # it only reads
                ):
                    reader.read(archive)
            except (tarfile.TarError, zlib.error, EOFError, ValueError) as error:
                raise UserError(
                    f"the base image {base.reference} has a layer that is no tar archive: {error}",
                    hint="take another base image; this one is damaged",
                ) from error
        merged = reader.over(merged)
        sizes.append(reader.size)
    return FileSystem(merged, tuple(sizes))


@contextlib.contextmanager
def _unpacked(
    blob: SupportsRead[bytes], media_type: str
) -> Iterator[tuple[SupportsRead[bytes], str]]:
    """A layer as ``tarfile`` takes it: the stream, and the mode to open it with."""
    if media_type == LAYER_ZSTD:
        with unpacked_zstd(blob) as stream:
            yield stream, "r|"
    else:
        yield blob, "r|gz" if media_type == LAYER_GZIP else "r|"


class _LayerReader:
    """Reads one layer."""

    def __init__(self, wanted: Callable[[str], bool], kept: Path) -> None:
        self.size = 0
        self._wanted = wanted
        self._kept = kept
        self._nodes: dict[str, Node] = {}
        self._hidden: set[str] = set()
        self._emptied: set[str] = set()

    def read(self, archive: tarfile.TarFile) -> None:
        for member in archive:
            path = posixpath.normpath(member.name).lstrip("/")
            parent, name = posixpath.split(path)
            if path in {"", "."}:
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
            # To a file of the same layer, which stands before it.
            return self._nodes.get(posixpath.normpath(member.linkname).lstrip("/"), Node())
        self.size += member.size
        source = archive.extractfile(member) if self._wanted(path) else None
        if source is None:
            return Node()
        content = self._kept / str(len(self._nodes))
        with source, content.open("wb") as output:
            shutil.copyfileobj(source, output)
        return Node(content=content)

    def over(self, lower: Mapping[str, Node]) -> dict[str, Node]:
        """The nodes of this layer laid over those of the layers below."""
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
                node = merged.get(parent)  # an archive need not name it
                if node is None or not (node.is_directory or node.target):
                    merged[parent] = _DIRECTORY
        return merged


def _parents(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path
