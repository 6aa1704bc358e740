"""One list of dependencies, in one of two places; a lock beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.project.dependencies import STATED, Dependencies, project_dependencies
from bigflow_backend.project.project import read_project
from support.projects import write_project

if TYPE_CHECKING:
    from pathlib import Path

_HASH = f" --hash=sha256:{'0' * 64}"


def _read(root: Path, stated: list[str] | None, file: str | None) -> Dependencies | None:
    table = "" if stated is None else f"dependencies = {stated}\n"
    pyproject = (
        '[build-system]\nrequires = ["bigflow-backend"]\nbuild-backend = "bigflow_backend"\n'
        f'[project]\nname = "pipelines"\nversion = "1.0.0"\n{table}'
    )
    setup = "from bigflow_backend import setup\nif __name__ == '__main__':\n    setup()\n"
    files = {"pyproject.toml": pyproject, "project_setup.py": setup}
    write_project(root, {**files, "resources/requirements.txt": file})
    return project_dependencies(read_project(root))


def test_no_place_lists_any(tmp_path: Path) -> None:
    assert _read(tmp_path, None, None) is None


def test_one_list_in_pyproject(tmp_path: Path) -> None:
    found = _read(tmp_path, ["six>=1"], None)
    assert found is not None
    assert (found.place, found.required.specifiers, found.file) == (STATED, ("six>=1",), None)


def test_one_list_in_the_file(tmp_path: Path) -> None:
    found = _read(tmp_path, None, "six>=1\n")
    assert found is not None
    assert found.place == "resources/requirements.txt"
    assert found.required == found.file


def test_two_equal_lists(tmp_path: Path) -> None:
    found = _read(tmp_path, ["Six >= 1", "click"], "click\nSix>=1\n")
    assert found is not None
    assert found.file is not None


@pytest.mark.parametrize(
    "file",
    [
        "six==1.17.0\nclick==8.1\n",
        f"six==1.17.0{_HASH}\nclick==8.1 ; python_version > '3'{_HASH}\n",
        f"six==1.17.0 \\\n   {_HASH}\nclick[x]==8.1{_HASH}\nfurther==3{_HASH}\n",
    ],
)
def test_the_file_is_a_lock_of_the_list(tmp_path: Path, file: str) -> None:
    found = _read(tmp_path, ["six>=1,<2", "click", "bigflow-backend"], file)
    assert found is not None
    assert found.place == STATED
    assert found.required.specifiers == ("six<2,>=1", "click", "bigflow-backend")
    assert found.file is not None
    assert len(found.file.lines) >= 2


def test_a_lock_for_several_platforms(tmp_path: Path) -> None:
    stated = ["six<1; python_version < '3.5'", "six>=1; python_version >= '3.5'"]
    stated += ["pywin32; sys_platform == 'win32'"]
    file = "six==0.9 ; python_version < '3.5'\nsix==1.17.0 ; python_version >= '3.5'\n"
    found = _read(tmp_path, stated, file)
    assert found is not None
    assert found.place == STATED


@pytest.mark.parametrize(
    ("stated", "file", "message"),
    [
        (["six>=2"], "six==1.17.0\n", "does not lock .*: six>=2 does not allow six==1.17.0"),
        (["six", "click"], "six==1.17.0\n", "does not lock .*: click is not in it"),
        (["six", "click; os_name == 'posix'"], "six==1.17.0\n", "click; .* is not in it"),
        (["six>=2; os_name == 'posix'"], "six==1.17.0\n", "does not allow six==1.17.0"),
        (["six", "click>=8"], "six\n", r"only \[project\] has click>=8\n"),
        (["six"], "six\nclick\n", r"only resources/requirements.txt has click\n"),
        (["six!"], None, "'six!' is not a valid requirement"),
    ],
)
def test_lists_that_differ(
    tmp_path: Path, stated: list[str], file: str | None, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        _read(tmp_path, stated, file)
