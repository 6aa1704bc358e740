"""The size of the cache that all builds of the user share, and clearing it."""

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
    """The size of the cache at one moment."""

    path: Path
    size: int
    """In bytes on the disk."""
    limit: int
    """In bytes. A build removes content above it, the least recently used first."""


def look_at_cache() -> Cache:
    """Return the size of the cache; nothing is created or removed.

    :raises UserError: if the cache cannot be read, or its limit is not a number.
    """
    root = default_root()
    try:
        size = sum(_sizes(root))
    except (PermissionError, NotADirectoryError) as error:
        raise UserError(
            f"cannot read the cache {cache_name(root)}: {error.strerror}",
            hint="set BIGFLOW_CACHE to a directory that you can read",
        ) from error
    return Cache(path=root, size=size, limit=size_limit())


def clear_cache() -> int:
    """Remove everything that no running build uses; return the freed bytes.

    :raises UserError: if the cache is not writable.
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
            # A build that ends now may remove it.
            with contextlib.suppress(FileNotFoundError):
                yield path.stat().st_blocks * 512
