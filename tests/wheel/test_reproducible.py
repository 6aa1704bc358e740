"""Equal projects give equal bytes, on every machine and at every time."""

from __future__ import annotations

import hashlib
import os
import zipfile
from typing import TYPE_CHECKING

import pytest

from support.projects import copy_project, write_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.projects import Project

HOOKS = ("build_wheel", "build_sdist")


def digests(project: Project, out: Path, **environment: str) -> dict[str, str]:
    out.mkdir(parents=True)
    return {hook: digest(out / project.hook(hook, str(out), **environment)) for hook in HOOKS}


def digest(archive: Path) -> str:
    return f"{archive.name} {hashlib.sha256(archive.read_bytes()).hexdigest()}"


def later(project: Project) -> None:
    for path in project.root.rglob("*"):
        os.utime(path, (2_000_000_000, 2_000_000_000))


def group_readable(project: Project) -> None:
    for path in project.root.rglob("*"):
        path.chmod(0o775 if path.is_dir() else 0o664)


def private(project: Project) -> None:
    for path in project.root.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)


def in_another_order(project: Project) -> None:
    files = project.files()
    for name in files:
        (project.root / name).unlink()
    for name in sorted(files, reverse=True):
        (project.root / name).write_bytes(files[name])


def with_leftovers(project: Project) -> None:
    """Add files of an earlier build, an interpreter and an editor, which are not packaged."""
    project.write(
        {
            "build/lib/pipelines/deleted.py": "",
            "pipelines.egg-info/SOURCES.txt": "pipelines/deleted.py\n",
            "pipelines/__pycache__/deleted.cpython-311.pyc": "",
            "pipelines/.workflow.py.swp": "",
            "resources/query.sql~": "",
            "resources/.DS_Store": "",
        }
    )


@pytest.mark.parametrize(
    "change",
    [later, group_readable, private, in_another_order, with_leftovers],
    ids=lambda f: f.__name__,
)
def test_changes_that_keep_the_bytes(tmp_path: Path, change: Callable[[Project], None]) -> None:
    first = copy_project("plain", tmp_path / "one" / "project")
    second = copy_project("plain", tmp_path / "another-directory" / "checkout")
    change(second)
    assert digests(first, tmp_path / "out1") == digests(second, tmp_path / "out2")


@pytest.mark.parametrize("mask", [0o002, 0o077])
def test_the_umask_does_not_change_the_bytes(tmp_path: Path, mask: int) -> None:
    project = copy_project("plain", tmp_path / "project")
    expected = digests(project, tmp_path / "out")
    script = (
        "import os, sys, bigflow_backend as b; os.umask(int(sys.argv[1]))\n"
        "print(b.build_wheel(sys.argv[2])); print(b.build_sdist(sys.argv[2]))"
    )
    out = tmp_path / "masked"
    out.mkdir()
    done = project.run("-c", script, str(mask), str(out))
    wheel, sdist = done.stdout.split()
    assert [
        f"{n} {hashlib.sha256((out / n).read_bytes()).hexdigest()}" for n in (wheel, sdist)
    ] == [expected[h] for h in HOOKS]
    # The archives themselves have the permissions of that umask.
    assert (out / wheel).stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize(
    ("epoch", "date"),
    [
        (None, (2020, 2, 2)),
        ("0", (1980, 1, 1)),
        ("1735689600", (2025, 1, 1)),
        ("99999999999", (2107, 12, 31)),
    ],
)
def test_every_member_has_the_time_of_the_epoch(
    tmp_path: Path, epoch: str | None, date: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    environment = {} if epoch is None else {"SOURCE_DATE_EPOCH": epoch}
    project = copy_project("plain", tmp_path / "project")
    first = digests(project, tmp_path / "out1", **environment)
    later(project)
    assert digests(project, tmp_path / "out2", **environment) == first
    (wheel,) = (tmp_path / "out1").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert {info.date_time[:3] for info in archive.infolist()} == {date}


def test_a_stale_build_directory_cannot_enter_a_wheel_of_setuptools_path(tmp_path: Path) -> None:
    project = copy_project("extension", tmp_path / "project")
    project.write({"build/lib/pipelines/deleted.py": "", "build/bdist/old": ""})
    out = tmp_path / "out"
    out.mkdir()
    with zipfile.ZipFile(out / project.hook("build_wheel", str(out))) as archive:
        assert not any("deleted" in name for name in archive.namelist())


def test_extension_wheels_are_normalised(tmp_path: Path) -> None:
    found = []
    for mask in ("0o022", "0o077"):
        project = copy_project("extension", tmp_path / mask / "project")
        out = tmp_path / mask / "out"
        out.mkdir()
        script = (
            f"import os, sys; os.umask({mask})\n"
            "import bigflow_backend as b; b.build_wheel(sys.argv[1])"
        )
        assert project.run("-c", script, str(out)).returncode == 0
        (wheel,) = out.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            found.append([(i.filename, i.date_time, i.external_attr) for i in archive.infolist()])
    assert found[0] == found[1]
    assert {date[:3] for _, date, _ in found[0]} == {(2020, 2, 2)}


def test_the_hash_seed_and_the_locale_do_not_change_the_bytes(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", {"resources/zażółć.txt": "ą"})
    expected = digests(project, tmp_path / "out")
    for number, environment in enumerate(
        ({"PYTHONHASHSEED": "7"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "TZ": "Asia/Kathmandu"})
    ):
        out = tmp_path / f"out{number}"
        out.mkdir()
        for hook in HOOKS:
            name = project.hook_process(hook, str(out), **environment)
            assert digest(out / name) == expected[hook]
