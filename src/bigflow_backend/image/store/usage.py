"""The cache that all builds of the user share, from the outside: how large it is, emptying it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.store.blobs import open_store
from bigflow_backend.image.store.directory import cache_name, default_root, size_limit


@dataclass(frozen=True)
class Cache:
    """The cache, at one moment."""

    path: Path
    size: int
    """In bytes on the disk."""
    limit: int
    """In bytes; what a build leaves beyond it is removed, the least recently used first."""


def look_at_cache() -> Cache:
    """The cache as it is: nothing is made, and nothing removed.

    :raises UserError: when it cannot be read, or its limit is no number.
    """
    root = default_root()
    try:
        size = sum(_sizes(root))
    except (PermissionError, NotADirectoryError) as error:
        raise UserError(
            f"cannot read the cache {cache_name(root)}: {error.strerror}",
            hint="set BIGFLOW_CACHE to a directory of your own",
        ) from error
    return Cache(path=root, size=size, limit=size_limit())


def clear_cache() -> int:
    """Removes all that no running build holds; the bytes that it took on the disk.

    :raises UserError: when it cannot be written.
    """
    if not default_root().exists():
        return 0
    with open_store() as store:
        return store.clear()


def _sizes(root: Path) -> Iterator[int]:
    for name in ("sha256", "records"):
        try:
            entries = list((root / name).iterdir())
        except FileNotFoundError:
            continue  # no build has used it yet
        for path in entries:
            # A build that ends at this moment may have removed it.
            with contextlib.suppress(FileNotFoundError):
                yield path.stat().st_blocks * 512
