"""Projects that uv, hatch and poetry make, from creation to a running job.

The commands of docs/how-to/uv.md are run by docs/test_pages.py.

The tools come from the public index.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import uv

from support.commands import bigflow
from support.git_repository import Repository, isolate_git
from support.projects import Project

if TYPE_CHECKING:
    from pathlib import Path

    from docker import DockerClient

pytestmark = [pytest.mark.engine, pytest.mark.slow]
_UV = uv.find_uv_bin()
_RUN = ("bigflow", "run", "--job", "daily.first", "--runtime", "2026-01-01", "--project-package")


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate_git(monkeypatch, tmp_path)
    monkeypatch.setenv("BIGFLOW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HATCH_CONFIG", str(tmp_path / "hatch.toml"))
    (tmp_path / "hatch.toml").write_text(
        "[template]\nname = 'Somebody'\nemail = 'somebody@example.org'\n", "utf-8"
    )
    monkeypatch.delenv("CI", raising=False)


def create(directory: Path, *command: str) -> None:
    subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=300)


def job_in_image(root: Path, base: str, engine: DockerClient, *options: str) -> str:
    """Complete, commit and build the project; return what its job prints in the image."""
    project = Project(root, {})
    assert bigflow(project, "init").returncode == 0
    top = next(path for path in (root, root.parent) if (path / ".git").exists())
    repository = Repository(top)
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message=start")
    options = (f"--base-image={base}", "--load", "--builder=layered", *options)
    built = bigflow(project, "build", *options)
    assert built.returncode == 0, built.stderr
    image = next(line.split()[1] for line in built.stdout.splitlines() if line[:5] == "image")
    output: bytes = engine.containers.run(
        image, [*_RUN, root.name], network_mode="none", remove=True
    )
    return output.decode()


@pytest.mark.parametrize(
    "command",
    [
        (_UV, "init", "sales"),
        (_UV, "tool", "run", "hatch", "new", "sales"),
        (_UV, "tool", "run", "poetry", "new", "sales"),
    ],
    ids=["uv", "hatch", "poetry"],
)
def test_a_new_project_runs(
    command: tuple[str, ...], tmp_path: Path, base_archive: str, engine: DockerClient
) -> None:
    create(tmp_path, *command)
    root = tmp_path / "sales"
    if not (root / ".git").exists():
        create(root, "git", "init", "--quiet")
    assert "sales: 2026-01-01" in job_in_image(root, base_archive, engine)


def test_a_member_of_a_workspace_runs(
    tmp_path: Path, base_archive: str, engine: DockerClient
) -> None:
    top = tmp_path / "workspace"
    create(tmp_path, _UV, "init", "--bare", "workspace")
    create(top, "git", "init", "--quiet")
    for name in ("reports", "common", "other"):
        create(top, _UV, "init", "--package", name)
    create(top / "reports", _UV, "add", "--no-sync", "--python", sys.executable, "../common", "six")
    Project(top, {}).write(
        {
            "common/src/common/__init__.py": "NAME = 'from the member'\n",
            "reports/src/reports/workflow.py": (
                "import six\nfrom bigflow import Job, Workflow\nfrom common import NAME\n\n\n"
                "class First(Job):\n    def execute(self, context):\n"
                "        print(NAME, six.__name__)\n\n\n"
                "daily = Workflow(workflow_id='daily', definition=[First('first')])\n"
            ),
        },
    )
    output = job_in_image(top / "reports", base_archive, engine, "--in-image")
    assert "from the member six" in output
