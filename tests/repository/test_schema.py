"""The schema of ``[tool.bigflow]`` in the form that SchemaStore publishes."""

from __future__ import annotations

import json
import runpy
from typing import TYPE_CHECKING

import pytest

from support.repository import ROOT, repository_files, tool

if TYPE_CHECKING:
    from pathlib import Path

_PUBLISHED = runpy.run_path(str(ROOT / "scripts/schema.py"))["published"]
_FILE = ROOT / "schema/bigflow.json"


def test_the_file_is_up_to_date() -> None:
    assert json.loads(_FILE.read_text("utf-8")) == _PUBLISHED(), "run make schema"


@pytest.fixture
def pyproject_schema(tmp_path: Path) -> Path:
    """A schema of pyproject.toml, which refers to ours as that of SchemaStore does."""
    path = tmp_path / "pyproject.json"
    table = {"properties": {"bigflow": {"$ref": _FILE.as_uri()}}}
    path.write_text(json.dumps({"properties": {"tool": table}}), "utf-8")
    return path


@pytest.mark.slow
def test_the_schema_is_valid() -> None:
    assert tool("check_jsonschema", "--check-metaschema", _FILE).returncode == 0


@pytest.mark.slow
def test_valid_settings(pyproject_schema: Path) -> None:
    files = [ROOT / name for name in repository_files() if name.endswith("/pyproject.toml")]
    settled = [path for path in files if "[tool.bigflow" in path.read_text("utf-8")]
    assert settled
    done = tool("check_jsonschema", "--schemafile", pyproject_schema, *settled)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[tool.bigflow]\npakage = 'reports'", "'pakage' was unexpected"),
        ("[tool.bigflow.image]\nbuilder = 'docker'", "'docker' is not one of"),
        ("[tool.bigflow.image]\ntimeout = 'long'", "'long' is not of type 'integer'"),
        ("[tool.bigflow.dags]\ntarget = 1", "1 is not one of"),
    ],
)
def test_wrong_settings(tmp_path: Path, pyproject_schema: Path, table: str, message: str) -> None:
    (tmp_path / "pyproject.toml").write_text(table, "utf-8")
    done = tool("check_jsonschema", "--schemafile", pyproject_schema, tmp_path / "pyproject.toml")
    assert done.returncode == 1
    assert message in done.stdout
