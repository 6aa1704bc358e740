"""Imports of the runtime: few, and only from the standard library."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import bigflow
from support.runtime import SAMPLE, clean_environment

SOURCES = sorted(Path(bigflow.__file__).parent.glob("*.py"))
RUN = """
import sys
from bigflow.cli import main
main(["run", "--job", "w.j", "--project-package", "p", "--module", "p", "--config", "dev"])
print(*sys.modules)
"""
HEAVY = {
    "bigflow.absent",
    "bigflow.konfig",
    "bigflow_backend",
    "dataclasses",
    "email",
    "importlib.metadata",
    "inspect",
    "json",
    "logging",
    "pathlib",
    "shutil",
    "subprocess",
    "tempfile",
    "typing",
    "zoneinfo",
}


def test_running_a_job_imports_little(tmp_path: Path) -> None:
    text = """
import bigflow
class J(bigflow.Job):
    id = "j"
    def execute(self, context): pass
w = bigflow.Workflow("w", [J()])
"""
    (tmp_path / "p.py").write_text(text)
    out = subprocess.run(
        [sys.executable, "-S", "-c", RUN],  # -S: without the imports of .pth files
        cwd=tmp_path,
        env=clean_environment({"PYTHONPATH": str(Path(bigflow.__file__).parent.parent)}),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(out.stdout.splitlines()[-1].split())
    assert "p" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_only_the_standard_library_is_imported(source: Path) -> None:
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        else:
            continue
        for name in names:
            top = name.partition(".")[0]
            assert top in {*sys.stdlib_module_names, "bigflow", "bigflow_backend"}, name
            if top == "bigflow_backend":
                assert node.col_offset > 0, "the build is imported on use"


def test_every_public_name_exists() -> None:
    for name in bigflow.__all__:
        assert getattr(bigflow, name) is not None
        assert name in dir(bigflow)
    assert bigflow.resources.find_file is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        bigflow.nothing  # noqa: B018


def test_import_names_of_bigflow() -> None:
    code = """
from bigflow import Config, Definition, Job, JobContext, Workflow
from bigflow.configuration import DeploymentConfig, current_env
from bigflow.resources import find_all_resources, find_file, get_resource_absolute_path
from bigflow.workflow import Definition, InvalidJobGraph, Job, JobContext, Workflow
from bigflow.workflow import daily_start_time, hourly_start_time
import bigflow
bigflow.resources, bigflow.configuration.Config, bigflow.workflow.Workflow
"""
    subprocess.run([sys.executable, "-c", code], cwd=SAMPLE, check=True)
