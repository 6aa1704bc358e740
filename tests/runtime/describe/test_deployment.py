"""The description of deployment_config.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.runtime import SAMPLE, describe, write_files

if TYPE_CHECKING:
    from pathlib import Path


def test_each_configuration() -> None:
    arguments = ("--deployment-config", "deployment_config.py")
    answer = describe(*arguments, cwd=SAMPLE)
    assert (answer["packages"], answer["workflows"]) == ([], [])
    assert answer["deployment"] == {
        "config": "dev",
        "properties": {
            "docker_repository": "registry.example.com/dev/runtime_sample",
            "env": "dev",
            "registry": "registry.example.com",
            "replicas": 2,
        },
    }
    by_option = describe(*arguments, "--config", "prod", cwd=SAMPLE)["deployment"]
    by_variable = describe(*arguments, cwd=SAMPLE, env={"bf_env": "prod"})["deployment"]
    assert by_option == by_variable
    assert by_option["properties"]["docker_repository"].endswith("/prod/runtime_sample")


def test_only_named_properties_come_from_the_environment(tmp_path: Path) -> None:
    text = "from bigflow import DeploymentConfig\nx = DeploymentConfig('dev', {'token': None})"
    write_files(tmp_path, {"d.py": text})
    env = {"bf_token": "t", "bf_docker_repository": "r", "bf_password": "secret"}
    answer = describe("--deployment-config", "d.py", cwd=tmp_path, env=env)
    properties = answer["deployment"]["properties"]
    assert properties == {"docker_repository": "r", "env": "dev", "token": "t"}


def test_values_that_json_cannot_store(tmp_path: Path) -> None:
    values = "{'day': datetime.date(2026, 1, 1), 'nan': float('nan'), 'list': [1, None]}"
    text = f"import bigflow, datetime\nx = bigflow.DeploymentConfig('dev', {values})"
    write_files(tmp_path, {"d.py": text})
    answer = describe("--deployment-config", "d.py", cwd=tmp_path)["deployment"]["properties"]
    assert answer == {"day": "2026-01-01", "nan": "nan", "list": [1, None], "env": "dev"}


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        (None, "d.py not found"),
        ("", "d.py has no DeploymentConfig"),
        ("\n1 / 0", "d.py, line 2: ZeroDivisionError: division by zero (reading d.py)"),
        ("x = (", "d.py, line 1: SyntaxError"),
        ("raise SystemExit", "d.py, line 1: SystemExit (reading d.py)"),
        (
            "import bigflow as b\nx, y = b.Config('dev', {}), b.Config('dev', {})",
            "d.py has 2 DeploymentConfigs, and none has the name deployment_config",
        ),
        (
            "import bigflow\nx = bigflow.Config('dev', {'a': None})",
            "the property 'a' is not set",
        ),
    ],
)
def test_errors(tmp_path: Path, text: str | None, reported: str) -> None:
    if text is not None:
        write_files(tmp_path, {"d.py": text})
    answer = describe("--deployment-config", "d.py", cwd=tmp_path)
    assert answer["error"]["message"].startswith(reported)
    assert answer["error"]["hint"]
