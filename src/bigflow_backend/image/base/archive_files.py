"""The files of a base image in a directory or a tar, compressed or not."""

from __future__ import annotations

import contextlib
import io
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Protocol, cast

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import open_regular
from bigflow_backend.ground.limits import DOCUMENT
from bigflow_backend.image.base.compression import DamagedError, compression, unpacked
from bigflow_backend.image.base.tar_reader import Kind, Names, TarReader
from bigflow_backend.image.oci import LAYER_TAR

if TYPE_CHECKING:
    from io import BufferedReader

    from _typeshed import WriteableBuffer

    from bigflow_backend.image.base.tar_reader import TarEntry
    from bigflow_backend.image.store.blobs import BlobStore

_LINKS_AT_MOST = 40  # as Linux: path_resolution(7)


class Files(Protocol):
    """Files by their names, with ``/`` as the separator."""

    def open(self, name: str) -> BufferedReader:
        """Open a file.

        :raises FileNotFoundError: if it does not exist.
        """
        ...


@contextlib.contextmanager
def image_files(path: Path, *, name: str, store: BlobStore, deadline: float) -> Iterator[Files]:
    """Yield the files at ``path`` of the base image ``name``.

    :raises UserError: if they cannot be read, also later in the block.
    """
    try:
        if path.is_dir():
            yield _Directory(path)
            return
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(open_regular(path))
            tar: IO[bytes] = file
            if (kind := compression(cast("BufferedReader", file).peek(4))) != LAYER_TAR:
                # Random access needs an unpacked file.
                content = stack.enter_context(unpacked(file, kind, deadline=deadline))
                tar = stack.enter_context(store.spooled(content))
            yield _Tar(cast("BinaryIO", tar), deadline)
    except FileNotFoundError as error:
        missing = error.filename or f"{error} in {path}"
        raise UserError(
            f"cannot read the base image {name}: {missing} does not exist",
            hint="check its path and its format",
        ) from error
    except DamagedError as error:
        raise UserError(
            f"cannot read the base image {name}: {path} is not a complete tar: {error}",
            hint="write the file again",
        ) from error
    except OSError as error:
        raise UserError(
            f"cannot read the base image {name}: {path}: {error.strerror or error}",
            hint="check its path and its permissions",
        ) from error


def read_small(files: Files, name: str) -> bytes:
    """Return the start of a document: enough to see that it is too long.

    :raises FileNotFoundError: if it does not exist.
    """
    with files.open(name) as file:
        return file.read(DOCUMENT + 1)


class _Directory:
    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self, name: str) -> BufferedReader:
        path = self._root / posixpath.normpath(f"/{name}").lstrip("/")
        if not path.exists():
            raise FileNotFoundError(None, None, path)
        return cast("BufferedReader", open_regular(path))


class _Tar:
    def __init__(self, file: BinaryIO, deadline: float) -> None:
        self._file = file
        names = Names()
        self._entries: dict[str, TarEntry] = {}
        for entry in TarReader(file, deadline=deadline):
            names.add(entry.name, entry.target)
            # `tar -C directory .` writes names like ./index.json
            self._entries[posixpath.normpath(entry.name)] = entry

    def open(self, name: str) -> BufferedReader:
        inside = posixpath.normpath(name)
        for _ in range(_LINKS_AT_MOST):
            entry = self._entries.get(inside)
            if entry is None:
                break
            if entry.kind is Kind.FILE:
                return io.BufferedReader(_Part(self._file, entry))
            if entry.kind is Kind.SPARSE:
                raise DamagedError(f"{name!r} is stored without its holes (tar --sparse)")
            # Old releases of `docker save` link to layers.
            above = posixpath.dirname(inside) if entry.kind is Kind.SYMBOLIC_LINK else ""
            inside = posixpath.normpath(posixpath.join(above, entry.target))
        raise FileNotFoundError(name)


class _Part(io.RawIOBase):
    """The content of an entry."""

    def __init__(self, file: BinaryIO, entry: TarEntry) -> None:
        self._file = file
        self._place = entry.offset
        self._end = entry.offset + entry.size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        target = memoryview(buffer)[: self._end - self._place]
        self._file.seek(self._place)
        piece = self._file.read(len(target))
        if len(piece) < len(target):
            raise DamagedError("unexpected end of data")
        target[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)
