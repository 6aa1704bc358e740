"""``requirements.in``: its compilation, and builds that find the result missing or old."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.project.notes import project_notes
from bigflow_backend.project.project import read_project
from bigflow_backend.project.requirements_in import check_compiled
from support.commands import bigflow
from support.distribution import make_wheel
from support.projects import HookFailedError, Project, write_project

if TYPE_CHECKING:
    from pathlib import Path

_IN = "# what the project needs\n--no-index\n--find-links ../wheels\n-r more.in\nrides>=1\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with sources of requirements, and without requirements.txt."""
    for version in ("1.0", "1.1", "2.0"):
        make_wheel(tmp_path / "project/wheels", "rides", version, {"rides/__init__.py": ""})
    make_wheel(tmp_path / "project/wheels", "bigflow_backend", "9.0", {"x/__init__.py": ""})
    files = {
        "resources/requirements.in": _IN,
        "resources/more.in": "-c limits.in\n",
        "resources/limits.in": "rides<2\n",
        "resources/requirements.txt": None,
    }
    return write_project(tmp_path / "project", files)


def compiled(project: Project, *arguments: str) -> list[str]:
    done = bigflow(project, "build-requirements", *arguments)
    assert done.returncode == 0, done.stderr
    text = (project.root / "resources/requirements.txt").read_text()
    return [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]


def error(project: Project) -> UserError | None:
    try:
        check_compiled(read_project(project.root))
    except UserError as found:
        return found
    return None


def test_versions_and_hashes(project: Project) -> None:
    (wheel,) = (project.root / "wheels").glob("rides-1.1-*")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lines = compiled(project)
    expected = ["rides==1.1 \\", f"    --hash=sha256:{digest}"]
    assert lines == ["--no-index", "--find-links ../wheels", *expected]
    assert error(project) is None
    text = (project.root / "resources/requirements.txt").read_text()
    assert "bigflow build-requirements\n# $source-hash: sha256:" in text
    assert str(project.root) not in text


def test_a_version_is_kept_until_the_upgrade(project: Project) -> None:
    project.write({"resources/limits.in": "rides<1.1\n"})
    assert compiled(project)[2] == "rides==1.0 \\"
    project.write({"resources/limits.in": ""})
    assert compiled(project)[2] == "rides==1.0 \\"
    assert compiled(project, "--upgrade")[2] == "rides==2.0 \\"


def test_bigflow_means_bigflow_backend(project: Project) -> None:
    project.write({"resources/requirements.in": _IN + "bigflow[bigquery]==1.11.3\n"})
    assert [line for line in compiled(project) if "==" in line] == [
        "bigflow-backend==9.0 \\",
        "rides==1.1 \\",
    ]
    assert error(project) is None
    (note,) = project_notes(read_project(project.root))
    assert note == (
        "bigflow means bigflow-backend here: write bigflow-backend into resources/requirements.in, "
        "line 6, and instead of its extras (bigquery) the libraries that you import"
    )


def test_no_solution(project: Project) -> None:
    project.write({"resources/limits.in": "rides>2\n"})
    done = bigflow(project, "build-requirements")
    message, hint = done.error
    assert message.startswith("bigflow: error: cannot install the dependencies: Because ")
    assert "correct resources/requirements.in" in hint
    assert not (project.root / "resources/requirements.txt").exists()
    done = bigflow(project, "build-requirements", "resources/none.in")
    assert "none.in is not a file that ends with .in" in done.stderr


@pytest.mark.parametrize("changed", ["requirements.in", "more.in", "limits.in"])
def test_a_change_of_any_source_counts(project: Project, changed: str) -> None:
    compiled(project)
    assert error(project) is None
    file = project.root / "resources" / changed
    file.touch()  # the content counts, not the time
    assert error(project) is None
    file.write_text(file.read_text() + "# why\n")
    found = error(project)
    assert found is not None
    assert found.message == "resources/requirements.txt is older than requirements.in"
    assert found.hint == "bigflow build-requirements"


def test_the_hash_of_bigflow_is_known(project: Project) -> None:
    """BigFlow hashes the file and those of ``-r``, and writes another header."""
    digest = hashlib.sha256()
    for name in ("requirements.in", "more.in"):
        digest.update((project.root / "resources" / name).read_bytes())
    lines = f"# $source-hash: sha256:{digest.hexdigest()}\n# $source-file: x\nrides==1.1\n"
    project.write({"resources/requirements.txt": lines})
    assert error(project) is None
    project.write({"resources/more.in": ""})
    assert error(project) is not None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rides==1.1\n", None),
        ("rides==0.9\n", "has no version of rides>=1 (requirements.in, line 5)"),
        ("other==1\n", "has no version of rides>=1 (requirements.in, line 5)"),
        ("rides==2.0\n", None),  # limits are not requirements
    ],
)
def test_without_a_hash_the_versions_count(project: Project, text: str, reason: str | None) -> None:
    project.write({"resources/requirements.txt": text})
    found = error(project)
    assert (found and found.message) == (reason and f"resources/requirements.txt {reason}")


def test_an_included_file_has_its_own_source(project: Project) -> None:
    project.write(
        {
            "resources/requirements.in": "",
            "resources/requirements.txt": "-r base.txt\n",
            "resources/base.txt": "rides==0.5\n",
            "resources/base.in": "rides>=1\n",
        }
    )
    found = error(project)
    assert found is not None
    assert found.message.startswith("resources/base.txt has no version of rides>=1")
    assert found.hint == "bigflow build-requirements resources/base.in"


@pytest.mark.parametrize("hook", ["build_wheel", "build_sdist", "build_editable"])
def test_a_hook_fails(project: Project, tmp_path: Path, hook: str) -> None:
    with pytest.raises(HookFailedError) as caught:
        project.hook(hook, str(tmp_path))
    assert caught.value.lines == [
        "bigflow: error: resources/requirements.txt does not exist, and requirements.in does",
        "  bigflow build-requirements",
    ]
    assert not [*tmp_path.glob("*.whl"), *tmp_path.glob("*.tar.gz")]


@pytest.mark.parametrize(
    "command", [["build"], ["build-package"], ["build-dags"], ["build-image", "--dry-run"]]
)
def test_a_build_fails(project: Project, command: list[str]) -> None:
    done = bigflow(project, *command)
    assert done.returncode == 1
    assert "resources/requirements.txt does not exist, and requirements.in does" in done.stderr
    assert done.stderr.splitlines()[-1] == "  bigflow build-requirements"


@pytest.mark.filterwarnings("ignore:requirements.txt, line")
def test_an_unpacked_sdist_builds(project: Project, tmp_path: Path) -> None:
    """Sources outside ``resources/`` are not in it. The build of the sdist has checked them."""
    compiled(project)
    project.write({"resources/requirements.in": "-r ../base.in\n", "PKG-INFO": ""})
    assert project.hook("build_wheel", str(tmp_path)).endswith(".whl")
