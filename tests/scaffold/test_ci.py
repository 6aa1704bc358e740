"""The shell lines of the pipeline files that ``--ci`` writes, run as a runner runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from support.commands import bigflow
from support.git_repository import isolate_git
from support.projects import Project

if TYPE_CHECKING:
    from pathlib import Path

    from support.registry import Registry

_FILES = {
    "github": ".github/workflows/build.yml",
    "gitlab": ".gitlab-ci.yml",
    "cloudbuild": "cloudbuild.yaml",
}
_INSTALL = 'python -m pip install "bigflow-backend[build]" --editable .'


def shell_lines(ci: str, text: str) -> list[str]:
    """Return the lines that the runner gives to a shell."""
    if ci == "github":
        return re.findall(r"^\s+(?:- )?run: (.*)$", text, re.MULTILINE)
    if ci == "gitlab":
        script = text.partition("  script:\n")[2].partition("  artifacts:")[0]
        return re.findall(r"^    - (.*)$", script, re.MULTILINE)
    script = text.partition("      - |\n")[2].partition("artifacts:")[0]
    return textwrap.dedent(script).strip().splitlines()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment, as a runner has it: the first pipeline installs everything."""
    place = tmp_path_factory.mktemp("runner") / "venv"
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    return place


@pytest.mark.slow
@pytest.mark.parametrize("ci", _FILES)
def test_the_pipeline_builds_and_pushes(
    ci: str,
    tmp_path: Path,
    *,
    environment: Path,
    registry: Registry,
    base_archive: str,
    bigflow_wheels: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    isolate_git(monkeypatch, tmp_path)
    name = f"reports-{ci}"
    repository = f"{registry.address}/team/{name}"
    choices = ["--ci", ci, "--docker-repository", repository]
    assert bigflow(Project(tmp_path, {}), "start-project", name, *choices).returncode == 0
    root = tmp_path / name
    for command in (["add", "--all"], ["commit", "-qm", "Start"], ["tag", "v1.0.0"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    lines = shell_lines(ci, (root / _FILES[ci]).read_text("utf-8"))
    assert _INSTALL in lines
    assert any("bigflow build --push" in line for line in lines)
    done = subprocess.run(
        ["bash", "-e", "-c", "\n".join(lines)],
        cwd=root,
        env={
            **{k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}},
            "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
            "PIP_FIND_LINKS": str(bigflow_wheels),
            "UV_FIND_LINKS": str(bigflow_wheels),
            "BIGFLOW_IMAGE_BASE_IMAGE": base_archive,
            "CI": "true",
            "CI_COMMIT_TAG": "v1.0.0",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"image  {repository}:1.0.0" in done.stdout
    assert "pushed as sha256:" in done.stdout
    assert (root / ".dags/daily_dag.py").is_file()
