"""Errors in a Dockerfile, a name, or the Docker context, with the engine builder."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from support.layered import LayeredProject

pytestmark = pytest.mark.engine

_PLACE = "pyproject.toml: tool.bigflow.image.base-image, or --base-image,"


def _refused(project: LayeredProject, **options: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        project.build(**options)
    assert "\n" not in caught.value.message + caught.value.hint
    assert not (project.root / ".image").exists()
    return caught.value


@pytest.mark.parametrize(
    "name", ["a b", "Team/Base:1", "", "python:3.12:1", "https://example.com/a"]
)
def test_a_base_that_is_no_name(engine_project: LayeredProject, name: str) -> None:
    error = _refused(engine_project, base_image=name)
    assert error.message == f"{_PLACE} is wrong: {name!r} is not a valid image name"


def test_a_base_at_a_port_that_does_not_exist(engine_project: LayeredProject) -> None:
    error = _refused(engine_project, base_image="localhost:99999/x:1")
    assert error.message == (
        f"{_PLACE} is wrong: 'localhost:99999/x:1' is not a valid image name: its port is not valid"
    )
    assert "1 to 65535" in error.hint


def test_a_base_for_a_dockerfile_that_takes_none(engine_project: LayeredProject) -> None:
    engine_project.write({"Dockerfile": "FROM scratch\n"})
    error = _refused(engine_project, base_image="python:3.12")
    assert error.message.startswith("the Dockerfile has no ARG BASE_IMAGE, so base-image")
    assert "--base-image" in error.message
    assert "remove base-image" in error.hint


@pytest.mark.parametrize("name", ["localhost:1/team/base:1", "localhost:1/base@sha256:" + "0" * 64])
def test_a_base_is_named_as_the_user_wrote_it(engine_project: LayeredProject, name: str) -> None:
    error = _refused(engine_project, base_image=name)
    assert error.message.startswith(f"Dockerfile, line 2: cannot get the base image {name}: ")
    assert "connection refused" in error.message
    assert "another base image" in error.hint


def test_a_base_for_another_platform(engine_project: LayeredProject) -> None:
    engine_project.write(
        {"Dockerfile": "ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS base\nENV A=1\nFROM base AS more\n"}
    )
    error = _refused(engine_project, platforms=("linux/arm64",))
    name = engine_project.options["base_image"]
    assert error.message.startswith(f"Dockerfile, line 2: cannot get the base image {name}: ")
    assert "check its name, that it exists for linux/arm64 and " in error.hint


def test_a_file_is_no_base_of_an_engine(engine_project: LayeredProject) -> None:
    error = _refused(engine_project, base_image=engine_project.base)
    assert engine_project.base in error.message


@pytest.mark.parametrize("variable", ["DOCKER_CONTEXT", None])
def test_a_context_that_does_not_exist(
    variable: str | None,
    engine_project: LayeredProject,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text('{"currentContext": "nope"}', "utf-8")
    if variable:
        (tmp_path / "config.json").write_text("{}", "utf-8")
        monkeypatch.setenv(variable, "nope")
    error = _refused(engine_project)
    assert error.message.startswith("Docker has no context 'nope', ")
    assert "docker context" in error.hint
    directory = tmp_path / "contexts/meta" / hashlib.sha256(b"nope").hexdigest()
    directory.mkdir(parents=True)
    (directory / "meta.json").write_text("{", "utf-8")
    assert _refused(engine_project).message.startswith("Docker's context 'nope' is damaged: ")
    host = {"Name": "nope", "Metadata": {}, "Endpoints": {"docker": {"Host": "tcp://127.0.0.1:9"}}}
    (directory / "meta.json").write_text(json.dumps(host), "utf-8")
    message = _refused(engine_project).message
    assert message.startswith("no Docker Engine answers at the address of context 'nope': ")


def test_a_user_that_the_image_does_not_have(engine_project: LayeredProject) -> None:
    text = (engine_project.root / "Dockerfile").read_text()
    engine_project.write({"Dockerfile": f"{text}USER nobody-here\n"})
    error = _refused(engine_project)
    assert error.message == "the image has no user 'nobody-here', which its USER names"
    assert "USER 10001" in error.hint
    engine_project.write({"Dockerfile": f"{text}USER nobody-here\nRUN true\n"})
    error = _refused(engine_project)
    assert error.message.startswith("Dockerfile, line 7: RUN true failed: ")
    assert "nobody-here" in error.message
    assert "USER 10001" in error.hint


@pytest.mark.parametrize(
    ("repository", "message"),
    [
        ("registry.example.com/Team/demo", "has upper-case letters"),
        ("https://registry.example.com/demo", "is not a valid image name"),
        ("registry.example.com/demo:latest", "has a tag"),
        ("registry.example.com/team demo", "is not a valid image name"),
        ("localhost:99999/demo", "has an invalid port"),
    ],
)
def test_a_name_that_no_registry_takes(
    engine_project: LayeredProject, repository: str, message: str
) -> None:
    assert message in _refused(engine_project, repository=repository).message
