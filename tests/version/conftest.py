"""The git of these tests does not read the configuration of the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.git_repository import isolate_git

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate_git(monkeypatch, tmp_path)
