"""The fixture of the hostile tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hostile.runner import Scratch, make_scratch

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    """A good project, directories for a command, and a neighbour that must stay as it is."""
    return make_scratch(tmp_path)
