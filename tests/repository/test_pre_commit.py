"""The hooks that a user's repository takes from this one, in a real pre-commit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.repository import copy_repository

_GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **{
        f"GIT_{who}_{key}": value
        for who in ("AUTHOR", "COMMITTER")
        for key, value in {"NAME": "Ada", "EMAIL": "ada@example.com"}.items()
    },
}
_CONFIG = """\
repos:
  - repo: {repository}
    rev: {rev}
    hooks:
      - id: bigflow-check
  - repo: {repository}
    rev: {rev}
    hooks:
      - id: bigflow-check-system
"""
_WRONG = """\
from bigflow import Job, Workflow

class Greet(Job):
    def execute(self, context):
        pass

daily = Workflow(workflow_id="daily", definition=[Greet("say hello")])
"""


def run(
    directory: Path, *command: str | Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, **_GIT, "PATH": path, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def committed(directory: Path) -> str:
    """Make the directory a git repository with one commit, and return its hash."""
    run(directory, "git", "init", "--quiet")
    run(directory, "git", "add", "--all")
    done = run(directory, "git", "commit", "--quiet", "--message", "Start")
    assert done.returncode == 0, done.stdout
    return run(directory, "git", "rev-parse", "HEAD").stdout.strip()


@pytest.mark.slow
def test_a_commit_with_the_hooks(tmp_path: Path) -> None:
    repository = copy_repository(tmp_path / "bigflow-backend")
    rev = committed(repository)
    assert run(tmp_path, "bigflow", "start-project", "reports").returncode == 0
    project, home = tmp_path / "reports", {"PRE_COMMIT_HOME": str(tmp_path / "cache")}
    config = project / ".pre-commit-config.yaml"
    config.write_text(_CONFIG.format(repository=repository, rev=rev), "utf-8")
    run(project, "git", "add", "--all")
    installed = run(project, "pre-commit", "install", **home)
    assert installed.returncode == 0, installed.stdout

    passed = run(project, "git", "commit", "--message", "Start", **home)
    assert passed.returncode == 0, passed.stdout
    assert passed.stdout.count("Passed") == 2, passed.stdout
    assert not (project / ".dags").exists()

    (project / "reports/workflow.py").write_text(_WRONG, "utf-8")
    run(project, "git", "add", "--all")
    refused = run(project, "git", "commit", "--message", "A wrong id", **home)
    assert refused.returncode == 1
    assert refused.stdout.count("Failed") == 2, refused.stdout
    assert refused.stdout.count("bigflow: error: ") == 2
    assert refused.stdout.count("say hello") >= 2
    assert "Traceback" not in refused.stdout

    # A commit that the hooks are not about costs no time.
    run(project, "git", "checkout", "--quiet", "HEAD", "--", "reports")
    (project / "picture.svg").write_text("<svg/>", "utf-8")
    run(project, "git", "add", "--all")
    skipped = run(project, "git", "commit", "--message", "A picture", **home)
    assert skipped.stdout.count("Skipped") == 2, skipped.stdout
