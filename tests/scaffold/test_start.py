"""A started project builds, tests and runs as it stands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.uv import find_uv
from bigflow_backend.scaffold.model import NewProject, checked
from support.commands import bigflow
from support.matrix import rest_slow
from support.projects import Project

if TYPE_CHECKING:
    from support.commands import Result

_UV_INIT = """\
# A comment of the user
[project]
name = "my-sales"
version = "0.1.0"
requires-python = ">=3.10"
dependencies = [
    "requests>=2",  # another comment
]

[build-system]
requires = ["uv_build>=0.9"]
build-backend = "uv_build"
"""
_GIT_ENVIRONMENT = {
    f"GIT_{who}_{what}": "tester@example.com"
    for who in ("AUTHOR", "COMMITTER")
    for what in ("NAME", "EMAIL")
}


def _start(directory: Path, *arguments: str) -> Result:
    directory.mkdir(exist_ok=True)
    return bigflow(Project(directory, {}), "start-project", *arguments)


def _commit(root: Path) -> None:
    for command in (["git", "add", "--all"], ["git", "commit", "--quiet", "-m", "Start"]):
        subprocess.run(command, cwd=root, env={**os.environ, **_GIT_ENVIRONMENT}, check=True)


def _init(root: Path, *arguments: str) -> Result:
    return bigflow(Project(root, {}), "init", *arguments)


@pytest.mark.parametrize("layout", rest_slow(["flat", "src"], quick=["src"]))
def test_a_new_project_builds_and_runs(tmp_path: Path, layout: str) -> None:
    done = _start(tmp_path, "weather-reports", "--layout", layout)
    assert done.returncode == 0, done.stderr
    assert "  cd weather-reports\n  git add --all" in done.stdout
    root = tmp_path / "weather-reports"
    _commit(root)
    project = Project(root, {})
    for command in (["build-package"], ["build-dags"]):
        built = bigflow(project, *command)
        assert built.returncode == 0, built.stderr
    assert "tests  1 passed" in bigflow(project, "build-package").stdout
    (file,) = (root / ".dags").glob("*.py")
    assert file.name == "daily_dag.py"
    ran = project.run("-m", "bigflow", "run", "--job", "daily.greet", "--runtime", "2026-01-01")
    assert ran.stdout.endswith("\nGood morning, it is 2026-01-01.\n"), ran.stderr
    status = subprocess.run(
        ["git", "status", "--short"], cwd=root, capture_output=True, text=True, check=True
    )
    assert status.stdout == ""


def test_its_code_passes_a_linter(tmp_path: Path) -> None:
    _start(tmp_path, "weather-reports")
    ruff = Path(sys.executable).with_name("ruff")
    for command in (["check", "--isolated"], ["format", "--isolated", "--check"]):
        done = subprocess.run(
            [ruff, *command],
            cwd=tmp_path / "weather-reports",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_choices(tmp_path: Path) -> None:
    repository = "registry.example.com/team/weather"
    arguments = ["--package", "pipelines", "--docker-repository", repository, "--no-git", "--json"]
    done = _start(tmp_path, "My.Weather", *arguments, "--ci", "gitlab")
    assert ".gitlab-ci.yml" in json.loads(done.stdout)["written"]
    root = tmp_path / "My.Weather"
    assert (root / "pipelines/workflow.py").is_file()
    assert repository in (root / "deployment_config.py").read_text("utf-8")
    assert not (root / ".git").exists()


def test_a_directory_with_files_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/mine.txt").write_text("mine", "utf-8")
    done = _start(tmp_path, "demo")
    assert done.error[0] == "bigflow: error: demo is there already"
    assert [p.name for p in tmp_path.rglob("*")] == ["demo", "mine.txt"]


def test_an_empty_directory_is_used(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    assert _start(tmp_path, "demo").returncode == 0


@pytest.mark.parametrize(
    ("name", "package", "repository"),
    [
        ('x"', "x", "r.example.com/x"),
        ("x\n", "x", "r.example.com/x"),
        ("-x", "x", "r.example.com/x"),
        ("x", "x-y", "r.example.com/x"),
        ("x", "class", "r.example.com/x"),
        ("json", "json", "r.example.com/x"),
        ("bigflow", "bigflow", "r.example.com/x"),
        ("x", "x", 'r.example.com/x"'),
        ("x", "x", "https://r.example.com/x"),
    ],
)
def test_names_that_cannot_work_are_refused(name: str, package: str, repository: str) -> None:
    with pytest.raises(UserError):
        checked(NewProject(name, package, "flat", repository))


def test_nothing_is_left_of_a_refused_start(tmp_path: Path) -> None:
    assert _start(tmp_path, "json").returncode == 1
    assert list(tmp_path.iterdir()) == []


def _existing(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def test_existing_code_gets_what_it_lacks(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": _UV_INIT,
        "src/my_sales/__init__.py": "def main() -> None: ...\n",
        "README.md": "mine\n",
    }
    _existing(tmp_path, files)
    assert _init(tmp_path).returncode == 0
    text = (tmp_path / "pyproject.toml").read_text("utf-8")
    assert text.startswith("# A comment of the user\n")
    assert "# another comment" in text
    assert 'build-backend = "bigflow_backend"' in text
    assert 'source-directory = "src"' in text
    for name in ("src/my_sales/__init__.py", "README.md"):
        assert (tmp_path / name).read_text("utf-8") == files[name]
    built = bigflow(Project(tmp_path, {}), "build-dags")
    assert built.returncode == 0, built.stderr


def test_a_second_time_nothing_is_lacking(tmp_path: Path) -> None:
    _existing(tmp_path, {"pyproject.toml": _UV_INIT, "src/my_sales/__init__.py": ""})
    _init(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert "the project lacks nothing" in _init(tmp_path).stdout
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_workflow_that_is_there_is_enough(tmp_path: Path) -> None:
    workflow = "import bigflow\nx = bigflow.Workflow('x', [])\n"
    _existing(tmp_path, {"sales/__init__.py": "", "sales/flows.py": workflow})
    assert _init(tmp_path).returncode == 0
    assert not (tmp_path / "sales/workflow.py").exists()


def test_two_packages_need_a_choice(tmp_path: Path) -> None:
    _existing(tmp_path, {"one/__init__.py": "", "two/__init__.py": "", "test/__init__.py": ""})
    assert _init(tmp_path).error[1] == (
        "  name the one with the pipelines: bigflow init --package NAME"
    )
    assert _init(tmp_path, "--package", "two").returncode == 0
    assert (tmp_path / "two/workflow.py").is_file()


@pytest.mark.parametrize("text", ["[project", "build-system = 3\n"])
def test_a_broken_pyproject_is_an_error(tmp_path: Path, text: str) -> None:
    _existing(tmp_path, {"pyproject.toml": text, "sales/__init__.py": ""})
    assert len(_init(tmp_path).error) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pyproject.toml", "sales"]


@pytest.mark.parametrize("command", ["start-project", "init"])
def test_uv_finds_the_backend_in_a_directory(
    tmp_path: Path, bigflow_wheels: Path, command: str
) -> None:
    """No index has bigflow-backend, and no variable names the directory of its wheel."""
    root = tmp_path / "my-sales"
    if command == "init":
        root.mkdir()
        (root / "pyproject.toml").write_text(_UV_INIT.replace('"requests>=2",', ""))
        done = _init(root, "--find-links", str(bigflow_wheels))
    else:
        done = _start(tmp_path, "my-sales", "--find-links", str(bigflow_wheels))
    assert done.returncode == 0, done.stderr
    assert "export" not in done.stdout
    hidden = {"PIP_FIND_LINKS", "UV_FIND_LINKS"}
    built = subprocess.run(
        [find_uv("a test"), "build", "--wheel", "--offline"],
        cwd=root,
        env={
            **{name: value for name, value in os.environ.items() if name not in hidden},
            "BIGFLOW_VERSION": "0.1.0",
            "UV_NO_INDEX": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr


def test_a_relative_directory_of_wheels(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    problem, _ = _start(tmp_path, "sales", "--find-links", "wheels").error
    assert problem.endswith("a directory with a wheel of bigflow-backend: got wheels")
    (tmp_path / "wheels/bigflow_backend-1.0-py3-none-any.whl").touch()
    assert _start(tmp_path, "sales", "--find-links", "wheels").returncode == 0
    assert 'find-links = ["../wheels"]' in (tmp_path / "sales/pyproject.toml").read_text()


def test_the_output_names_the_variable_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "bigflow_backend-1.0-py3-none-any.whl").touch()
    project = Project(tmp_path, {"PIP_FIND_LINKS": f"/other {tmp_path}", "UV_FIND_LINKS": ""})
    done = bigflow(project, "start-project", "sales")
    assert f"next:\n  export UV_FIND_LINKS={tmp_path}\n  cd sales\n" in done.stdout
    both = bigflow(project, "start-project", "more", UV_FIND_LINKS=f"/other,{tmp_path}")
    assert "export" not in both.stdout


def test_the_output_names_the_variables_of_a_wheel_that_was_installed_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels, info = tmp_path / "my wheels", tmp_path / "site/bigflow_backend-1.0.dist-info"
    for directory in (wheels, info):
        directory.mkdir(parents=True)
    wheel = wheels / "bigflow_backend-1.0-py3-none-any.whl"
    wheel.touch()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bigflow-backend\nVersion: 1.0\n")
    (info / "direct_url.json").write_text(json.dumps({"url": wheel.as_uri(), "archive_info": {}}))
    monkeypatch.syspath_prepend(tmp_path / "site")
    project = Project(tmp_path, {"PIP_FIND_LINKS": "", "UV_FIND_LINKS": ""})
    done = bigflow(project, "start-project", "sales")
    assert f"  export PIP_FIND_LINKS='{wheels}' UV_FIND_LINKS='{wheels}'\n" in done.stdout
