"""The content store: blobs by their digest, shared by all builds of the user.

It is a cache: whatever is in it can be had again. Several processes use it at once::

    lock                held for a moment: shared to add or hold, exclusively to remove
    sha256/<hex>        the blobs, whole and checked; the time of change is that of the last use
    records/<hex>.json  small notes by key, such as which layer came of which inputs
    partial/            what is being written, each file locked by its writer
    sessions/           one locked file for each running build, with the digests that it holds

All locks are the kernel's (``flock``): those of a killed process are gone with it, and what it
left in ``partial/`` and ``sessions/`` is removed by the next build.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.oci import Descriptor, canonical_json, sha256_digest
from bigflow_backend.image.store.directory import cache_faults, default_root, size_limit
from bigflow_backend.image.store.files import BlobReader, BlobWriter, check_blob

if TYPE_CHECKING:
    from _typeshed import SupportsRead

_CHUNK = 1 << 20


@contextlib.contextmanager
def open_store(root: Path | None = None, *, limit: int | None = None) -> Iterator[BlobStore]:
    """The store at ``root`` (by default :func:`default_root`), for one build.

    What the build adds or finds stays until the block ends; then the least recently used content
    beyond ``limit`` bytes goes (by default ``$BIGFLOW_CACHE_LIMIT_GB``, else 10 GB), save what
    other running builds hold.

    :raises UserError: when the directory cannot be written.
    """
    root = default_root() if root is None else root
    limit = size_limit() if limit is None else limit
    with cache_faults(root):
        for name in ("sha256", "records", "partial", "sessions"):
            # Private: the layers of a private image are no business of other users.
            (root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(root, fcntl.LOCK_SH):
            session = _new_locked_file(root / "sessions")
    try:
        yield BlobStore(root, session)
    finally:
        with session, cache_faults(root):
            Path(session.name).unlink(missing_ok=True)
            _trim(root, limit)


class BlobStore:
    """An open store; :func:`open_store` makes it."""

    def __init__(self, root: Path, session: IO[bytes]) -> None:
        self.root = root
        self._session = session
        self._held: set[str] = set()

    def path(self, digest: str) -> Path:
        """Where the blob is, or would be."""
        return self.root / "sha256" / digest.removeprefix("sha256:")

    def has(self, digest: str, size: int | None = None) -> bool:
        """Whether the blob is here, of ``size`` bytes if that is given.

        From then on it stays until the store is closed.
        """
        with cache_faults(self.root), _locked(self.root, fcntl.LOCK_SH):
            path = self.path(digest)
            try:
                # A power failure may truncate what was moved into place a moment before.
                if size is not None and path.stat().st_size != size:
                    return False
                os.utime(path)
            except FileNotFoundError:
                return False
            self._hold(digest)
            return True

    def read(self, digest: str) -> bytes:
        """The content of a small blob, checked.

        :raises KeyError: when it is not here.
        :raises UserError: when it is here, but damaged; then it is removed.
        """
        if not self.has(digest):
            raise KeyError(digest)
        path = self.path(digest)
        content = path.read_bytes()
        if sha256_digest(content) != digest:
            raise self._damaged(path)
        return content

    @contextlib.contextmanager
    def reader(self, descriptor: Descriptor) -> Iterator[BlobReader]:
        """A blob to read from its start; what is not read in the block is read at its end.

        :raises UserError: at the end of the block, when the content is not what its digest says
            (a disk may lose what it once had); then it is removed, so that the next build makes or
            fetches it anew. What went wrong in the block for that reason is told so, too.
        """
        path = self.path(descriptor.digest)
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context(path.open("rb"))
            except FileNotFoundError as error:
                raise UserError(
                    f"the cache {self.root} has lost {descriptor.digest}",
                    hint="build the image again",
                ) from error
            blob = BlobReader(file)
            try:
                yield blob
            except UserError as error:
                if blob.digest() != descriptor.digest:
                    raise self._damaged(path) from error
                raise
            if blob.digest() != descriptor.digest:
                raise self._damaged(path)

    def verify(self, descriptor: Descriptor) -> None:
        """Reads a whole blob, as :meth:`reader` does."""
        with self.reader(descriptor):
            pass

    def _damaged(self, path: Path) -> UserError:
        path.unlink(missing_ok=True)
        return UserError(
            f"the cache was damaged: {path} had other content than its name says",
            hint="it is removed: build again, and check the disk",
        )

    def add(
        self,
        source: bytes | SupportsRead[bytes],
        media_type: str,
        *,
        digest: str | None = None,
        size: int | None = None,
    ) -> Descriptor:
        """Stores the content of ``source``, which is read in pieces.

        :raises CorruptBlobError: when it has not the ``digest`` or ``size`` that is given.
        """
        with self.writer(media_type, digest=digest, size=size) as blob:
            if isinstance(source, bytes):
                blob.write(source)
            else:
                while chunk := source.read(_CHUNK):
                    blob.write(chunk)
        return blob.descriptor

    @contextlib.contextmanager
    def writer(
        self, media_type: str, *, digest: str | None = None, size: int | None = None
    ) -> Iterator[BlobWriter]:
        """A blob to write; once the block ends well it is in the store: see its ``descriptor``.

        :raises CorruptBlobError: when it has not the ``digest`` or ``size`` that is given.
        """
        with self._partial() as file:
            blob = BlobWriter(file, media_type, self.root)
            yield blob
            check_blob(blob.descriptor, digest, size)
            with cache_faults(self.root):
                file.flush()
                with _locked(self.root, fcntl.LOCK_SH):
                    Path(file.name).replace(self.path(blob.descriptor.digest))
                    self._hold(blob.descriptor.digest)

    @contextlib.contextmanager
    def spooled(self, source: SupportsRead[bytes]) -> Iterator[IO[bytes]]:
        """What ``source`` gives, as a file on the store's disk that can be read at any place."""
        with tempfile.TemporaryFile(dir=self.root / "partial") as file:
            while chunk := source.read(_CHUNK):
                with cache_faults(self.root):
                    file.write(chunk)
            with cache_faults(self.root):
                file.seek(0)
            yield file

    def get_record(self, key: str) -> Any:
        """What :meth:`put_record` noted under ``key``; None when there is nothing.

        The blobs that a record tells of may be gone: ask :meth:`has`.
        """
        path = self._record(key)
        with cache_faults(self.root):
            try:
                value = json.loads(path.read_bytes())
                os.utime(path)
            except (FileNotFoundError, ValueError):
                return None  # never noted, removed, or truncated by a power failure
            return value

    def put_record(self, key: str, value: object) -> None:
        """Notes a small JSON value under ``key``, in the place of what was there."""
        with self._partial() as file, cache_faults(self.root):
            file.write(canonical_json(value))
            file.flush()
            Path(file.name).replace(self._record(key))

    def clear(self) -> int:
        """Removes everything but what running builds hold; returns the bytes that were freed."""
        with cache_faults(self.root):
            return _trim(self.root, 0)

    def _hold(self, digest: str) -> None:
        if digest not in self._held:
            self._session.write(f"{digest}\n".encode())
            self._session.flush()
            self._held.add(digest)

    @contextlib.contextmanager
    def _partial(self) -> Iterator[IO[bytes]]:
        """A new file in ``partial/``, gone at the end unless it was moved into place."""
        with cache_faults(self.root), _locked(self.root, fcntl.LOCK_SH):
            file = _new_locked_file(self.root / "partial")
        try:
            yield file
        finally:
            Path(file.name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                file.close()  # it may have to write: to a full disk, which was told already

    def _record(self, key: str) -> Path:
        return self.root / "records" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


def _trim(root: Path, limit: int) -> int:
    """Removes the least recently used content beyond ``limit`` bytes, and what the dead left."""
    with _locked(root, fcntl.LOCK_EX):
        held: set[str] = set()
        for path in (root / "sessions").iterdir():
            held.update(_content_unless_dead(path).split())
        for path in (root / "partial").iterdir():
            _content_unless_dead(path, size=0)
        files = [
            (path.stat(), path)
            for directory in ("sha256", "records")
            for path in (root / directory).iterdir()
        ]
        # What it takes on the disk: a record of a few bytes takes a block.
        total = sum(stat.st_blocks * 512 for stat, _path in files)
        freed = 0
        for stat, path in sorted(files, key=lambda file: (file[0].st_mtime_ns, file[1].name)):
            if total - freed <= limit:
                break
            if f"sha256:{path.name}" not in held:
                path.unlink()
                freed += stat.st_blocks * 512
        return freed


def _content_unless_dead(path: Path, *, size: int = -1) -> str:
    """The content of a file; one that no living process has locked is removed and has none."""
    try:
        with path.open("r", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read(size)
            path.unlink()
    except FileNotFoundError:
        pass  # its process ended well at this moment
    return ""


def _new_locked_file(directory: Path) -> IO[bytes]:
    # The caller holds the store's lock: nobody sees the file before it is locked.
    file = tempfile.NamedTemporaryFile(dir=directory, delete=False)  # noqa: SIM115
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


@contextlib.contextmanager
def _locked(root: Path, kind: int) -> Iterator[None]:
    with (root / "lock").open("ab") as file:
        fcntl.flock(file, kind)
        yield
