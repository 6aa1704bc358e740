"""Installed projects read their own resources, also after another project is uninstalled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.environments import Environment, make_environment
from support.projects import Project, write_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_READER = """\
from pathlib import Path
from bigflow.resources import get_resource_absolute_path

def read(name):
    return Path(get_resource_absolute_path(name, Path(__file__))).read_text()
"""
_SETUP = """\
from bigflow_backend import setup
PROJECT_NAME = "{0}"
if __name__ == "__main__":
    setup(name=PROJECT_NAME)
"""
WAYS = ("wheel", "sdist", "editable", "strict")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, bigflow_wheels: Path) -> Environment:
    return make_environment(tmp_path_factory.mktemp("installed") / "venv", bigflow_wheels)


@pytest.fixture
def environment(shared: Environment) -> Iterator[Environment]:
    """The environment without a project."""
    yield shared
    shared.uv("pip", "uninstall", "--quiet", "alpha", "beta")


def make_project(root: Path, name: str) -> Project:
    return write_project(
        root / name,
        {
            "pipelines/__init__.py": None,
            "pipelines/workflow.py": None,
            "project_setup.py": _SETUP.format(name),
            f"{name}/__init__.py": "",
            f"{name}/reader.py": _READER,
            f"{name}/jobs/__init__.py": "",
            f"{name}/jobs/reader.py": _READER,
            "resources/table.csv": f"of {name}",
        },
    )


def install(environment: Environment, project: Project, way: str, out: Path) -> None:
    out.mkdir(exist_ok=True)
    pip = ("pip", "install", "--quiet", "--refresh", "--no-build-isolation", "--no-deps")
    if way == "editable":
        environment.uv(*pip, "--editable", project.root)
    elif way == "strict":
        environment.uv(*pip, "-C", "editable_mode=strict", "--editable", project.root)
    else:
        environment.uv(*pip, out / project.hook(f"build_{way}", str(out)))


def read(environment: Environment, name: str, module: str = "reader") -> str:
    return environment.run(f"from {name}.{module} import read; print(read('table.csv'))")


def read_with_importlib(environment: Environment, name: str) -> str:
    return environment.run(
        "import importlib.resources as r;"
        f"print((r.files('{name}') / 'resources' / 'table.csv').read_text())"
    )


@pytest.mark.parametrize("way", WAYS)
def test_each_project_reads_its_own_resources(
    environment: Environment, tmp_path: Path, way: str
) -> None:
    for name in ("alpha", "beta"):
        install(environment, make_project(tmp_path, name), way, tmp_path / "out")
    for name in ("alpha", "beta"):
        assert read(environment, name) == f"of {name}"
        assert read(environment, name, "jobs.reader") == f"of {name}"
        if way != "editable":  # setuptools' lenient mode maps modules alone
            assert read_with_importlib(environment, name) == f"of {name}"
    environment.uv("pip", "uninstall", "--quiet", "beta")
    assert read(environment, "alpha") == "of alpha"


def test_a_lenient_editable_install_sees_new_resources(
    environment: Environment, tmp_path: Path
) -> None:
    project = make_project(tmp_path, "alpha")
    install(environment, project, "editable", tmp_path / "out")
    project.write({"resources/table.csv": "changed"})
    assert read(environment, "alpha") == "changed"


def test_uninstalling_leaves_nothing(environment: Environment, tmp_path: Path) -> None:
    before = files(environment)
    install(environment, make_project(tmp_path, "alpha"), "wheel", tmp_path / "out")
    assert files(environment) != before
    environment.uv("pip", "uninstall", "--quiet", "alpha")
    assert files(environment) == before


def files(environment: Environment) -> set[str]:
    return {str(p) for p in environment.root.rglob("*") if p.is_file() and p.suffix != ".pyc"}
