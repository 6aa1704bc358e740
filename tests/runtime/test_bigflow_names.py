"""Names of BigFlow 1.x: the modules that work, and the message for the others."""

from __future__ import annotations

import importlib
import logging
import os
import pickle
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

import bigflow
from bigflow import commons, version
from bigflow.absent import AbsentModuleError
from bigflow.build import reflect
from bigflow.configuration import DatasetConfig
from bigflow.konfig import (
    Konfig,
    dynamic,
    dynamic_super,
    expand,
    fromenv,
    merge,
    resolve_konfig,
    secretstr,
)
from support.projects import write_project

ABSENT = [
    *("bigquery", "bigquery.job", "build.dev", "build.dist", "build.legacy", "build.operate"),
    *("build.pip", "build.spec", "dagbuilder", "dataflow", "dataproc", "log", "migrate"),
    *("monitoring", "scaffold", "testing.isolate", "utils"),
]


@pytest.mark.parametrize("name", ABSENT)
def test_an_absent_module_has_one_message(name: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"BigFlow 1\.x is not part of"):
        importlib.import_module(f"bigflow.{name}")


@pytest.mark.parametrize(
    "code",
    [
        "from bigflow import bigquery",
        "import bigflow; bigflow.bigquery",
        "from bigflow.bigquery import DatasetConfig",
        "import bigflow.build; bigflow.build.spec",
        "from bigflow.workflow import WorkflowJob",
        "from bigflow.cli import walk_workflows",
    ],
)
def test_every_use_of_an_absent_name_has_the_message(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert "of BigFlow 1.x is not part of bigflow-backend; " in last
    assert "install" not in last


def test_other_names_have_the_usual_errors() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'bigflow\.nothing'"):
        importlib.import_module("bigflow.nothing")
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        getattr(bigflow.build, "nothing")  # noqa: B009 - mypy knows that it does not exist
    assert not hasattr(bigflow, "bigquery")
    assert importlib.util.find_spec("bigflow.nothing") is None


class Dev(Konfig):
    project = "rides-dev"
    bucket = expand("{project}-{{data}}")
    options = {"cpu": 1, "disk": {"size": 10}}  # noqa: RUF012 - a value of a Konfig
    key = fromenv("RIDES_KEY", default="none")
    retries = fromenv("RIDES_RETRIES", default="3", type=int)


class Prod(Dev):
    project = "rides"
    options = merge({"disk": {"kind": "ssd"}})
    retries = dynamic_super(lambda konfig, parent: parent + len(konfig.project))
    twice = dynamic(lambda konfig: konfig.retries * 2)


def test_konfig() -> None:
    prod = Prod(extra=1)
    assert dict(prod) == {
        "extra": 1,
        "bucket": "rides-{data}",
        "key": "none",
        "options": {"cpu": 1, "disk": {"size": 10, "kind": "ssd"}},
        "project": "rides",
        "retries": 8,
        "twice": 16,
    }
    assert prod.replace(project="r").bucket == "r-{data}"
    assert (Prod @ {"zone": "a", "project": "other"})().zone == "a"
    assert "project" in prod
    assert prod.get("nothing") is None
    assert pickle.loads(pickle.dumps(prod)) == prod
    with pytest.raises(RuntimeError, match="cannot be changed"):
        prod.project = "x"
    with pytest.raises(ValueError, match="own __init__"):
        type("Own", (Konfig,), {"__init__": None})


def test_a_secret_of_a_konfig_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIDES_KEY", "abc")
    assert "abc" not in repr(Dev())
    assert Dev().key == "abc"
    assert isinstance(Dev().key, secretstr)
    monkeypatch.delenv("RIDES_KEY")
    with pytest.raises(ValueError, match="RIDES_KEY is not set"):
        type("Strict", (Konfig,), {"key": fromenv("RIDES_KEY")})()


def test_resolve_konfig(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("bf_env", raising=False)
    konfigs = {"dev": Dev, "prod": Prod}
    lazy = resolve_konfig(konfigs, default="dev")
    monkeypatch.setenv("bf_env", "prod")
    assert lazy.project == "rides"
    assert isinstance(lazy, Prod)
    assert {**lazy} == dict(Prod())
    assert isinstance(pickle.loads(pickle.dumps(lazy)), Prod)
    assert resolve_konfig(konfigs, "dev", lazy=False).project == "rides-dev"
    with pytest.raises(ValueError, match=r"unknown configuration 'test' \(give one of: dev, prod"):
        resolve_konfig(konfigs, "test", lazy=False)


def test_dataset_config() -> None:
    config = DatasetConfig(
        "dev", "rides-dev", internal_tables=["a"], properties={"topic": "{project_id}/t"}
    ).add_configuration("prod", "rides", external_tables={"b": "c.d"})
    assert config.resolve_project_id() == "rides-dev"
    assert config.resolve_extra_properties("prod") == {"topic": "rides/t"}
    assert config.resolve_internal_tables("prod") == ["a"]
    assert config.resolve_external_tables("prod") == {"b": "c.d"}
    assert config.resolve_dataset_name("prod") == "None"
    assert config.resolve_job_labels() == []
    with pytest.raises(AbsentModuleError):
        config.create_dataset_manager()


def test_run_process(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bigflow.commons")
    script = "import os, sys; print(os.environ['A']); sys.stderr.write('b\\n'); sys.exit(3)"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        commons.run_process([sys.executable, "-c", script], env_add={"A": "a"})
    assert (caught.value.stdout, caught.value.stderr) == ("a\n", "b\n")
    assert sorted((r.levelname, r.message) for r in caplog.records) == [
        ("ERROR", "b"),
        ("INFO", "a"),
    ]
    assert commons.run_process("cat -", input="ä") == "ä"


def test_commons(tmp_path: Path) -> None:
    image = tmp_path / "image-0.3.0.dev-4b.tar"
    image.write_bytes(b"")
    assert commons.decode_version_number_from_file_name(image) == "0.3.0.dev-4b"
    for wrong in ("image.0.1.tar", "image-0.1.zip", "image-0.1.tar"):
        with pytest.raises(ValueError, match=r"image"):
            commons.decode_version_number_from_file_name(tmp_path / wrong)
    assert commons.as_timedelta("1.5") == timedelta(seconds=1.5)
    assert commons.as_timedelta("") is None
    assert commons.valid_datetime("NOW") == "NOW"
    assert commons.valid_datetime("2026-01-31") == "2026-01-31"
    with pytest.raises(ValueError, match="a date must be"):
        commons.valid_datetime("2026-01-31 06:00")
    assert commons.build_docker_image_tag("r", "1.0+g") == "r:1.0-g"
    with pytest.deprecated_call():
        assert commons.resolve(Path("/a")) == "/a"
    assert commons.public(class_alias=True)(type("Alias", (dict,), {})) is dict


@pytest.mark.parametrize(
    ("tag", "bumped"),
    [("1.0.0", "1.1"), ("0.1.dev1", "0.2"), ("12", "12.1"), ("release-1.2.0", "release-1.3")],
)
def test_bump_minor(tag: str, bumped: str) -> None:
    assert version.bump_minor(tag) == bumped
    with pytest.raises(ValueError, match="not a valid version"):
        version.bump_minor("garbage")


def test_the_version_of_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGFLOW_VERSION", "1.2.0")
    monkeypatch.chdir(write_project(tmp_path / "project", {}).root)
    assert version.get_version() == "1.2.0"
    monkeypatch.chdir("/")
    with pytest.raises(ValueError, match="no project found"):
        version.get_version()


_REFLECT = """
from bigflow.build import reflect
spec = reflect.get_project_spec()
script = reflect.materialize_setuppy()
wheel = reflect.build_wheel()
print(spec.name, spec.version, spec.packages, spec.requries, script.name, wheel.name)
print(spec.docker_repository)
"""


def test_reflect_in_the_tree_and_installed(tmp_path: Path) -> None:
    """BigFlow's Beam jobs do this, in the source tree and in a pod."""
    deployment = (
        "from bigflow import DeploymentConfig\n"
        "deployment_config = DeploymentConfig('dev', {'docker_repository': 'host:5000/rides'})\n"
    )
    files = {"pipelines/beam.py": _REFLECT, "deployment_config.py": deployment}
    project = write_project(tmp_path / "project", files)
    (project.root / "resources" / "requirements.txt").write_text("bigflow-backend\n")
    expected = (
        "pipelines 1.2.0 ['pipelines'] ['bigflow-backend'] setup.py"
        " pipelines-1.2.0-py3-none-any.whl\nhost:5000/rides"
    )
    assert project.run("-m", "pipelines.beam").stdout.strip() == expected
    wheel = project.hook("build_wheel", str(tmp_path))
    installed = tmp_path / "site-packages"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", f"--target={installed}"]
    subprocess.run([*pip, str(tmp_path / wheel)], check=True)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "pipelines.beam"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(installed),
            "BIGFLOW_IMAGE": "host:5000/rides:1.2.0@sha256:0",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == expected, done.stderr


def test_reflect_reports_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="eggs cannot be built"):
        reflect.build_egg()
    with pytest.raises(ValueError, match="failed"):
        reflect.build_sdist(tmp_path)
