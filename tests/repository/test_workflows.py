"""The files of this repository that GitHub and pre-commit read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from support.repository import ROOT, tool

if TYPE_CHECKING:
    from pathlib import Path

_WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
_PINNED = re.compile(r"uses: (?P<action>[^@\s]+)@(?P<hash>[0-9a-f]{40}) # (?P<version>v[0-9.]+)")


def read_steps(path: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(path.read_text("utf-8"))["jobs"]
    return [step for job in jobs.values() for step in job.get("steps", ())]


@pytest.mark.parametrize("path", _WORKFLOWS, ids=lambda path: path.stem)
def test_the_shell_lines_are_targets_of_make(path: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    lines = [step["run"] for step in read_steps(path) if "run" in step]
    assert lines
    for line in lines:
        make = re.match(r"make (?:--silent )?(?P<target>[a-z-]+)", line)
        if make is None:
            assert line.startswith(("sudo .ci/run", "gh release create "))
        else:
            assert make["target"] in targets
        assert "${{" not in line


def test_an_action_has_one_version_everywhere() -> None:
    files = [*_WORKFLOWS, ROOT / "action.yml"]
    texts = [path.read_text("utf-8") for path in files]
    pins = {found["action"]: found[0] for text in texts for found in _PINNED.finditer(text)}
    for text in texts:
        for line in re.findall(r"uses: (?!\./).*", text):
            action = line.removeprefix("uses: ").partition("@")[0]
            assert line == pins[action]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("vendor.dependabot", ".github/dependabot.yml"),
        ("vendor.github-actions", "action.yml"),
        ("vendor.github-issue-config", ".github/ISSUE_TEMPLATE/config.yml"),
        ("vendor.github-issue-forms", ".github/ISSUE_TEMPLATE/[!c]*.yml"),
        ("vendor.github-workflows", ".github/workflows/*.yml"),
    ],
)
def test_the_files_follow_their_schemas(schema: str, pattern: str) -> None:
    files = sorted(ROOT.glob(pattern))
    assert files
    done = tool("check_jsonschema", "--builtin-schema", schema, *files)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("validate-config", ".pre-commit-config.yaml"),
        ("validate-manifest", ".pre-commit-hooks.yaml"),
    ],
)
def test_pre_commit_reads_its_files(command: str, file: str) -> None:
    done = tool("pre_commit", command, ROOT / file)
    assert done.returncode == 0, done.stdout
