"""A plain project: its metadata without setuptools are those that setuptools writes."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import setuptools
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uv import find_uv_bin

import bigflow_backend
from bigflow_backend.project.project import read_project
from bigflow_backend.wheel.content import project_content
from bigflow_backend.wheel.distribution import read_stated
from bigflow_backend.wheel.plain import plain_metadata
from support.projects import HookFailedError, write_project

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bigflow_backend.wheel.plain import PlainMetadata
    from support.projects import Project

_BUILD_SYSTEM = (
    '[build-system]\nrequires = ["bigflow-backend"]\nbuild-backend = "bigflow_backend"\n'
)
_PROJECT = f'{_BUILD_SYSTEM}[project]\nname = "pipelines"\n'
_DYNAMIC = f'{_PROJECT}dynamic = ["version"]\n'
_FULL = f"""\
{_PROJECT}version = "1.2"
description = "Pipelines: a few -- with 'quotes', é"
readme = "README.md"
requires-python = ">=3.9,<4,!=3.10.1"
dependencies = ["Torch[b,a]>=1", 'torch ; python_version<"3.12"', "x @ https://e.org/x.whl#a=b"]
"""
PLAIN: dict[str, dict[str, str | None]] = {
    "script": {},
    "script with requirements": {"resources/requirements.txt": "pandas>=2\nNumPy == 2.0 # why\n"},
    "static version": {"project_setup.py": None, "pyproject.toml": f'{_PROJECT}version = "1.2"\n'},
    "dynamic version": {"project_setup.py": None, "pyproject.toml": _DYNAMIC},
    "requirements beside [project]": {
        "pyproject.toml": _DYNAMIC,
        "resources/requirements.txt": 'pandas>=2; os_name == "posix"\n',
    },
    "dynamic dependencies": {
        "pyproject.toml": f'{_PROJECT}dynamic = ["dependencies", "version"]\n',
        "resources/requirements.txt": "pandas>=2\n",
    },
    "all fields": {
        "project_setup.py": None,
        "resources/requirements.txt": None,
        "pyproject.toml": _FULL,
        "README.md": "# Title\r\n\r\ntext without an end",
    },
    "empty readme": {"pyproject.toml": f'{_DYNAMIC}readme = "a.txt"\n', "a.txt": ""},
    "sub-packages": {"pipelines/deep/er/__init__.py": "", "pipelines/deep/__init__.py": ""},
    "two packages": {
        "zeta/__init__.py": "",
        "pyproject.toml": f'{_DYNAMIC}[tool.bigflow]\npackages = ["pipelines", "zeta"]\n',
    },
    "tables of other tools": {
        "pyproject.toml": f"{_DYNAMIC}[tool.uv]\n[tool.ruff.lint]\n[dependency-groups]\na = []\n"
    },
}
NOT_PLAIN: dict[str, dict[str, str | None]] = {
    "author": {"pyproject.toml": f'{_DYNAMIC}authors = [{{name = "A. B"}}]\n'},
    "two lines": {"pyproject.toml": f'{_DYNAMIC}description = "a\\nb"\n'},
    "scripts": {"pyproject.toml": f'{_DYNAMIC}scripts = {{go = "pipelines.workflow:go"}}\n'},
    "license file": {"LICENCE": "free\n"},
    "setup.cfg": {"setup.cfg": "[metadata]\nauthor = A. B\n"},
    "[tool.setuptools]": {"pyproject.toml": f'{_DYNAMIC}[tool.setuptools]\nplatforms = ["any"]\n'},
    "[tool.distutils]": {
        "pyproject.toml": f"{_DYNAMIC}[tool.distutils.bdist_wheel]\npython-tag = 'py39'\n"
    },
    "keyword": {
        "project_setup.py": "from bigflow_backend import setup\n"
        'setup(name="pipelines", description="Words")\n'
    },
    "readme with a type": {
        "pyproject.toml": f'{_DYNAMIC}readme = {{file = "R", content-type = "text/plain"}}\n',
        "R": "words",
    },
    "readme in a directory": {"pyproject.toml": f'{_DYNAMIC}readme = "a/R.md"\n', "a/R.md": "x"},
    "name of many forms": {
        "project_setup.py": None,
        "pyproject.toml": f'{_BUILD_SYSTEM}[project]\nname = "Pipe.lines"\nversion = "1"\n'
        '[tool.bigflow]\npackages = ["pipelines"]\n',
    },
}
REFUSED: dict[str, str] = {
    "no version of Python": f'{_DYNAMIC}requires-python = "three"\n',
    "a field of no standard": f'{_DYNAMIC}colour = "red"\n',
    "static and dynamic": f'{_PROJECT}version = "1.2"\ndynamic = ["version"]\n',
    "readme of an unknown type": f'{_DYNAMIC}readme = "pyproject.toml"\n',
    "a number": f"{_DYNAMIC}description = 1\n",
    "dependencies as a text": f'{_DYNAMIC}dependencies = "abc"\n',
}


def plain(project: Project, monkeypatch: pytest.MonkeyPatch) -> PlainMetadata | None:
    for variable, value in project.environment.items():
        monkeypatch.setenv(variable, value)
    found = read_project(project.root)
    return plain_metadata(found, project_content(found), read_stated(found))


def by_setuptools(project: Project, out: Path) -> tuple[str, dict[str, bytes]]:
    """Return the name of the wheel, and its metadata. This process has imported setuptools."""
    assert sys.modules["setuptools"] is setuptools
    out.mkdir(exist_ok=True)
    name = project.hook("build_wheel", str(out))
    with zipfile.ZipFile(out / name) as wheel:
        members = (n for n in wheel.namelist() if ".dist-info/" in n)
        return name, {n.partition("/")[2]: wheel.read(n) for n in members if "RECORD" not in n}


@pytest.mark.parametrize("kind", PLAIN)
def test_metadata_are_those_of_setuptools(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write_project(tmp_path / "project", PLAIN[kind])
    found = plain(project, monkeypatch)
    assert found is not None
    assert (found.wheel_name, found.files) == by_setuptools(project, tmp_path)


@pytest.mark.parametrize("kind", NOT_PLAIN)
def test_setuptools_writes_other_metadata(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write_project(tmp_path / "project", NOT_PLAIN[kind])
    assert plain(project, monkeypatch) is None


@pytest.mark.parametrize("kind", REFUSED)
def test_setuptools_refuses_invalid_fields(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write_project(tmp_path / "project", {"pyproject.toml": REFUSED[kind]})
    assert plain(project, monkeypatch) is None
    with pytest.raises(HookFailedError, match=r"pyproject\.toml"):
        project.hook("build_wheel", str(tmp_path))


@pytest.mark.parametrize("variable", ["DIST_EXTRA_CONFIG", "SETUPTOOLS_USE_DISTUTILS"])
def test_a_variable_of_setuptools(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "local")
    assert plain(write_project(tmp_path / "project"), monkeypatch) is None


def test_a_configuration_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    project = write_project(tmp_path / "project")
    assert plain(project, monkeypatch) is not None
    (tmp_path / ".pydistutils.cfg").write_text("[bdist_wheel]\npython_tag = py39\n")
    assert plain(project, monkeypatch) is None


def test_a_home_that_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may run as a user without a name, whose HOME is not set."""
    project = write_project(tmp_path / "project")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    assert plain(project, monkeypatch) is not None


def test_a_place_of_modules_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write_project(tmp_path / "project")
    points = tmp_path / "modules/other.dist-info/entry_points.txt"
    points.parent.mkdir(parents=True)
    points.write_bytes(b"\xff")
    monkeypatch.syspath_prepend(points.parents[1])
    assert plain(project, monkeypatch) is None


def test_a_plugin_of_setuptools_has_its_effect(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    (plugin / "plugin-1.dist-info").mkdir(parents=True)
    (plugin / "plugin.py").write_text(
        "def write(command, name, file):\n    command.write_file(name, file, 'written')\n"
    )
    (plugin / "plugin-1.dist-info" / "METADATA").write_text("Name: plugin\nVersion: 1\n")
    points = plugin / "plugin-1.dist-info" / "entry_points.txt"
    points.write_text("[egg_info.writers]\nplugin.txt = plugin:write\n")
    project = write_project(tmp_path / "project")
    name = project.hook_process("build_wheel", str(tmp_path), PYTHONPATH=str(plugin))
    with zipfile.ZipFile(tmp_path / name) as wheel:
        assert wheel.read("pipelines-1.2.0.dist-info/plugin.txt") == b"written"


_WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
_NAMES = st.from_regex(r"[a-z0-9]{1,4}([._-][A-Za-z0-9]{1,4}){0,2}", fullmatch=True)
_VERSIONS = st.from_regex(r"(>=|==|~=|!=|<)[0-9]\.[0-9]{1,2}", fullmatch=True)
_MARKERS = st.sampled_from(["", " ; python_version < '3.12'", " ; extra == 'a' or os_name=='nt'"])
_REQUIREMENTS = st.builds("{}{}{}".format, _NAMES, _VERSIONS, _MARKERS)


@pytest.mark.slow
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=_NAMES,
    fields=st.fixed_dictionaries(
        {"dependencies": st.lists(_REQUIREMENTS, max_size=4)},
        optional={
            "description": _WORDS,
            "requires-python": st.lists(_VERSIONS, min_size=1, max_size=3).map(",".join),
        },
    ),
    readme=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
)
def test_any_plain_metadata_are_those_of_setuptools(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    fields: dict[str, object],
    readme: str | None,
) -> None:
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
    table = [_BUILD_SYSTEM, "[project]", f'name = "{name}"', 'version = "1.2.0"', *lines]
    files: dict[str, str | None] = {"project_setup.py": None, "resources/requirements.txt": None}
    if readme is not None:
        files["README.md"] = readme
        table.append('readme = "README.md"')
    files["pyproject.toml"] = "\n".join([*table, "[tool.bigflow]", 'packages = ["pipelines"]'])
    place = tmp_path_factory.mktemp("any")
    project = write_project(place / "project", files)
    found = plain(project, monkeypatch)
    if found is not None:
        assert (found.wheel_name, found.files) == by_setuptools(project, place)


_EACH = """
import os, sys
import bigflow_backend
projects = sys.argv[2:]
def wheels():
    built = []
    for project in projects:
        os.chdir(project)
        name = bigflow_backend.build_wheel(sys.argv[1])
        with open(os.path.join(sys.argv[1], name), "rb") as wheel:
            built.append((name, wheel.read()))
    return built
without = wheels()
assert "setuptools" not in sys.modules
import setuptools
assert wheels() == without
print(setuptools.__version__)
"""


def wheels_with_each(python: Path, tmp_path: Path, kinds: Iterable[str] = PLAIN) -> str:
    """Build each plain project without setuptools, then with it. Return the version of it."""
    projects = [write_project(tmp_path / kind, PLAIN[kind]).root for kind in kinds]
    renamed = {"resources/requirements.txt": "Bigflow[dataflow]>=1; os_name == 'posix'\n"}
    projects.append(write_project(tmp_path / "renamed", renamed).root)
    out = tmp_path / "out"
    out.mkdir()
    command: list[str | Path] = [python, "-W", "ignore", "-c", _EACH, out, *projects]
    done = subprocess.run(
        command,
        env={**os.environ, "BIGFLOW_VERSION": "1.2.0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_hook_does_not_import_setuptools(tmp_path: Path) -> None:
    kinds = ("script", "all fields")
    assert wheels_with_each(Path(sys.executable), tmp_path, kinds) == setuptools.__version__


@pytest.mark.slow
@pytest.mark.parametrize("version", ["77.0.1", "78.1.1", "79.0.1", "80.9.0", "82.0.1"])
def test_older_releases_of_setuptools(version: str, tmp_path: Path) -> None:
    uv, venv = find_uv_bin(), tmp_path / "venv"
    subprocess.run([uv, "venv", "-q", "-p", sys.executable, str(venv)], check=True)
    install = [uv, "pip", "install", "-q", "-p", str(venv / "bin" / "python")]
    subprocess.run([*install, f"setuptools=={version}", "packaging"], check=True)
    source = Path(bigflow_backend.__file__).parents[1]
    (packages,) = (venv / "lib").glob("python3*/site-packages")
    (packages / "source.pth").write_text(f"{source}\n")
    assert wheels_with_each(venv / "bin" / "python", tmp_path / "projects") == version
