"""The fixture of the hostile tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.directories import remove_tree
from hostile.runner import Scratch, make_scratch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Scratch]:
    """A good project, directories for a command, and a neighbour that must stay as it is."""
    scratch = make_scratch(tmp_path)
    yield scratch
    if scratch.uv_cache.exists():
        remove_tree(scratch.uv_cache)  # pytest cannot remove deep directories
