"""Tools of others check the wheels and sdists of every kind of project."""

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


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """The wheel and the sdist of each kind of project."""
    work = tmp_path_factory.mktemp("judges")
    found = {}
    for kind in KINDS:
        project = copy_project(kind, work / kind / "project")
        out = work / kind / "out"
        out.mkdir()
        found[kind] = [out / project.hook(f"build_{what}", str(out)) for what in ("wheel", "sdist")]
    return found


@pytest.fixture
def wheels(built: dict[str, list[Path]]) -> list[Path]:
    return [wheel for wheel, _ in built.values()]


def check(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_twine(built: dict[str, list[Path]]) -> None:
    # Without --strict, as most of the projects have no long description.
    twine = [sys.executable, "-m", "twine", "check"]
    check([*twine, *(path for both in built.values() for path in both)])
    check([*twine, "--strict", *built["pep621"]])


def test_check_wheel_contents(wheels: list[Path]) -> None:
    # W002: two packages have an equal, empty __init__.py. W009: a project has two packages.
    # It needs older libraries than other tools, so it has an environment of its own.
    check([find_uv_bin(), "tool", "run", "check-wheel-contents", "--ignore=W002,W009", *wheels])


def test_wheel_unpack(wheels: list[Path], tmp_path: Path) -> None:
    # `wheel unpack` verifies every hash of RECORD.
    for wheel in wheels:
        check([sys.executable, "-m", "wheel", "unpack", "--dest", tmp_path, wheel])


@pytest.mark.parametrize("kind", KINDS)
def test_installer(built: dict[str, list[Path]], tmp_path: Path, kind: str) -> None:
    """A second installer beside pip validates RECORD, and writes scripts and data."""
    wheel = built[kind][0]
    paths = {
        name: str(tmp_path / name) for name in ("purelib", "platlib", "headers", "scripts", "data")
    }
    destination = SchemeDictionaryDestination(
        paths, interpreter=sys.executable, script_kind="posix"
    )
    with WheelFile.open(wheel) as source:
        source.validate_record(validate_contents=True)
        install(source=source, destination=destination, additional_metadata={})
    library = tmp_path / ("purelib" if "none-any" in wheel.name else "platlib")
    assert (library / "pipelines" / "__init__.py").is_file()


def test_the_extension_module_works(built: dict[str, list[Path]], tmp_path: Path) -> None:
    with zipfile.ZipFile(built["extension"][0]) as wheel:
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


# File names in UTF-8: without "/" and NUL, and not longer than file systems allow.
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
