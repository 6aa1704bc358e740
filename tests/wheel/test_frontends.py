"""The sample project with pip, build and uv, each with an isolated build environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from uv import find_uv_bin

from support.git_repository import Repository, isolate_git

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLE = Path(__file__).parents[2] / "sample_project"
WHEEL = "project_package-1.4.0-py3-none-any.whl"
SDIST = "project_package-1.4.0.tar.gz"


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the sample project into a git repository, at the tag v1.4.0."""
    isolate_git(monkeypatch, tmp_path)
    ignored = shutil.ignore_patterns("dist", ".image", ".dags", "build", "__pycache__")
    repository = Repository(shutil.copytree(SAMPLE, tmp_path / "project", ignore=ignored))
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"], ["tag", "v1.4.0"]):
        repository.git(*command)
    return repository.path


def run(sample: Path, wheels: Path, command: Sequence[str | Path]) -> None:
    links = f"{wheels} {os.environ.get('PIP_FIND_LINKS', '')}".strip()
    done = subprocess.run(
        command,
        cwd=sample,
        env={
            **os.environ,
            "PIP_FIND_LINKS": links,
            "UV_FIND_LINKS": str(wheels),
            # The cache of pip may have a wheel of another bigflow-backend 0.1.0.
            "PIP_NO_CACHE_DIR": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ([sys.executable, "-m", "build", "--installer=uv", "--outdir"], {WHEEL, SDIST}),
        ([sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--wheel-dir"], {WHEEL}),
        ([find_uv_bin(), "build", "--out-dir"], {WHEEL, SDIST}),
    ],
    ids=["build", "pip", "uv"],
)
def test_frontends_build_the_same_wheel(
    sample: Path, bigflow_wheels: Path, tmp_path: Path, command: list[str], names: set[str]
) -> None:
    run(sample, bigflow_wheels, [*command, tmp_path / "out"])
    assert {p.name for p in (tmp_path / "out").iterdir() if p.name != ".gitignore"} == names
    with zipfile.ZipFile(tmp_path / "out" / WHEEL) as archive:
        files = {n for n in archive.namelist() if ".dist-info/" not in n}
    expected = {p.relative_to(sample) for p in (sample / "project_package").glob("*.py")}
    expected |= {
        Path("project_package") / p.relative_to(sample) for p in (sample / "resources").iterdir()
    }
    assert files == {p.as_posix() for p in expected}


@pytest.mark.parametrize("editable", [False, True], ids=["install", "editable"])
@pytest.mark.parametrize("tool", ["uv", pytest.param("pip", marks=pytest.mark.slow)])
def test_frontends_install_it(
    sample: Path, bigflow_wheels: Path, tmp_path: Path, tool: str, editable: bool
) -> None:
    venv = tmp_path / "venv"
    run(sample, bigflow_wheels, [find_uv_bin(), "venv", "--seed", "-p", sys.executable, venv])
    python = venv / "bin" / "python"
    how = ["--editable", "."] if editable else ["."]
    if tool == "pip":
        run(sample, bigflow_wheels, [python, "-m", "pip", "install", *how])
    else:
        run(sample, bigflow_wheels, [find_uv_bin(), "pip", "install", "-p", python, *how])
    done = subprocess.run(
        [
            venv / "bin" / "bigflow", "run", "--job", "hourly_normals.temperature",
            "--runtime", "2026-01-01 00:00:00", "--project-package", "project_package",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '{"runtime": "2026-01-01T00:00:00", "temperature": 4.1}' in done.stdout
