"""Projects of BigFlow 1.x build unchanged, and warnings show the current form."""

from __future__ import annotations

import warnings
import zipfile
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import BigflowWarning
from support.projects import Project, write_project

if TYPE_CHECKING:
    from pathlib import Path

FORMS: dict[str, dict[str, str | None]] = {
    "bigflow.build.setup": {
        "project_setup.py": None,
        "setup.py": """\
#!/usr/bin/env python
import bigflow.build

bigflow.build.setup(
    name="pipelines",
    description="Rides",
    docker_repository="eu.gcr.io/project/repository",
    resources_dir="resources",
)
""",
    },
    "bigflow.build.default_project_setup": {
        "project_setup.py": """\
from bigflow.build import default_project_setup

PROJECT_NAME = "pipelines"

if __name__ == "__main__":
    default_project_setup(PROJECT_NAME, description="Rides")
""",
    },
    "bigflow.build.project_setup": {
        "project_setup.py": """\
import setuptools
from bigflow.build import auto_configuration, project_setup

PROJECT_NAME = "pipelines"

if __name__ == "__main__":
    setuptools.setup(
        **project_setup(**auto_configuration(PROJECT_NAME), description="Rides")
    )
""",
    },
    "the table": {
        "project_setup.py": None,
        "pyproject.toml": """\
[build-system]
requires = ["bigflow-backend"]
build-backend = "bigflow_backend"

[bigflow-project]
name = "pipelines"
description = "Rides"
version = "1.2.0"
resources_dir = "resources"
""",
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_old_forms_build(tmp_path: Path, form: str) -> None:
    project = write_project(tmp_path / "project", FORMS[form])
    wheel, warned = build(project, tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read("pipelines-1.2.0.dist-info/METADATA").decode()
    assert {"pipelines/workflow.py", "pipelines/resources/requirements.txt"} <= names
    assert not any(n.startswith(("test/", "resources/")) or ".data/" in n for n in names)
    assert "\nSummary: Rides\n" in metadata
    if form.startswith("bigflow"):
        assert f"{form} is deprecated and still works" in warned
        assert "from bigflow_backend import setup" in warned


@pytest.mark.parametrize("form", ["bigflow.build.setup", "bigflow.build.project_setup"])
def test_old_forms_build_without_pyproject(tmp_path: Path, form: str) -> None:
    """Frontends then use setuptools' own backend, which runs setup.py with its commands."""
    files = {"pyproject.toml": None, **FORMS[form]}
    if "setup.py" not in files:
        files |= {"setup.py": files["project_setup.py"], "project_setup.py": None}
    project = write_project(tmp_path / "project", files)
    pip = ["-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps"]
    done = project.run(*pip, "--wheel-dir", str(tmp_path), ".")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "pipelines-1.2.0-py3-none-any.whl") as archive:
        assert "pipelines/resources/requirements.txt" in archive.namelist()
    done = project.run("setup.py", "bdist_wheel", "--python-tag=py311", f"--dist-dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "pipelines-1.2.0-py311-none-any.whl").is_file()


def test_a_warning_names_the_new_place_of_a_keyword(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", FORMS["bigflow.build.setup"])
    _, warned = build(project, tmp_path)
    assert "setup() does not use docker_repository; write it into deployment_config.py" in warned


@pytest.mark.parametrize("form", [f for f in FORMS if f != "the table"])
def test_old_scripts_have_the_commands(tmp_path: Path, form: str) -> None:
    project = write_project(tmp_path / "project", FORMS[form])
    script = "setup.py" if (project.root / "setup.py").exists() else "project_setup.py"
    done = project.run(script, "bdist_wheel")
    assert done.returncode == 0, done.stderr
    assert (project.root / "dist" / "pipelines-1.2.0-py3-none-any.whl").is_file()
    assert "build_project" in project.run(script, "--help-commands").stdout


def test_the_old_backend_name_has_the_hooks(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", FORMS["bigflow.build.setup"])
    done = project.run(
        "-c",
        "import sys, bigflow.build.meta as b; print(b.build_wheel(sys.argv[1]))",
        str(tmp_path),
    )
    assert done.stdout.split() == ["pipelines-1.2.0-py3-none-any.whl"], done.stderr


def test_a_warning_for_the_requirement_bigflow(tmp_path: Path) -> None:
    project = write_project(tmp_path, {"resources/requirements.txt": "bigflow==1.11.3\n"})
    _, warned = build(project, tmp_path)
    assert "the project requires bigflow, whose files" in warned
    assert "replace it by bigflow-backend" in warned


def build(project: Project, directory: Path) -> tuple[Path, str]:
    """Build the wheel; return it and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", BigflowWarning)
        name: str = project.hook("build_wheel", str(directory))
    return directory / name, "\n".join(str(w.message) for w in caught)
