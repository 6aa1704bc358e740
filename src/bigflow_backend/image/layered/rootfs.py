"""A base image's layers -> its files: the layers, laid one over another.

Only directories, links and the files that the builder needs are held: an image may have millions.

https://github.com/opencontainers/image-spec/blob/main/layer.md#applying-changesets
"""

from __future__ import annotations

import io
import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.limits import PATH, PYTHON
from bigflow_backend.image.base.compression import (
    DamagedError,
    can_unpack_zstd,
    unpacked,
)
from bigflow_backend.image.base.tar_reader import Kind, Names, TarReader
from bigflow_backend.image.oci import LAYER_ZSTD
from bigflow_backend.image.standard import CannotServeError
from bigflow_backend.image.store.compressors import ZSTD_MISSING

if TYPE_CHECKING:
    from bigflow_backend.image.base.tar_reader import TarEntry
    from bigflow_backend.image.oci import BaseImage
    from bigflow_backend.image.store.blobs import BlobStore

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_LINKS_AT_MOST = 40  # as Linux: path_resolution(7)
_BUFFER = 1 << 18


@dataclass(frozen=True, slots=True)
class Node:
    """A file or a link; a device counts as a file without content."""

    target: str | None = None
    """The target of a symbolic link."""
    content: Path | None = None
    """The content of a wanted file, on this machine."""


class Directory(dict[str, "Node | Directory"]):
    """The content of a directory, by name."""

    __slots__ = ("is_stated",)

    def __init__(self, *, is_stated: bool = False) -> None:
        super().__init__()
        self.is_stated = is_stated
        """False if the archive has no entry for it, only for what is below."""


_FILE = Node()


@dataclass(frozen=True)
class FileSystem:
    """The files of an image. Paths have no slash at either end, and no ``..``."""

    root: Directory
    layer_sizes: tuple[int, ...]
    """Unpacked bytes of the files in each layer, from the lowest upwards."""

    def resolve(self, path: str) -> str | None:
        """Return the path with its links followed, as in a container; None if it leads nowhere."""
        found = _followed(self.root, path)
        return None if found is None else found[0]

    def content(self, path: str) -> Path | None:
        """Return the content of the file at the path, whose links are followed; None without it."""
        found = _followed(self.root, path)
        return found[1].content if found and isinstance(found[1], Node) else None

    def directory(self, path: str) -> Directory:
        """Return the directory at the path, whose links are not followed; an empty one without."""
        found = _lookup(self.root, path)
        return found if isinstance(found, Directory) else Directory()

    def nodes(self, path: str = "") -> Iterator[tuple[str, Node]]:
        """Yield all files and links below a directory with their paths, sorted."""
        todo: list[tuple[str, Node | Directory]] = [(path, self.directory(path))]
        while todo:
            inside, node = todo.pop()
            if isinstance(node, Node):
                yield inside, node
            else:
                names = sorted(node, reverse=True)
                todo += ((posixpath.join(inside, name), node[name]) for name in names)


def _followed(root: Directory, path: str) -> tuple[str, Node | Directory] | None:
    """Return the path with its links followed, and what is there."""
    todo = path.split("/")[::-1]
    found: list[str] = []
    above = [root]
    node: Node | Directory = root
    links = 0
    while todo:
        part = todo.pop()
        if part in {"", "."}:
            continue
        if isinstance(node, Node):
            return None  # a file is not a directory
        if part == "..":
            del found[-1:]
            del above[max(1, len(above) - 1) :]
            node = above[-1]
            continue
        inner = node.get(part)
        if inner is None:
            return None
        if isinstance(inner, Node) and inner.target is not None:
            links += 1
            if links > _LINKS_AT_MOST:
                return None
            if inner.target.startswith("/"):
                found, above, node = [], [root], root
            todo += inner.target.split("/")[::-1]
            continue
        found.append(part)
        node = inner
        if isinstance(inner, Directory):
            above.append(inner)
    return "/".join(found), node


def _lookup(root: Directory, path: str) -> Node | Directory | None:
    """Return what is at the path, whose links are not followed."""
    node: Node | Directory | None = root
    for part in path.split("/") if path else ():
        if not isinstance(node, Directory):
            return None
        node = node.get(part)
    return node


def read_file_system(
    store: BlobStore,
    base: BaseImage,
    *,
    wanted: Callable[[str], int | None],
    directory: Path,
    deadline: float,
    limit: int = PYTHON,
) -> FileSystem:
    """Read the base's layers, which are in the store, once.

    ``wanted`` returns the most bytes that a needed file may have, 0 for a file of which only the
    name is needed, and None for all others. The contents are written to ``directory``, at most
    ``limit`` bytes.

    :raises CannotServeError: for a compression that cannot be unpacked here.
    :raises DeadlineError: after ``deadline``, a time of :func:`time.monotonic`.
    :raises UserError: for a layer that is not a tar archive, beyond a limit, or not the one that
        the image's configuration names: its ``diff_id`` is a key of the cache.
    """
    reader = _LayerReader(wanted, directory, limit)
    sizes = []
    for layer in base.layers:
        media_type = layer.descriptor.media_type
        if media_type == LAYER_ZSTD and not can_unpack_zstd():
            raise CannotServeError(
                f"the base image {base.reference} has layers compressed with zstd; {ZSTD_MISSING}",
                hint="pip install 'bigflow-backend[build]', or use another base image",
            )
        with store.reader(layer.descriptor) as blob:
            try:
                with unpacked(blob, media_type, deadline=deadline) as content:
                    buffered = io.BufferedReader(content, _BUFFER)
                    sizes.append(reader.read(TarReader(buffered, deadline=deadline)))
                    while buffered.read(_BUFFER):
                        pass
                    diff_id = content.digest
            except DamagedError as error:
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
    return FileSystem(reader.root, tuple(sizes))


class _LayerReader:
    """Reads layers, from the lowest upwards."""

    def __init__(self, wanted: Callable[[str], int | None], kept: Path, limit: int) -> None:
        self.root = Directory()
        self._wanted = wanted
        self._kept = kept
        self._limit = limit
        self._kept_count = 0
        self._kept_size = 0
        self._names = Names()

    def read(self, archive: TarReader) -> int:
        """Lay a layer over those before it; return the bytes of its files."""
        layer = Directory()
        hidden: list[str] = []
        emptied: list[str] = []
        size = 0
        for entry in archive:
            path = _inside(entry.name)
            parent, name = posixpath.split(path)
            if name == _OPAQUE:
                self._names.add(path)
                emptied.append(parent)
            elif name.startswith(_WHITEOUT):
                self._names.add(path)
                hidden.append(posixpath.join(parent, name.removeprefix(_WHITEOUT)))
            elif path and entry.kind is Kind.DIRECTORY:
                self._directory(layer, path).is_stated = True
            elif path:
                size += entry.size
                self._put(layer, path, self._node(archive, entry, path, layer))
        # These hide only what is in the layers below, wherever they are in the archive.
        for path in emptied:
            if isinstance(below := _lookup(self.root, path), Directory):
                below.clear()
        for path in hidden:
            parent, name = posixpath.split(path)
            if isinstance(below := _lookup(self.root, parent), Directory):
                below.pop(name, None)
        self._lay_over(layer)
        return size

    def _node(
        self, archive: TarReader, entry: TarEntry, path: str, layer: Directory
    ) -> Node | None:
        """Return the node of an entry; None if the builder does not need it."""
        if entry.kind is Kind.SYMBOLIC_LINK:
            return Node(target=entry.target)
        wanted = self._wanted(path)
        if wanted is None:
            return None
        if entry.kind is Kind.HARD_LINK:
            # It leads to a file before it in the same layer.
            found = _lookup(layer, _inside(entry.target))
            return found if isinstance(found, Node) else _FILE
        if not wanted or entry.kind is Kind.OTHER:
            return _FILE
        if entry.kind is Kind.SPARSE:
            raise DamagedError(f"{path!r} is stored without its holes (tar --sparse)")
        self._kept_size += entry.size
        if entry.size > wanted or self._kept_size > self._limit:
            most = min(wanted, self._limit)
            raise DamagedError(f"{path!r} has {entry.size:,} bytes; the limit is {most:,}")
        self._kept_count += 1
        content = self._kept / str(self._kept_count)
        with content.open("wb") as output:
            archive.copy(output)
        return Node(content=content)

    def _put(self, layer: Directory, path: str, node: Node | None) -> None:
        """Put a node into a layer. One that is not needed replaces only what is there."""
        if node is None:
            if _lookup(layer, path) is None and _lookup(self.root, path) is None:
                return
            node = _FILE
        parent, name = posixpath.split(path)
        self._names.add(name, node.target or "")
        self._directory(layer, parent)[name] = node

    def _directory(self, layer: Directory, path: str) -> Directory:
        """Return the directory of a layer, which is made if the archive has no entry for it."""
        found = layer
        for part in path.split("/") if path else ():
            inner = found.get(part)
            if isinstance(inner, Node) and inner.target:
                # A link of this layer, which the rest of the path follows.
                followed = _followed(layer, path)
                inside = followed and followed[1]
                return inside if isinstance(inside, Directory) else Directory()
            if not isinstance(inner, Directory):
                self._names.add(part)
                inner = found[part] = Directory()
            found = inner
        return found

    def _lay_over(self, layer: Directory) -> None:
        todo = [("", self.root, layer)]
        while todo:
            path, below, above = todo.pop()
            for name, node in above.items():
                inside, old = posixpath.join(path, name), below.get(name)
                if isinstance(old, Node) and old.target and not getattr(node, "is_stated", True):
                    # The archive has a file below a link to a directory of the layers below.
                    found = _followed(self.root, inside)
                    old = found[1] if found else old
                    inside = found[0] if found else inside
                if isinstance(node, Directory) and isinstance(old, Directory):
                    todo.append((inside, old, node))
                else:
                    below[name] = node


def _inside(name: str) -> str:
    """Return the path in the image: ``..`` ends at its root, as in a container.

    :raises DamagedError: for a name that no file system takes.
    """
    path = posixpath.normpath(f"/{name}").lstrip("/")
    if len(path) > PATH:
        raise DamagedError(f"a name has {len(path)} letters")
    return path
