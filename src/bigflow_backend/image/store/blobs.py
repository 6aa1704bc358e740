"""The content store: blobs by their digest, shared by all builds of the user.

It is a cache: all of its content can be fetched or built again. Several processes use it::

    lock                held briefly: shared to add or use blobs, exclusive to remove them
    sha256/<hex>        the complete, checked blobs; the mtime is the time of the last use
    records/<hex>.json  small records by key, such as the layer that some inputs gave
    partial/            files that are being written, each locked by its writer
    sessions/           a locked file for each running build, with the digests that it uses

All locks are ``flock`` locks, which the kernel releases when a process is killed. The next build
removes what it left in ``partial/`` and ``sessions/``.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from bigflow_backend.ground.deadline import DeadlineError
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import lock_file
from bigflow_backend.ground.foreign.documents import parse_json
from bigflow_backend.ground.limits import RECORD
from bigflow_backend.image.oci import Descriptor, sha256_digest
from bigflow_backend.image.store.blob import BlobReader, BlobWriter, check_blob
from bigflow_backend.image.store.directory import cache_errors, default_root, size_limit
from bigflow_backend.image.store.key import Key, record_content

if TYPE_CHECKING:
    from _typeshed import SupportsRead

_CHUNK = 1 << 20


@contextlib.contextmanager
def open_store(root: Path | None = None, *, limit: int | None = None) -> Iterator[BlobStore]:
    """Yield the store at ``root`` (by default :func:`default_root`) for one build.

    The blobs that the build adds or finds stay until the block ends. Then the least recently used
    content above ``limit`` bytes is removed (by default ``$BIGFLOW_CACHE_LIMIT_GB``, else 10 GB),
    except blobs that other running builds use.

    :raises UserError: if the directory is not writable.
    """
    root = default_root() if root is None else root
    limit = size_limit() if limit is None else limit
    with cache_errors(root):
        for name in ("sha256", "records", "partial", "sessions"):
            # Private: other users must not see the layers of a private image.
            (root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(root, fcntl.LOCK_SH):
            session = _new_locked_file(root / "sessions")
    try:
        yield BlobStore(root, session)
    finally:
        with session, cache_errors(root):
            Path(session.name).unlink(missing_ok=True)
            _trim(root, limit)


class BlobStore:
    """An open store; :func:`open_store` opens it."""

    def __init__(self, root: Path, session: IO[bytes]) -> None:
        self.root = root
        self._session = session
        self._held: set[str] = set()

    def path(self, digest: str) -> Path:
        """Return the path of a blob, which may not exist."""
        return self.root / "sha256" / digest.removeprefix("sha256:")

    def has(self, digest: str, size: int | None = None) -> bool:
        """Return whether the store has the blob, with ``size`` bytes if that is given.

        If it has, the blob stays until the store is closed.
        """
        with cache_errors(self.root), _locked(self.root, fcntl.LOCK_SH):
            path = self.path(digest)
            try:
                # A power failure can truncate a file that was moved just before.
                if size is not None and path.stat().st_size != size:
                    return False
                os.utime(path)
            except FileNotFoundError:
                return False
            self._hold(digest)
            return True

    def read(self, digest: str) -> bytes:
        """Return the checked content of a small blob.

        :raises KeyError: if the store does not have it.
        :raises UserError: if it is damaged; it is removed then.
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
        """Yield a blob for reading. The end of the block reads the rest, and checks the digest.

        :raises UserError: if the content does not have its digest, because the disk has damaged
            it. It is removed then, and the next build fetches or builds it again. An error in the
            block is replaced by this error.
        """
        path = self.path(descriptor.digest)
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context(path.open("rb"))
            except FileNotFoundError as error:
                raise UserError(
                    f"{descriptor.digest} is no longer in the cache {self.root}",
                    hint="build the image again",
                ) from error
            blob = BlobReader(file)
            try:
                yield blob
            except DeadlineError:
                raise
            except UserError as error:
                if blob.digest() != descriptor.digest:
                    raise self._damaged(path) from error
                raise
            if blob.digest() != descriptor.digest:
                raise self._damaged(path)

    def verify(self, descriptor: Descriptor) -> None:
        """Read a whole blob, as :meth:`reader` does, to check it."""
        with self.reader(descriptor):
            pass

    def _damaged(self, path: Path) -> UserError:
        path.unlink(missing_ok=True)
        return UserError(
            f"the cache was damaged: {path} did not have the digest of its name",
            hint="the file is removed; build again, and check the disk",
        )

    def add(
        self,
        source: bytes | SupportsRead[bytes],
        media_type: str,
        *,
        digest: str | None = None,
        size: int | None = None,
    ) -> Descriptor:
        """Store the content of ``source``, which is read in pieces; return its descriptor.

        :raises CorruptBlobError: if it does not have the given ``digest`` or ``size``.
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
        """Yield a blob for writing. If the block does not raise, the store has it afterwards.

        :raises CorruptBlobError: if it does not have the given ``digest`` or ``size``.
        """
        with self._partial() as file:
            blob = BlobWriter(file, media_type, self.root)
            yield blob
            check_blob(blob.descriptor, digest, size)
            with cache_errors(self.root):
                file.flush()
                with _locked(self.root, fcntl.LOCK_SH):
                    Path(file.name).replace(self.path(blob.descriptor.digest))
                    self._hold(blob.descriptor.digest)

    @contextlib.contextmanager
    def spooled(self, source: SupportsRead[bytes]) -> Iterator[IO[bytes]]:
        """Yield the content of ``source`` as a seekable file on the store's disk."""
        with tempfile.TemporaryFile(dir=self.root / "partial") as file:
            while chunk := source.read(_CHUNK):
                with cache_errors(self.root):
                    file.write(chunk)
            with cache_errors(self.root):
                file.seek(0)
            yield file

    def get_record(self, key: Key) -> Any:
        """Return the value of :meth:`put_record` for ``key``, or None.

        The store may have lost the blobs of a record: call :meth:`has`.
        """
        path = self._record(key)
        with cache_errors(self.root):
            try:
                value = parse_json(path.read_bytes(), limit=RECORD)
                os.utime(path)
            except (FileNotFoundError, ValueError):
                return None  # never written, removed, or truncated by a power failure
            return value

    def put_record(self, key: Key, value: object) -> None:
        """Write a small JSON value for ``key``, and replace the last one."""
        with self._partial() as file, cache_errors(self.root):
            file.write(record_content(value))
            file.flush()
            Path(file.name).replace(self._record(key))

    def clear(self) -> int:
        """Remove everything that running builds do not use; return the freed bytes."""
        with cache_errors(self.root):
            return _trim(self.root, 0)

    def _hold(self, digest: str) -> None:
        if digest not in self._held:
            self._session.write(f"{digest}\n".encode())
            self._session.flush()
            self._held.add(digest)

    @contextlib.contextmanager
    def _partial(self) -> Iterator[IO[bytes]]:
        """Yield a new file in ``partial/``; remove it at the end if it was not moved."""
        with cache_errors(self.root), _locked(self.root, fcntl.LOCK_SH):
            file = _new_locked_file(self.root / "partial")
        try:
            yield file
        finally:
            Path(file.name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                file.close()  # this may write to a full disk, which was reported already

    def _record(self, key: Key) -> Path:
        return self.root / "records" / f"{key}.json"


def _trim(root: Path, limit: int) -> int:
    """Remove old content above ``limit`` bytes, and the files of killed processes."""
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
        # The size on disk: a record of a few bytes needs a block.
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
    """Return the content of a locked file; remove an unlocked one, and return nothing."""
    try:
        with path.open("r", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read(size)
            path.unlink()
    except FileNotFoundError:
        pass  # its process has just ended
    return ""


def _new_locked_file(directory: Path) -> IO[bytes]:
    # The caller holds the store's lock, so nobody sees the file before it is locked.
    file = tempfile.NamedTemporaryFile(dir=directory, delete=False)  # noqa: SIM115
    _lock(file, fcntl.LOCK_EX, directory)
    return file


@contextlib.contextmanager
def _locked(root: Path, kind: int) -> Iterator[None]:
    with (root / "lock").open("ab") as file:
        _lock(file, kind, root)
        yield


def _lock(file: IO[bytes], kind: int, directory: Path) -> None:
    hint = "set BIGFLOW_CACHE to a directory on a local disk"
    lock_file(file.fileno(), kind, directory=directory, hint=hint)
