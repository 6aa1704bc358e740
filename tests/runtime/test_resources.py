"""get_resource_absolute_path, alone and in real installations."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproject_hooks import BuildBackendHookCaller, quiet_subprocess_runner

import bigflow
from bigflow import BigflowError
from bigflow.resources import find_all_resources, find_file, get_resource_absolute_path
from support.runtime import SAMPLE, clean_environment, write_files

RUNTIME = str(Path(bigflow.__file__).parent.parent)
ASK = """
from pathlib import Path
import {package}.jobs as jobs
from bigflow.resources import get_resource_absolute_path
path = get_resource_absolute_path("stations.csv", Path(jobs.__file__))
assert path.is_absolute() and path.name == "stations.csv"
print(path)
print(path.read_text().splitlines()[-1])
"""


class TestInstalled:
    """Each layout of an installed project, made by the real tools."""

    def test_source_tree(self, tmp_path: Path) -> None:
        project = make_project(tmp_path, "one", "Oslo")
        path, city = ask(sys.executable, "one", PYTHONPATH=str(project))
        assert (path, city) == (project / "resources/stations.csv", "Oslo")

    def test_source_tree_with_the_package_in_src(self, tmp_path: Path) -> None:
        project = make_project(tmp_path, "one", "Oslo")
        (project / "src").mkdir()
        (project / "one").rename(project / "src/one")
        path, city = ask(sys.executable, "one", PYTHONPATH=str(project / "src"))
        assert (path, city) == (project / "resources/stations.csv", "Oslo")

    def test_wheel(self, tmp_path: Path) -> None:
        python = make_environment(tmp_path)
        install(python, build(make_project(tmp_path, "one", "Oslo"), "wheel"))
        path, city = ask(python, "one")
        assert path.parts[-4:] == ("site-packages", "one", "resources", "stations.csv")
        assert city == "Oslo"

    def test_two_projects_of_which_one_is_uninstalled(self, tmp_path: Path) -> None:
        python = make_environment(tmp_path)
        for package, city in (("one", "Oslo"), ("two", "Rome")):
            install(python, build(make_project(tmp_path, package, city), "wheel"))
        assert [ask(python, package)[1] for package in ("one", "two")] == ["Oslo", "Rome"]
        uv("pip", "uninstall", "--python", python, "two")
        assert ask(python, "one")[1] == "Oslo"

    def test_a_second_package_of_a_distribution(self, tmp_path: Path) -> None:
        """RECORD shows which resources are also those of ``two``."""
        for package in ("one", "two", "other"):
            files = {f"{package}/__init__.py": "", f"{package}/jobs.py": ""}
            write_files(tmp_path / "site-packages", files)
        resources = {"one/resources/a.txt": "1", "other/resources/b.txt": "2"}
        records = {
            "rides-1.dist-info/RECORD": "one/__init__.py,,\none/resources/a.txt,,\n"
            "two/__init__.py,,\ntwo/jobs.py,,\n",
            "other-1.dist-info/RECORD": "other/__init__.py,,\nother/resources/b.txt,,\n",
        }
        write_files(tmp_path / "site-packages", {**resources, **records})
        jobs = tmp_path / "site-packages/two/jobs.py"
        assert get_resource_absolute_path("a.txt", jobs).read_text() == "1"
        with pytest.raises(BigflowError, match=r"b\.txt' not found"):
            get_resource_absolute_path("b.txt", jobs)

    @pytest.mark.parametrize("mode", ["lenient", "strict"])
    def test_editable(self, tmp_path: Path, mode: str) -> None:
        python = make_environment(tmp_path)
        project = make_project(tmp_path, "one", "Oslo")
        install(python, build(project, "editable", editable_mode=mode))
        path, city = ask(python, "one")
        assert path.is_relative_to(project)
        assert city == "Oslo"

    def test_directory_of_pip_install_target(self, tmp_path: Path) -> None:
        target = tmp_path / "target"
        wheel = build(make_project(tmp_path, "one", "Oslo"), "wheel")
        uv("pip", "install", "--no-deps", "--offline", "--target", str(target), str(wheel))
        assert ask(sys.executable, "one", PYTHONPATH=str(target))[1] == "Oslo"


def make_project(directory: Path, package: str, city: str) -> Path:
    project = directory / f"project_{package}"
    shutil.copytree(SAMPLE, project)
    (project / "runtime_sample").rename(project / package)
    shutil.rmtree(project / package / "loads")
    for file in (project / "project_setup.py", *(project / package).glob("*.py")):
        text = file.read_text("utf-8")
        file.write_text(text.replace("runtime_sample", package), "utf-8")
    (project / "project_setup.py").write_text(
        f'from bigflow_backend import setup\n\nPROJECT_NAME = "{package}"\n\n'
        f'if __name__ == "__main__":\n    setup(name=PROJECT_NAME, version="1.0")\n',
        "utf-8",
    )
    (project / "resources/stations.csv").write_text(city, "utf-8")
    return project


def make_environment(directory: Path) -> str:
    uv("venv", "--python", sys.executable, str(directory / "environment"))
    return str(directory / "environment/bin/python")


def build(project: Path, kind: Literal["wheel", "editable"], **config_settings: str) -> Path:
    hooks = BuildBackendHookCaller(str(project), "bigflow_backend", runner=quiet_subprocess_runner)
    hook = hooks.build_wheel if kind == "wheel" else hooks.build_editable
    dist = project.parent / "dist"
    dist.mkdir(exist_ok=True)
    return dist / hook(str(dist), config_settings)


def install(python: str, wheel: Path) -> None:
    uv("pip", "install", "--no-deps", "--offline", "--python", python, str(wheel))


def uv(*arguments: str) -> None:
    command = [sys.executable, "-m", "uv", "--quiet", *arguments]
    subprocess.run(command, check=True, env=clean_environment())


def ask(python: str, package: str, **environment: str) -> tuple[Path, str]:
    path = os.pathsep.join([environment.get("PYTHONPATH", ""), RUNTIME]).strip(os.pathsep)
    out = subprocess.run(
        [python, "-c", ASK.format(package=package)],
        cwd="/",
        env=clean_environment({"PYTHONPATH": path}),
        capture_output=True,
        text=True,
        check=True,
    )
    found, city = out.stdout.splitlines()
    return Path(found), city


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/etc/passwd", "../project_setup.py", "a/b.txt", "a/", "./a", "a\0", None, 3],
)
def test_an_invalid_name(name: str) -> None:
    with pytest.raises(BigflowError, match="is not a valid resource name") as caught:
        get_resource_absolute_path(name, __file__)
    assert "plain file name" in caught.value.hint


@given(st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=60))
def test_every_plain_name_is_found(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    project = tmp_path_factory.getbasetemp() / "names"
    write_files(project, {"pyproject.toml": "", "package/module.py": "", "resources/other": ""})
    resource = project / "resources" / name
    if name in {".", ".."}:
        with pytest.raises(BigflowError, match="is not a valid resource name"):
            get_resource_absolute_path(name, project / "package/module.py")
    elif name != "other":
        with pytest.raises(BigflowError, match="not found for"):
            get_resource_absolute_path(name, project / "package/module.py")
        resource.write_text("x", "utf-8")
        assert get_resource_absolute_path(name, project / "package/module.py") == resource
        resource.unlink()


class TestSearch:
    def test_the_error_lists_the_paths_up_to_the_project(self, tmp_path: Path) -> None:
        write_files(tmp_path, {"resources/a": "of another", "p/pyproject.toml": "", "p/q/m.py": ""})
        with pytest.raises(BigflowError) as caught:
            get_resource_absolute_path("a", tmp_path / "p/q/m.py")
        assert caught.value.message == f"resource 'a' not found for {tmp_path / 'p/q/m.py'}"
        places = f"{tmp_path}/p/q/resources/a, {tmp_path}/p/resources/a"
        assert caught.value.hint == f"searched: {places}"

    @pytest.mark.parametrize("project_file", ["project_setup.py", "pyproject.toml", "setup.py"])
    def test_the_search_ends_at_a_project(self, tmp_path: Path, project_file: str) -> None:
        write_files(tmp_path, {"resources/a": "", f"p/{project_file}": "", "p/q/m.py": ""})
        with pytest.raises(BigflowError):
            get_resource_absolute_path("a", tmp_path / "p/q/m.py")

    def test_a_package_named_resources_in_site_packages(self, tmp_path: Path) -> None:
        site = "lib/python3.11/site-packages"
        write_files(
            tmp_path, {f"{site}/resources/a": "", f"{site}/p/m.py": "", f"{site}/setup.py": ""}
        )
        with pytest.raises(BigflowError) as caught:
            get_resource_absolute_path("a", tmp_path / site / "p/m.py")
        assert caught.value.hint == f"searched: {tmp_path / site / 'p/resources/a'}"

    def test_resources_beside_packages_of_pip_install_target(self, tmp_path: Path) -> None:
        write_files(tmp_path, {"resources/a": "", "p/m.py": "", "q-1.0.dist-info/METADATA": ""})
        with pytest.raises(BigflowError):
            get_resource_absolute_path("a", tmp_path / "p/m.py")

    def test_the_search_ends_at_the_environment(self, tmp_path: Path) -> None:
        write_files(tmp_path, {"resources/a": "", "e/pyvenv.cfg": "", "e/resources/a": ""})
        write_files(tmp_path, {"e/share/m.py": ""})
        with pytest.raises(BigflowError) as caught:
            get_resource_absolute_path("a", tmp_path / "e/share/m.py")
        assert caught.value.hint == f"searched: {tmp_path}/e/share/resources/a"

    def test_a_project_that_is_an_environment_too_is_a_project(self, tmp_path: Path) -> None:
        write_files(tmp_path, {"pyvenv.cfg": "", "setup.py": "", "resources/a": "", "p/m.py": ""})
        found = get_resource_absolute_path("a", tmp_path / "p/m.py")
        assert found == tmp_path / "resources/a"

    def test_in_a_project_inside_of_the_prefix(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # /usr is the prefix of a system's Python, and /usr/src/app where images keep projects.
        monkeypatch.setattr(sys, "prefix", str(tmp_path))
        write_files(tmp_path, {"resources/a": "", "src/app/p/m.py": ""})
        with pytest.raises(BigflowError):
            get_resource_absolute_path("a", tmp_path / "src/app/p/m.py")
        write_files(tmp_path, {"src/app/resources/a": ""})
        found = get_resource_absolute_path("a", tmp_path / "src/app/p/m.py")
        assert found == tmp_path / "src/app/resources/a"

    def test_the_nearest_that_has_the_file(self, tmp_path: Path) -> None:
        write_files(tmp_path, {"pyproject.toml": "", "resources/a": "", "p/resources/b": ""})
        write_files(tmp_path, {"p/resources/a/file": "", "p/m.py": ""})
        assert get_resource_absolute_path("b", tmp_path / "p/m.py").parent.parent.name == "p"
        found = get_resource_absolute_path("a", tmp_path / "p/m.py")  # in p it is a directory
        assert found == tmp_path / "resources/a"

    def test_a_directory_to_start_from(self, tmp_path: Path) -> None:
        write_files(tmp_path, {"site-packages/p/m.py": "", "site-packages/p/resources/a": ""})
        found = get_resource_absolute_path("a", str(tmp_path / "site-packages/p"))
        assert found == tmp_path / "site-packages/p/resources/a"

    def test_the_callers_file_by_default(self, tmp_path: Path) -> None:
        code = "from bigflow.resources import get_resource_absolute_path as get\nfound = get('a')"
        write_files(tmp_path, {"pyproject.toml": "", "resources/a": ""})
        names: dict[str, Any] = {"__name__": "p.m", "__file__": str(tmp_path / "p/m.py")}
        exec(code, names)
        assert names["found"] == tmp_path / "resources/a"
        with pytest.raises(BigflowError, match="has no file"):
            exec(code, {"__name__": "typed"})

    def test_a_relative_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_files(tmp_path, {"pyproject.toml": "", "resources/a": "", "p/m.py": ""})
        monkeypatch.chdir(tmp_path / "p")
        assert get_resource_absolute_path("a", "m.py") == tmp_path / "resources/a"


def test_a_zip_archive_is_refused(tmp_path: Path) -> None:
    write_files(tmp_path, {"resources/a": "", "pyproject.toml": "", "p.whl": ""})
    with pytest.raises(BigflowError) as caught:
        get_resource_absolute_path("a", tmp_path / "p.whl/p/m.py")
    assert caught.value.message == f"resource 'a' is in a zip archive: {tmp_path / 'p.whl'}"
    assert caught.value.hint == f"install the archive: pip install {tmp_path / 'p.whl'}"


def test_find_file_has_a_maximum_depth(tmp_path: Path) -> None:
    write_files(tmp_path, {"setup.py": "", "a/b/c.py": ""})
    assert find_file("setup.py", tmp_path / "a/b/c.py") == tmp_path / "setup.py"
    assert find_file("a", tmp_path / "a/b/c.py") == tmp_path / "a"
    with pytest.raises(ValueError, match=r"'setup\.py' not found in the 2 directories"):
        find_file("setup.py", tmp_path / "a/b/c.py", max_depth=2)


def test_find_all_resources_is_sorted(tmp_path: Path) -> None:
    write_files(tmp_path, {"resources/b": "", "resources/a": "", "resources/B": ""})
    assert list(find_all_resources(tmp_path / "resources")) == [
        "resources/B",
        "resources/a",
        "resources/b",
    ]
