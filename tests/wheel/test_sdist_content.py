"""The files of an sdist: those that the wheel is built from, and those of MANIFEST.in."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.files import unpack_tar
from support.projects import HookFailedError, Project, write_project

if TYPE_CHECKING:
    from pathlib import Path

_TREE: dict[str, str | None] = {
    "a.txt": "a",
    "b.txt": "b",
    "docs/guide.md": "",
    "docs/guide.rst": "",
    "docs/__pycache__/conf.cpython-311.pyc": "",
    ".git/config": "",
    ".venv/pyvenv.cfg": "",
    ".venv/lib/module.py": "",
    ".image/image-1.tar": "",
    "build/lib/stale.py": "",
    "dist/old.whl": "",
    "pipelines.egg-info/PKG-INFO": "",
}
_DOCS = {"docs/guide.md", "docs/guide.rst"}
_TEXTS = {"a.txt", "b.txt"}


@pytest.mark.parametrize(
    ("manifest", "added"),
    [
        ("include *.txt", _TEXTS),
        ("include a.txt \\\n    b.txt\n", _TEXTS),
        ("\ufeffinclude a.txt\r\ninclude b.txt # both\r\n", _TEXTS),
        ("recursive-include docs *.md", {"docs/guide.md"}),
        ("graft docs\nglobal-exclude *.rst", {"docs/guide.md"}),
        ("graft .", _DOCS | _TEXTS),
        ("global-include *", _DOCS | _TEXTS),
        ("graft .\nprune docs\nexclude a.txt", {"b.txt"}),
    ],
)
def test_what_the_manifest_adds(tmp_path: Path, manifest: str, added: set[str]) -> None:
    plain = set(names(write_project(tmp_path / "plain"), tmp_path))
    files = {**_TREE, "MANIFEST.in": manifest}
    found = names(write_project(tmp_path / "project", files), tmp_path)
    assert set(found) - plain == {"MANIFEST.in", *added}


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        (b"inclde a.txt\n", "MANIFEST.in, line 1: unknown action 'inclde'"),
        (b"\n# \xe9\n", "/MANIFEST.in, line 2: not UTF-8"),
        (b"include /etc/passwd\n", "MANIFEST.in, line 1: /etc/passwd is not in the project"),
        (b"prune resources\n", "MANIFEST.in excludes resources/requirements.txt"),
    ],
)
def test_an_invalid_manifest(tmp_path: Path, manifest: bytes, problem: str) -> None:
    project = write_project(tmp_path / "project")
    (project.root / "MANIFEST.in").write_bytes(manifest)
    with pytest.raises(HookFailedError) as caught:
        project.hook("build_sdist", str(tmp_path))
    assert problem in caught.value.lines[0]
    assert len(caught.value.lines) == 2
    assert not list(tmp_path.glob("*.tar.gz"))


@pytest.mark.filterwarnings("ignore:not in the wheel")
def test_files_that_the_setup_script_imports_and_reads(tmp_path: Path) -> None:
    script = """\
from pathlib import Path
from bigflow_backend import setup
from tools import about

PROJECT_NAME = "pipelines"
if __name__ == "__main__":
    setup(
        name=PROJECT_NAME,
        version=Path("VERSION").read_text().strip(),
        description=about.DESCRIPTION,
        long_description=(Path(__file__).parent / "docs/intro.md").read_text(),
    )
"""
    files = {
        "project_setup.py": script,
        "VERSION": "3.4.0\n",
        "tools/__init__.py": "",
        "tools/about.py": "DESCRIPTION = 'Rides'\n",
        "tools/unused.py": "",
        "docs/intro.md": "# Rides\n",
        "MANIFEST.in": "include VERSION docs/intro.md\n",
    }
    project = write_project(tmp_path / "project", files, version="")
    before = project.files()
    found = names(project, tmp_path)
    assert project.files() == before
    assert {"VERSION", "tools/__init__.py", "tools/about.py", "docs/intro.md"} <= {*found}
    assert "tools/unused.py" not in found
    with tarfile.open(tmp_path / "pipelines-3.4.0.tar.gz") as archive:
        unpack_tar(archive, tmp_path / "unpacked")
    unpacked = Project(tmp_path / "unpacked/pipelines-3.4.0", project.environment)
    for place in (project, unpacked):
        (place.root.parent / "wheels").mkdir()
        place.hook("build_wheel", str(place.root.parent / "wheels"))
    wheel = "wheels/pipelines-3.4.0-py3-none-any.whl"
    assert (tmp_path / wheel).read_bytes() == (tmp_path / "unpacked" / wheel).read_bytes()


def test_a_file_that_the_sdist_does_not_have(tmp_path: Path) -> None:
    script = """\
from pathlib import Path
from bigflow_backend import setup
PROJECT_NAME = "pipelines"
setup(name=PROJECT_NAME, description=Path("summary.txt").read_text())
"""
    files = {"project_setup.py": script, "summary.txt": "Rides"}
    project = write_project(tmp_path / "project", files)
    assert "summary.txt" not in names(project, tmp_path)
    with tarfile.open(tmp_path / "pipelines-1.2.0.tar.gz") as archive:
        unpack_tar(archive, tmp_path)
    with pytest.raises(HookFailedError) as caught:
        Project(tmp_path / "pipelines-1.2.0", {}).hook("build_wheel", str(tmp_path))
    problem, fix = caught.value.lines
    assert problem.startswith("bigflow: error: project_setup.py, line 4: FileNotFoundError: ")
    assert fix == "  an sdist has the files that MANIFEST.in names: write `include FILE` into it"


def test_an_executable_is_the_same_by_way_of_the_sdist(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project")
    (project.root / "pipelines/workflow.py").chmod(
        0o654
    )  # the permission of the group does not count
    names(project, tmp_path)
    with tarfile.open(tmp_path / "pipelines-1.2.0.tar.gz") as archive:
        assert archive.getmember("pipelines-1.2.0/pipelines/workflow.py").mode == 0o644


def names(project: Project, directory: Path) -> list[str]:
    """Return the files of the project's sdist, relative to its top directory."""
    sdist = project.hook("build_sdist", str(directory))
    with tarfile.open(directory / sdist) as archive:
        found = [name.partition("/")[2] for name in archive.getnames()]
    assert len(found) == len(set(found))
    return found
