"""The files of a base image in a directory or a tar, compressed or not."""

from __future__ import annotations

import contextlib
import gzip
import posixpath
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.limits import DOCUMENT

if TYPE_CHECKING:
    from io import BufferedReader

    from bigflow_backend.image.store.blobs import BlobStore

_GZIP = b"\x1f\x8b"


class Files(Protocol):
    """Files by their names, with ``/`` as the separator."""

    def open(self, name: str) -> BufferedReader:
        """Open a file.

        :raises FileNotFoundError: if it does not exist.
        """
        ...


@contextlib.contextmanager
def image_files(path: Path, *, name: str, store: BlobStore) -> Iterator[Files]:
    """Yield the files at ``path`` of the base image ``name``.

    :raises UserError: if they cannot be read, also later in the block.
    """
    try:
        if path.is_dir():
            yield _Directory(path)
            return
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(path.open("rb"))
            if file.peek(2)[:2] == _GZIP:
                # Random access needs an unpacked file.
                packed = stack.enter_context(gzip.open(file))
                tar = stack.enter_context(store.spooled(packed))
            else:
                tar = file
            yield _Tar(stack.enter_context(tarfile.open(fileobj=tar, mode="r:")))
    except FileNotFoundError as error:
        missing = error.filename or f"{error} in {path}"
        raise UserError(
            f"cannot read the base image {name}: {missing} does not exist",
            hint="check its path and its format",
        ) from error
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
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
        return (self._root / name).open("rb")


class _Tar:
    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        # `tar -C directory .` writes names like ./index.json
        self._members = {posixpath.normpath(member.name): member for member in tar}

    def open(self, name: str) -> BufferedReader:
        member = self._members.get(posixpath.normpath(name))
        try:
            # This follows links: old releases of `docker save` link to layers.
            # Typed as IO, it is a BufferedReader: https://docs.python.org/3/library/tarfile.html
            file = cast("BufferedReader | None", member and self._tar.extractfile(member))
        except KeyError:
            file = None
        if not file:
            raise FileNotFoundError(name)
        return file
