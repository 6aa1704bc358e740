"""Two caches: that of the machine that pushes, and that of one that pulls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bigflow_backend.image.store.blobs import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bigflow_backend.image.store.blobs import BlobStore

__all__ = ["empty_store", "store"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BlobStore]:
    """The cache where the tests make their images."""
    with open_store(tmp_path / "cache") as opened:
        yield opened


@pytest.fixture
def empty_store(tmp_path: Path) -> Iterator[BlobStore]:
    """The cache of another machine."""
    with open_store(tmp_path / "elsewhere") as opened:
        yield opened
