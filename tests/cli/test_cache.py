"""``bigflow cache``: what it shows, and what it removes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from bigflow import cli
from bigflow_backend.image.store.blobs import open_store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def bigflow_cache(place: Path, *arguments: str, status: int = 0, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bigflow", "cache", *arguments],
        env={**os.environ, "BIGFLOW_CACHE": str(place), **environment},
        cwd=place.parent,  # it is not of a project
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if status == 0 else done.stderr


def fill(place: Path) -> None:
    with open_store(place / "blobs") as store:
        store.add(os.urandom(100_000), "text/plain")
        store.put_record("key", 1)


def shown(place: Path, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        bigflow_cache(place, "--json", *arguments, BIGFLOW_CACHE_LIMIT_GB="3")
    )
    return found


def test_a_cache_that_nothing_has_used_yet(place: Path) -> None:
    empty = {"path": str(place / "blobs"), "size": 0, "limit": 3 * 10**9}
    assert shown(place) == empty
    assert shown(place, "--clear") == {**empty, "freed": 0}
    assert not place.exists()


def test_looking_at_it_removes_nothing(place: Path) -> None:
    fill(place)
    lines = bigflow_cache(place, BIGFLOW_CACHE_LIMIT_GB="0").splitlines()
    assert lines[0] == f"path   {place / 'blobs'}"
    assert lines[1].startswith("size   1")
    assert lines[1].endswith(" kB")
    assert lines[2:] == ["limit  0 B"]
    assert shown(place)["size"] >= 100_000


def test_clearing_it(place: Path) -> None:
    fill(place)
    before = shown(place)["size"]
    cleared = shown(place, "--clear")
    assert (cleared["size"], cleared["freed"]) == (0, before)
    fill(place)
    assert "freed  1" in bigflow_cache(place, "--clear")


def test_what_a_running_build_holds_stays(place: Path) -> None:
    fill(place)
    with open_store(place / "blobs") as build:
        blob = build.add(b"held", "text/plain")
        last = bigflow_cache(place, "--clear").splitlines()[-1]
        assert "; running builds hold 4.1 kB" in last
        assert build.read(blob.digest) == b"held"


@pytest.mark.parametrize("arguments", [[], ["--clear"]])
def test_a_cache_that_is_none(place: Path, arguments: list[str]) -> None:
    place.write_text("a file")
    told = bigflow_cache(place, *arguments, status=1).splitlines()
    assert told[0].startswith("bigflow: error: cannot ")
    assert str(place) in told[0]
    assert "BIGFLOW_CACHE" in told[1]
    assert len(told) == 2


def test_a_limit_that_is_no_number(place: Path) -> None:
    told = bigflow_cache(place, status=1, BIGFLOW_CACHE_LIMIT_GB="much")
    assert told.startswith("bigflow: error: BIGFLOW_CACHE_LIMIT_GB is 'much'")


def test_both_helps_say_the_same(place: Path) -> None:
    assert cli._BUILD_COMMANDS["cache"] in bigflow_cache(place, "--help")
