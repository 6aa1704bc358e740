"""``[tool.bigflow]`` is read strictly, and has a schema for validate-pyproject."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.ground.settings.values import read_table
from bigflow_backend.project.settings import Settings
from bigflow_backend.project.settings_schema import make_schema, tool_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
_HEAD = '[build-system]\nrequires = ["bigflow-backend"]\nbuild-backend = "bigflow_backend"\n'


def read(table: object) -> Settings:
    return read_table(Settings, table, key="tool.bigflow", source="pyproject.toml")


def test_defaults() -> None:
    assert read({}) == Settings()


def test_the_old_name_of_the_layered_builder() -> None:
    with pytest.warns(BigflowWarning, match="builder 'embedded' is now called 'layered'"):
        assert read({"image": {"builder": "embedded"}}).image.builder == "layered"


def test_keys_have_dashes() -> None:
    settings = read(
        {"source-directory": "src", "image": {"find-links": ["wheels"], "build-args": {"A": "b"}}}
    )
    assert settings.source_directory == "src"
    assert settings.image.find_links == ("wheels",)
    assert settings.image.build_args == {"A": "b"}


@pytest.mark.parametrize(
    ("table", "message", "hint"),
    [
        (
            {"source_directory": "src"},
            "unknown key 'source_directory' in [tool.bigflow]",
            "did you mean 'source-directory'?",
        ),
        (
            {"dags": {"taget": "composer"}},
            "unknown key 'taget' in [tool.bigflow.dags]",
            "did you mean 'target'?",
        ),
        (
            {"dags": {"target": "composser"}},
            "tool.bigflow.dags.target must be composer or kubernetes: got 'composser'",
            "did you mean 'composer'?",
        ),
        (
            {"image": {"export-tar": 1}},
            "tool.bigflow.image.export-tar must be true or false: got 1",
            "write true or false",
        ),
        (
            {"image": {"timeout": True}},
            "tool.bigflow.image.timeout must be a whole number: got True",
            "write a whole number",
        ),
        (
            {"packages": ["a", 1]},
            "tool.bigflow.packages[1] must be a string: got 1",
            "write a string",
        ),
        (
            {"image": {"build-args": {"A": 1}}},
            "tool.bigflow.image.build-args.A must be a string: got 1",
            "write a string",
        ),
        ({"image": "x"}, "tool.bigflow.image must be a table: got 'x'", "write a table"),
    ],
)
def test_invalid_settings(table: object, message: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        read(table)
    assert message in caught.value.message
    assert caught.value.message.startswith("pyproject.toml: ")
    assert caught.value.hint == hint


def test_schema_is_up_to_date() -> None:
    assert tool_schema() == make_schema(), "run `make format`"


def test_every_key_is_documented() -> None:
    assert list(undocumented(make_schema(), "tool.bigflow")) == []


def undocumented(schema: dict[str, Any], key: str) -> Iterator[str]:
    for name, value in schema["properties"].items():
        if "properties" in value:
            yield from undocumented(value, f"{key}.{name}")
        elif "description" not in value:
            yield f"{key}.{name}"


@pytest.mark.parametrize(
    ("table", "status"),
    [
        ("", 0),
        ('[tool.bigflow]\npackage = "p"\n[tool.bigflow.dags]\ntarget = "kubernetes"\n', 0),
        ('[tool.bigflow]\npakage = "p"\n', 1),
        ('[tool.bigflow.dags]\ntarget = "elsewhere"\n', 1),
        ("[tool.bigflow.image]\ntimeout = '1'\n", 1),
    ],
)
def test_validate_pyproject_uses_the_schema(tmp_path: Path, table: str, status: int) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(_HEAD + table)
    done = subprocess.run(
        [sys.executable, "-m", "validate_pyproject", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
