"""Facts that both project_setup.py and [project] state."""

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
KEYWORDS: dict[str, object] = {
    "description": "Rides, by hour",
    "long_description": "# Rides",
    "python_requires": ">=3.10,<4",
    "license": "MIT",
    "author": "Ada, Bo",
    "author_email": "Bo <bo@example.org>",
    "keywords": ["rides", "hours"],
    "classifiers": ["Private :: Do Not Upload"],
    "url": "https://example.org",
    "project_urls": {"Source": "https://example.org/git"},
    "extras_require": {"db": ["six>=1"]},
}


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_a_field_that_is_stated_twice(tmp_path: Path, keyword: str) -> None:
    project = both(tmp_path / "project", {keyword: KEYWORDS[keyword]})
    with pytest.raises(HookFailedError) as caught:
        project.hook("build_wheel", str(tmp_path))
    problem, fix = caught.value.lines
    assert f" is stated twice: by {keyword} in project_setup.py, and by [project] " in problem
    assert fix == "  keep the one in pyproject.toml"


def test_an_equal_name_and_equal_dependencies_are_allowed(tmp_path: Path) -> None:
    project = both(tmp_path / "project", {"name": "Pipelines", "install_requires": ["six >=1"]})
    project.write({"resources/requirements.txt": "six>=1\n"})
    project.write(
        {
            "pyproject.toml": _TABLE.replace(
                "description =", 'dependencies = ["six >= 1"]\ndescription ='
            )
        }
    )
    assert project.hook("build_wheel", str(tmp_path)) == "pipelines-1.2.0-py3-none-any.whl"


def both(root: Path, keywords: dict[str, object]) -> Project:
    script = f"""\
from bigflow_backend import setup
PROJECT_NAME = "pipelines"
if __name__ == "__main__":
    setup(**{{"name": PROJECT_NAME, **{keywords!r}}})
"""
    files = {"pyproject.toml": _TABLE, "README.md": "# Rides\n", "project_setup.py": script}
    return write_project(root, files)
