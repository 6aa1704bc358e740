"""``bigflow cache`` shows the cache, and empties it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.image.store.blobs import open_store
from bigflow_backend.image.store.key import record_key
from support.commands import bigflow
from support.projects import Project

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def bigflow_cache(place: Path, *arguments: str, status: int = 0, **environment: str) -> str:
    # The current directory is not in a project.
    project = Project(place.parent, {"BIGFLOW_CACHE": str(place)})
    done = bigflow(project, "cache", *arguments, **environment)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


def fill(place: Path) -> None:
    with open_store(place / "blobs") as store:
        store.add(os.urandom(100_000), "text/plain")
        store.put_record(record_key("key"), 1)


def shown(place: Path, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        bigflow_cache(place, "--json", *arguments, BIGFLOW_CACHE_LIMIT_GB="3")
    )
    return found


def test_an_unused_cache(place: Path) -> None:
    empty = {"path": str(place / "blobs"), "size": 0, "limit": 3 * 10**9}
    assert shown(place) == empty
    assert shown(place, "--clear") == {**empty, "freed": 0}
    assert not place.exists()


def test_a_look_removes_nothing(place: Path) -> None:
    fill(place)
    lines = bigflow_cache(place, BIGFLOW_CACHE_LIMIT_GB="0").splitlines()
    assert lines[0] == f"path   {place / 'blobs'}"
    assert lines[1].startswith("size   1")
    assert lines[1].endswith(" kB")
    assert lines[2:] == ["limit  0 B"]
    assert shown(place)["size"] >= 100_000


def test_clear(place: Path) -> None:
    fill(place)
    before = shown(place)["size"]
    cleared = shown(place, "--clear")
    assert (cleared["size"], cleared["freed"]) == (0, before)
    fill(place)
    assert "freed  1" in bigflow_cache(place, "--clear")


def test_blobs_of_a_running_build_stay(place: Path) -> None:
    fill(place)
    with open_store(place / "blobs") as build:
        blob = build.add(b"held", "text/plain")
        last = bigflow_cache(place, "--clear").splitlines()[-1]
        assert "; running builds use 4.1 kB" in last
        assert build.read(blob.digest) == b"held"


@pytest.mark.parametrize("arguments", [[], ["--clear"]])
def test_a_cache_that_is_not_a_directory(place: Path, arguments: list[str]) -> None:
    place.write_text("a file")
    lines = bigflow_cache(place, *arguments, status=1).splitlines()
    assert lines[0].startswith("bigflow: error: cannot ")
    assert str(place) in lines[0]
    assert "BIGFLOW_CACHE" in lines[1]
    assert len(lines) == 2


def test_a_limit_that_is_not_a_number(place: Path) -> None:
    output = bigflow_cache(place, status=1, BIGFLOW_CACHE_LIMIT_GB="much")
    assert output.startswith(
        "bigflow: error: BIGFLOW_CACHE_LIMIT_GB must be a whole number: got 'much'"
    )
