"""Other people's tools judge the wheels and sdists of every kind of project."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile
from uv import find_uv_bin

from bigflow_backend.project.project import read_project
from bigflow_backend.wheel.content import resource_members
from support.projects import copy_project, write_project

if TYPE_CHECKING:
    from pathlib import Path

    from support.projects import Project

KINDS = ("plain", "pep621", "both", "extension")


@pytest.fixture(params=KINDS)
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> list[Path]:
    """The wheel and the sdist of a project."""
    project = copy_project(request.param, tmp_path / "project")
    out = tmp_path / "out"
    out.mkdir()
    return [out / project.hook(hook, str(out)) for hook in ("build_wheel", "build_sdist")]


def judge(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_twine(artifacts: list[Path]) -> None:
    # Without --strict, a missing long description, which is the project's choice, is no fault.
    judge([sys.executable, "-m", "twine", "check", *artifacts])


def test_twine_strictly(tmp_path: Path) -> None:
    project = copy_project("pep621", tmp_path / "project")
    built = [tmp_path / project.hook(h, str(tmp_path)) for h in ("build_wheel", "build_sdist")]
    judge([sys.executable, "-m", "twine", "check", "--strict", *built])


def test_check_wheel_contents(artifacts: list[Path]) -> None:
    # W002: the empty __init__.py of two packages are equal; W009: two packages, as [tool.bigflow]
    # asks for. In an environment of its own: it needs older libraries than others here.
    judge(
        [find_uv_bin(), "tool", "run", "check-wheel-contents", "--ignore=W002,W009", artifacts[0]]
    )


def test_wheel_unpack(artifacts: list[Path], tmp_path: Path) -> None:
    # It verifies every hash of RECORD.
    judge([sys.executable, "-m", "wheel", "unpack", "--dest", tmp_path / "unpacked", artifacts[0]])


def test_installer(artifacts: list[Path], tmp_path: Path) -> None:
    """A second installer beside pip: it validates RECORD, and writes scripts and data."""
    paths = {
        name: str(tmp_path / "installed" / name)
        for name in ("purelib", "platlib", "headers", "scripts", "data")
    }
    destination = SchemeDictionaryDestination(
        paths, interpreter=sys.executable, script_kind="posix"
    )
    with WheelFile.open(artifacts[0]) as source:
        source.validate_record(validate_contents=True)
        install(source=source, destination=destination, additional_metadata={})
    library = tmp_path / "installed" / ("purelib" if "none-any" in str(artifacts[0]) else "platlib")
    assert (library / "pipelines" / "__init__.py").is_file()


def test_the_extension_module_works(tmp_path: Path) -> None:
    project = copy_project("extension", tmp_path / "project")
    with zipfile.ZipFile(tmp_path / project.hook("build_wheel", str(tmp_path))) as wheel:
        wheel.extractall(tmp_path / "site")
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    assert (tmp_path / "site" / "pipelines" / f"_fast{suffix}").is_file()
    done = subprocess.run(
        [sys.executable, "-c", "from pipelines.workflow import answer; print(answer())"],
        cwd=tmp_path / "site",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "42\n"


# What a file may be called: all but "/" and NUL, in UTF-8, and no longer than file systems have it.
names = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40
).filter(lambda name: name not in {".", ".."} and len(name.encode()) < 200)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(name=names)
def test_every_name_of_a_resource_is_kept_or_junk(empty_project: Project, name: str) -> None:
    for file in (empty_project.root / "resources").iterdir():
        file.unlink()
    (empty_project.root / "resources" / name).write_bytes(b"content")
    members = resource_members(read_project(empty_project.root))
    junk = name in {"__pycache__", ".DS_Store", "Thumbs.db", ".gitkeep", ".gitignore"}
    junk = junk or name == ".ipynb_checkpoints"
    junk = junk or name.endswith((".pyc", ".pyo", "~", ".swp", ".swo"))
    assert [m.name for m in members] == ([] if junk else [f"pipelines/resources/{name}"])
    assert all(m.read() == b"content" for m in members)


@pytest.fixture
def empty_project(tmp_path: Path) -> Project:
    return write_project(tmp_path / "project")
