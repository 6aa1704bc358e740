"""The GitHub action: its shell lines, as a runner starts them."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from support.repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_ACTION = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
_STEPS = [step for step in _ACTION["runs"]["steps"] if "run" in step]
outputs = runpy.run_path(str(ROOT / "scripts/github_action.py"))["outputs"]


def test_no_input_becomes_code() -> None:
    assert [line for step in _STEPS for line in [step["run"]] if "${{" in line] == []


def test_the_outputs_are_those_of_the_script() -> None:
    found = outputs(
        {
            "wheel": {"path": "dist/a.whl", "version": "1.2.0"},
            "image": {"tag": "registry.example.com/a:1.2.0", "digest": "sha256:00"},
            "dags": None,
        }
    )
    assert found == {
        "version": "1.2.0",
        "wheel": "dist/a.whl",
        "image": "registry.example.com/a:1.2.0",
        "digest": "sha256:00",
    }
    assert set(_ACTION["outputs"]) == set(found)


@pytest.mark.parametrize("result", [[], [{"version": "1"}], {}, {"wheel": None}, {"dags": []}])
def test_a_result_without_outputs(result: Any) -> None:
    assert outputs(result) == {}


class Runner:
    """A runner of GitHub: what it gives to the steps."""

    def __init__(self, directory: Path, project: Path, environment: dict[str, str]) -> None:
        self.project = project
        self._files = {name: directory / name.lower() for name in ("GITHUB_ENV", "GITHUB_OUTPUT")}
        for file in self._files.values():
            file.touch()
        (directory / "temp").mkdir()
        self._environment = {
            **environment,
            **{name: str(file) for name, file in self._files.items()},
            "GITHUB_ACTION_PATH": str(ROOT),
            "RUNNER_TEMP": str(directory / "temp"),
        }

    def run(self, step: dict[str, Any], **given: str) -> subprocess.CompletedProcess[str]:
        """Run a step with these inputs, and the defaults of the others."""
        inputs = {name: text["default"] for name, text in _ACTION["inputs"].items()} | given
        variables = {
            name: re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda f: inputs[f[1]], value)
            for name, value in step.get("env", {}).items()
        }
        return subprocess.run(
            [step["shell"], "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.project,
            env={**self._environment, **self._read("GITHUB_ENV"), **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def outputs(self) -> dict[str, str]:
        return self._read("GITHUB_OUTPUT")

    def _read(self, name: str) -> dict[str, str]:
        lines = self._files[name].read_text("utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.mark.slow
def test_a_build_with_the_action(tmp_path: Path, base_archive: str) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "python"], check=True)
    bigflow = [sys.executable, "-m", "bigflow"]
    start = [*bigflow, "start-project", "reports", "--no-git"]
    subprocess.run(start, cwd=tmp_path, check=True, capture_output=True)
    runner = Runner(
        tmp_path,
        tmp_path / "reports",
        {
            **os.environ,
            "PATH": f"{tmp_path / 'python/bin'}{os.pathsep}{os.environ['PATH']}",
            "BIGFLOW_IMAGE_BASE_IMAGE": base_archive,
            "BIGFLOW_VERSION": "1.2.0",
        },
    )
    install, run = _STEPS
    installed = runner.run(install)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    built = runner.run(run)
    assert built.returncode == 0, built.stdout + built.stderr
    assert runner.outputs["version"] == "1.2.0"
    assert (runner.project / runner.outputs["wheel"]).is_file()
    assert runner.outputs["image"] == "registry.example.com/reports:1.2.0"
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", runner.outputs["digest"])

    text = '--config dev --start-time "2026-01-31 06:00:00"'
    dags = runner.run(run, command="build-dags", args=text)
    assert dags.returncode == 0, dags.stderr
    for args in ("; touch owned", "$(touch owned)", "`touch owned`", "\n--json\ntouch owned"):
        refused = runner.run(run, command="build-dags", args=args)
        assert refused.returncode == 2, args
    refused = runner.run(run, command="build; touch owned")
    assert refused.returncode == 2
    assert not (runner.project / "owned").exists()
