"""``bigflow config``: each value, and where it comes from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.commands import bigflow
from support.projects import Project, write_project

if TYPE_CHECKING:
    from pathlib import Path

_PYPROJECT = """\
[build-system]
requires = ["bigflow-backend"]
build-backend = "bigflow_backend"
[tool.bigflow.dags]
target = "kubernetes"
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    files = {
        "pyproject.toml": _PYPROJECT,
        "project_setup.py": 'from bigflow_backend import setup\nPROJECT_NAME = "pipelines"\n'
        'if __name__ == "__main__":\n    setup(name=PROJECT_NAME, export_image_tar=False)\n',
    }
    written = write_project(tmp_path / "project", files)
    config = tmp_path / "config/bigflow/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('cache-limit-gb = 5\n[image]\ninsecure-registries = ["m:1"]\n')
    return Project(written.root, {"XDG_CONFIG_HOME": str(tmp_path / "config"), "HOME": "/nowhere"})


def settings(project: Project, **environment: str) -> dict[str, tuple[Any, str]]:
    """Return the value and the source of each setting."""
    done = bigflow(project, "config", "--json", **environment)
    assert done.returncode == 0, done.stderr
    return {s["key"]: (s["value"], s["source"]) for s in json.loads(done.stdout)["settings"]}


def test_each_source(project: Project) -> None:
    file = f"{project.environment['XDG_CONFIG_HOME']}/bigflow/config.toml"
    found = settings(project, BIGFLOW_IMAGE_PLATFORMS="linux/arm64", BIGFLOW_CACHE="/blobs")
    assert found["image.platforms"] == (["linux/arm64"], "BIGFLOW_IMAGE_PLATFORMS")
    assert found["dags.target"] == ("kubernetes", "pyproject.toml")
    assert found["image.export-tar"] == (False, "export_image_tar in project_setup.py")
    assert found["image.insecure-registries"] == (["m:1"], file)
    assert found["cache-limit-gb"] == (5, file)
    assert found["cache"] == ("/blobs", "BIGFLOW_CACHE")
    assert found["image.builder"] == ("auto", "default")
    assert found["package"] == ("pipelines", "the project's files")
    assert found["packages"] == (["pipelines"], "the project's files")


def test_lines(project: Project) -> None:
    done = bigflow(project, "config", "image.builder", "dags.target")
    assert done.stdout.splitlines() == [
        'image.builder  "auto"        default',
        'dags.target    "kubernetes"  pyproject.toml',
    ]


def test_a_key_that_does_not_exist(project: Project) -> None:
    assert bigflow(project, "config", "image.builderr").error == [
        "bigflow: error: unknown setting 'image.builderr'",
        "  did you mean 'image.builder'?",
    ]


def test_no_secret_is_shown(project: Project) -> None:
    done = bigflow(
        project,
        "config",
        BIGFLOW_DAGS_ENVIRONMENT="API_TOKEN=hunter2 URL=https://ada:hunter2@example.com MODE=x",
        BIGFLOW_IMAGE_FIND_LINKS="https://ada:hunter2@example.com/wheels",
    )
    assert "hunter2" not in done.stdout
    assert '"MODE": "x"' in done.stdout


def test_outside_a_project(project: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    done = bigflow(Project(outside, project.environment), "config", "cache-limit-gb")
    assert done.returncode == 0
    assert done.stdout.split()[:2] == ["cache-limit-gb", "5"]
    assert f"{outside} has no project" in done.stderr


def test_a_wrong_value(project: Project) -> None:
    problem, fix = bigflow(project, "project-version", BIGFLOW_IMAGE_BUILDER="engin").error
    assert problem == (
        "bigflow: error: BIGFLOW_IMAGE_BUILDER must be auto, engine or layered: got 'engin'"
    )
    assert fix == "  did you mean 'engine'?"
