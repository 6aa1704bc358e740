"""`rehearsal.toml`: what it may have, and what a DAG needs of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.rehearsal.inputs import Inputs, read_inputs

if TYPE_CHECKING:
    from pathlib import Path

NEEDS_KEY = {"valueFrom": {"secretKeyRef": {"name": "db", "key": "user", "optional": True}}}


def test_it_may_be_missing(tmp_path: Path) -> None:
    assert read_inputs(None, tmp_path) == Inputs()


def test_it_has_variables_secrets_and_the_network(tmp_path: Path) -> None:
    text = 'network = "host"\n[variables]\nenv = "dev"\n[secrets.db]\nuser = "me"\n'
    (tmp_path / "rehearsal.toml").write_text(text)
    found = read_inputs(None, tmp_path)
    assert found == Inputs("rehearsal.toml", "host", {"env": "dev"}, {"db": {"user": "me"}})


@pytest.mark.parametrize(
    ("text", "problem", "fix"),
    [
        ("[variable]\n", "unknown key 'variable'", "did you mean 'variables'?"),
        ('network = "bridge"', "must be none or host: got 'bridge'", 'write network = "host"'),
        ("[variables]\nport = 1", "variables.port must be a text: got a number", "write it in"),
        ('secrets = "x"', "secrets must be a table: got a text", "write [secrets]"),
        ("[secrets]\ndb = 1", "secrets.db must be a table: got a number", "write [secrets.db]"),
        ("[configmaps]\na = 1", "configmaps.a must be a table", "write [configmaps.a]"),
        ("x", "is not valid TOML", "fix that line"),
    ],
)
def test_it_is_checked(tmp_path: Path, text: str, problem: str, fix: str) -> None:
    (tmp_path / "other.toml").write_text(text)
    with pytest.raises(UserError) as error:
        read_inputs(tmp_path / "other.toml", tmp_path)
    assert problem in error.value.message
    assert error.value.hint.startswith(fix)


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        read_inputs(tmp_path / "none.toml", tmp_path)


@pytest.mark.parametrize(
    ("container", "fix"),
    [
        ({"env": [{"name": "A", **NEEDS_KEY}]}, 'below [secrets.db]: user = "..."'),
        ({"envFrom": [{"secretRef": {"name": "db"}}]}, 'below [secrets.db]: KEY = "..."'),
        ({"envFrom": [{"secretRef": {"name": "db", "optional": True}}]}, None),
    ],
)
def test_a_missing_secret_has_the_line_to_write(container: Any, fix: str | None) -> None:
    pods = {"job": {"spec": {"containers": [container]}}}
    if fix is None:
        Inputs().check("daily", (), pods)
        return
    with pytest.raises(UserError) as error:
        Inputs().check("daily", (), pods)
    assert error.value.hint == f"write into rehearsal.toml, {fix}"
    Inputs(secrets={"db": {"user": ""}}).check("daily", (), pods)


@pytest.mark.parametrize(
    ("spec", "fix"),
    [
        (
            {"containers": [{"envFrom": [{"configMapRef": {"name": "app"}}]}]},
            'below [configmaps.app]: KEY = "..."',
        ),
        (
            {"volumes": [{"name": "v", "secret": {"secretName": "db"}}]},
            'below [secrets.db]: KEY = "..."',
        ),
        (
            {
                "volumes": [
                    {
                        "name": "v",
                        "projected": {
                            "sources": [
                                {"configMap": {"name": "app", "items": [{"key": "a", "path": "b"}]}}
                            ]
                        },
                    }
                ]
            },
            'below [configmaps.app]: a = "..."',
        ),
    ],
)
def test_volumes_and_config_maps_need_entries(spec: Any, fix: str) -> None:
    with pytest.raises(UserError) as error:
        Inputs().check("daily", (), {"job": {"spec": spec}})
    assert error.value.hint == f"write into rehearsal.toml, {fix}"
    found = {"app": {"a": "", "KEY": ""}}
    Inputs(secrets={"db": {}}, configmaps=found).check("daily", (), {"job": {"spec": spec}})


@pytest.mark.parametrize(
    "table", ["secrets.DB", 'secrets.db]\n"a b" = "c"\n[secrets.x', "configmaps.a_b"]
)
def test_names_are_those_of_a_cluster(tmp_path: Path, table: str) -> None:
    (tmp_path / "rehearsal.toml").write_text(f"[{table}]\n".replace("\\n", "\n"))
    with pytest.raises(UserError, match=r"is invalid: (metadata.name|data)"):
        read_inputs(None, tmp_path)


def test_a_missing_variable_has_the_line_to_write() -> None:
    with pytest.raises(UserError) as error:
        Inputs(variables={"env": "dev"}).check("daily", ["env", "a.b"], {})
    assert error.value.hint == 'write into rehearsal.toml, below [variables]: "a.b" = "..."'
