"""What project_setup.py and [project] say twice: the same in their own forms, or an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.projects import HookFailedError, write_project

if TYPE_CHECKING:
    from pathlib import Path

    from support.projects import Project

_TABLE = """\
[build-system]
requires = ["bigflow-backend"]
build-backend = "bigflow_backend"
[project]
name = "pipelines"
dynamic = ["version"]
description = "Rides, by hour"
readme = "README.md"
requires-python = ">=3.10,<4"
license = "MIT"
authors = [{ name = "Ada" }, { name = "Bo", email = "bo@example.org" }]
keywords = ["rides", "hours"]
classifiers = ["Private :: Do Not Upload"]
urls = { Homepage = "https://example.org", Source = "https://example.org/git" }
optional-dependencies = { db = ["six >= 1"] }
"""
SAME: dict[str, object] = {
    "description": "Rides, by hour",
    "long_description": "# Rides",
    "python_requires": "<4, >=3.10",
    "license": "MIT",
    "author": "Ada, Bo",
    "author_email": "Bo <bo@example.org>",
    "keywords": ["hours", "rides"],
    "classifiers": ["Private :: Do Not Upload"],
    "url": "https://example.org",
    "project_urls": {
        "Homepage": "https://example.org",
        "Source": "https://example.org/git",
    },
    "extras_require": {"db": ["six>=1"]},
}
OTHER: dict[str, object] = {
    "description": "Ridesbyhour",
    "long_description": "# Trips",
    "python_requires": ">=3.11",
    "license": "BSD-3-Clause",
    "author": "Ada",
    "author_email": "ada@example.org",
    "keywords": ["rides"],
    "classifiers": ["Topic :: Utilities"],
    "url": "https://example.com",
    "project_urls": {"Source": "https://example.com"},
    "extras_require": {"db": ["six>=2"]},
}


def test_all_of_it_said_twice(tmp_path: Path) -> None:
    project = both(tmp_path / "project", SAME)
    assert project.hook("build_wheel", str(tmp_path)) == "pipelines-1.2.0-py3-none-any.whl"


@pytest.mark.parametrize("keyword", OTHER)
def test_what_differs_is_told_with_both_places(tmp_path: Path, keyword: str) -> None:
    project = both(tmp_path / "project", {keyword: OTHER[keyword]})
    with pytest.raises(HookFailedError) as caught:
        project.hook("build_wheel", str(tmp_path))
    message, hint = caught.value.told
    assert f" is {OTHER[keyword]!r} by {keyword} in project_setup.py, and " in message
    assert " in pyproject.toml" in message
    assert hint == "  keep one of the two"


def both(root: Path, keywords: dict[str, object]) -> Project:
    script = f"""\
from bigflow_backend import setup
PROJECT_NAME = "pipelines"
if __name__ == "__main__":
    setup(name=PROJECT_NAME, **{keywords!r})
"""
    files = {"pyproject.toml": _TABLE, "README.md": "# Rides\n", "project_setup.py": script}
    return write_project(root, files)
