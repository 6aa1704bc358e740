"""The line of a step, while a real uv runs."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from bigflow_backend.ground import progress
from bigflow_backend.ground.progress import Verbosity, prints, step
from bigflow_backend.image.dependencies.uv_process import run_uv
from support.distribution import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from support.package_index import PackageIndex

_SIZE = 3 << 20


def test_the_bytes_of_downloads(
    package_index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uv prints the size of large files when their download begins."""
    monkeypatch.setenv("UV_DEFAULT_INDEX", package_index.url)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    content = os.urandom(_SIZE).hex()[:_SIZE]
    make_wheel(package_index.directory, "big", "1.0", {"big.py": f"X = '{content}'\n"})
    with prints(Verbosity.QUIET), step("building"):
        status, lines = run_uv(
            "pip", "install", "--target", str(tmp_path / "site"), "--python", sys.executable, "big",
            project=tmp_path, find_links=(), urls=(), timeout=60,
        )  # fmt: skip
        fold = progress._state.fold
        assert fold is not None
        transfers = dict(fold.transfers)
    assert status == 0, lines
    ((kind, name), (done, total)) = transfers.popitem()
    assert (kind, name) == ("uv", "big")
    assert done == total > 1 << 20
