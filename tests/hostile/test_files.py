"""Files of a project that are not what their names promise: every command ends with an error.

A project is trusted, but a checkout, an archive or a mistake can put anything in the place of a
file.
"""

from __future__ import annotations

import os
import socket
import zipfile
from typing import TYPE_CHECKING

import pytest

from hostile.runner import attempt

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hostile.runner import Scratch

PATHS = (
    "pyproject.toml",
    "setup.cfg",
    "project_setup.py",
    "deployment_config.py",
    "MANIFEST.in",
    "README.md",
    "Dockerfile",
    ".dockerignore",
    "template.py.j2",
    "included.py.j2",
    "resources/requirements.txt",
    "resources/included.txt",
    "resources/data.json",
    "pipelines/__init__.py",
    "pipelines/workflow.py",
    "pipelines/VERSION",
    "test/test_it.py",
    "PKG-INFO",
    ".git_archival.txt",
    "uv.toml",
)
"""The files that a command opens. Those in FILES exist in the project."""
FILES = {
    "pyproject.toml": (
        '[build-system]\nrequires = ["bigflow-backend"]\nbuild-backend = "bigflow_backend"\n'
        '[project]\nname = "pipelines"\nreadme = "README.md"\n'
        'dynamic = ["version", "dependencies"]\n'
        '[tool.bigflow.dags]\ntemplate = "template.py.j2"\n'
    ),
    "README.md": "demo\n",
    "template.py.j2": "{% extends 'bigflow/dag.py.j2' %}\n{% import 'included.py.j2' as x %}\n",
    "included.py.j2": "{# empty #}\n",
    "resources/requirements.txt": "bigflow-backend\n-r included.txt\n",
    "resources/included.txt": "\n",
    "resources/data.json": "{}\n",
}


def fifo(path: Path) -> None:
    os.mkfifo(path)


def link_to_fifo(path: Path) -> None:
    other = path.with_name("other")
    os.mkfifo(other)
    path.symlink_to(other.name)


def link_to_zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def bound_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(path))


def directory(path: Path) -> None:
    path.mkdir()


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**32)


KINDS: dict[str, Callable[[Path], None]] = {
    kind.__name__: kind
    for kind in (fifo, link_to_fifo, link_to_zeros, link_to_itself, bound_socket, directory, huge)
}


@pytest.fixture
def project(scratch: Scratch) -> Scratch:
    """The good project, with one file of each kind that a command opens."""
    for name, text in FILES.items():
        path = scratch.project / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    return scratch


_QUICK = {("pyproject.toml", "fifo"), ("resources/requirements.txt", "link_to_zeros")}
_LARGE_RESOURCE = ("resources/data.json", "huge")  # it is valid: see below
ODD = [
    pytest.param(name, kind, marks=() if (name, kind) in _QUICK else pytest.mark.slow)
    for name in PATHS
    for kind in KINDS
    if (name, kind) != _LARGE_RESOURCE
]


@pytest.mark.parametrize(("name", "kind"), ODD)
def test_odd_files(project: Scratch, monkeypatch: pytest.MonkeyPatch, name: str, kind: str) -> None:
    path = project.project / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    monkeypatch.chdir(path.parent)  # the name of a socket has at most 107 bytes
    KINDS[kind](path.relative_to(path.parent) if kind == "bound_socket" else path)
    attempt(project, "build", *project.image_arguments(), succeeds=None)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["PKG-INFO", ".git_archival.txt", ".git"])
def test_odd_files_with_a_version(
    project: Scratch, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    monkeypatch.chdir(project.project)
    KINDS[kind](project.project.joinpath(name).relative_to(project.project))
    attempt(project, "project-version", BIGFLOW_VERSION="")


@pytest.mark.slow
def test_a_resource_of_4_gib(project: Scratch) -> None:
    with (project.project / "resources/data.bin").open("wb") as file:
        file.truncate(2**32 + 1)
    attempt(project, "build-package", succeeds=True, patience=400)
    (wheel,) = (project.project / "dist").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        assert archive.getinfo("pipelines/resources/data.bin").file_size == 2**32 + 1
        assert (
            "pipelines/resources/data.bin,sha256="
            in archive.read("pipelines-1.0.0.dist-info/RECORD").decode()
        )


def appended(name: str, text: str) -> Callable[[Scratch], None]:
    def write(scratch: Scratch) -> None:
        path = scratch.project / name
        content = path.read_bytes() if path.exists() else b""
        path.write_bytes(content + text.encode("utf-8", "surrogateescape"))

    return write


_CONFIG = "deployment_config.py"
CONTENTS: dict[str, tuple[Callable[[Scratch], None], str]] = {
    "100,000 brackets": (appended("pyproject.toml", f"a = {'[' * 100_000}"), "build-dags"),
    "1,000 inline tables": (appended("pyproject.toml", "a = " + "{a=" * 1_000), "build-dags"),
    "a key of 50,000 names": (appended("pyproject.toml", f"{'a.' * 50_000}a = 1"), "build-dags"),
    "a table of 50,000 names": (appended("pyproject.toml", f"[{'a.' * 50_000}a]"), "build-dags"),
    "names in quotes": (appended("pyproject.toml", "'a' . \"b\"." * 5_000 + "a = 1"), "build-dags"),
    "TOML in Latin-1": (appended("pyproject.toml", "# \udce4\n"), "build-dags"),
    "TOML with a null": (appended("pyproject.toml", "a = 'x\0'\n"), "build-dags"),
    "a number of 5,000 digits": (appended("pyproject.toml", f"a = {'1' * 5_000}"), "build-dags"),
    "a script with a null": (appended("project_setup.py", "\0"), "build-dags"),
    "a deep script": (appended("project_setup.py", "a = " + "(" * 10_000), "build-dags"),
    "a script of operators": (appended("project_setup.py", "a = " + "-" * 100_000), "build-dags"),
    "a module with a null": (appended("pipelines/workflow.py", "\0"), "build-dags"),
    "a deep module": (appended("pipelines/workflow.py", "a = " + "-" * 100_000), "build-package"),
    "a requirement of 100,000 letters": (
        appended("resources/requirements.txt", "a" * 100_000 + " !\n"),
        "build-package",
    ),
    "100,000 extras": (
        appended("resources/requirements.txt", f"a[{'x,' * 100_000}x] !\n"),
        "build-package",
    ),
    "a deep marker": (
        appended("resources/requirements.txt", f"a; {'(' * 50_000}\n"),
        "build-package",
    ),
    "requirements of an odd encoding": (
        appended("resources/included.txt", "# coding: zlib\n"),
        "build-package",
    ),
    "requirements with a null": (appended("resources/requirements.txt", "a\0b\n"), "build-package"),
    "requirements that include each other": (
        appended("resources/included.txt", "-r requirements.txt\n"),
        "build-package",
    ),
    "setup.cfg in Latin-1": (
        appended("setup.cfg", "[metadata]\nauthor = \udce4\n"),
        "build-package",
    ),
    "setup.cfg without sections": (appended("setup.cfg", "x"), "build-package"),
    "setup.cfg with cycles": (
        appended("setup.cfg", "[metadata]\nurl = %(url)s\n"),
        "build-package",
    ),
    "a config that ends the process": (appended(_CONFIG, "import os; os._exit(0)"), "build-dags"),
    "a config that crashes": (
        appended(_CONFIG, "import os; os.kill(os.getpid(), 11)"),
        "build-dags",
    ),
    "a config that prints 100 MB": (
        appended(_CONFIG, "import os\nfor i in range(100): os.write(3, b'x' * 10**6)"),
        "build-dags",
    ),
    "a config that raises a long text": (
        appended(_CONFIG, "raise ValueError('x' * 10**6)"),
        "build-dags",
    ),
    "a config that raises escapes": (
        appended(_CONFIG, "raise ValueError('\\x1b]0;x\\x07\\u202e')"),
        "build-dags",
    ),
    "a long repository": (
        appended(
            _CONFIG,
            "deployment_config = DeploymentConfig('dev', {'docker_repository': 'a' * 10**6})",
        ),
        "build-dags",
    ),
    "a forged mark": (appended("template.py.j2", "\0" + "9\0" * 3), "build-dags"),
    "a forged mark of 5,000 digits": (
        appended("template.py.j2", f"\0{'1' * 5000}\0"),
        "build-dags",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTENTS)
def test_odd_contents(project: Scratch, name: str) -> None:
    write, command = CONTENTS[name]
    write(project)
    attempt(project, command)


def test_a_background_process_is_not_waited_for(project: Scratch) -> None:
    appended(_CONFIG, "import subprocess; subprocess.Popen(['sleep', '600'])")(project)
    outcome = attempt(project, "build-dags", succeeds=True)
    assert outcome.duration < 300


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "version"),
    [
        (("build-dags", "--python="), "1.0.0"),
        (("build-dags", "--python=/dev/null"), "1.0.0"),
        (("build-dags", "--python", "."), "1.0.0"),
        (("build-dags",), "1" * 5_000),
        (("build-dags",), "1\x1b]0;x\x07"),
        (("build-dags",), "1.0+" + "a" * 5_000),
        (("build-dags", "--config", "x" * 100_000), "1.0.0"),
        (("build-dags", "--config", "\x1b]0;x\x07"), "1.0.0"),
    ],
)
def test_odd_arguments(project: Scratch, arguments: tuple[str, ...], version: str) -> None:
    attempt(project, *arguments, BIGFLOW_VERSION=version)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["\x1b]0;x\x07.txt", "a\nb.txt", "\u202etxt.py", "\udcff.py"])
@pytest.mark.parametrize("directory", ["pipelines", "resources", "test"])
def test_odd_names(project: Scratch, directory: str, name: str) -> None:
    (project.project / directory).mkdir(exist_ok=True)
    (project.project / directory / name).write_text("")
    attempt(project, "build-package", succeeds=None)


def test_code_of_the_project_adds_no_wheel(project: Scratch) -> None:
    path = project.project / "project_setup.py"
    text = (
        "import pathlib\n"
        "for staging in pathlib.Path('.').glob('.bigflow-build-*'):\n"
        "    staging.joinpath('dist').mkdir(exist_ok=True)\n"
        "    staging.joinpath('dist/evil-1-py3-none-any.whl').touch()\n"
    )
    path.write_text(text + path.read_text())
    outcome = attempt(project, "build-package")
    assert "code of the project has written into" in outcome.error[0]
