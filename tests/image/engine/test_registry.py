"""The engine's pull of a base and its push of an image, with registries that fail."""

from __future__ import annotations

import base64
import io
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import UserError
from support.faulty_registry import Failure, faulty
from support.matrix import rest_slow

if TYPE_CHECKING:
    from pathlib import Path

    from docker import DockerClient

    from support.faulty_registry import FaultyRegistry
    from support.layered import LayeredProject
    from support.registry import Registry

pytestmark = pytest.mark.engine


def _state(project: LayeredProject, engine: DockerClient) -> Any:
    directory = project.root / ".image"
    tags = {tag: i.id for i in engine.images.list() for tag in i.tags if "/demo" in tag}
    return {p.name: p.read_bytes() for p in directory.rglob("*")}, tags


def _refused(project: LayeredProject, engine: DockerClient, **options: Any) -> UserError:
    before = _state(project, engine)
    with pytest.raises(UserError) as caught:
        project.build(**options)
    assert "\n" not in caught.value.message + caught.value.hint
    assert caught.value.hint
    assert _state(project, engine) == before
    return caught.value


_RESPONSES: dict[str, tuple[dict[str, Any], str]] = {
    "401": ({"status": 401}, "unauthorized|no basic auth credentials|401"),
    "404": ({"status": 404}, "not found|404|manifest unknown"),
    "429": ({"status": 429}, "429|too many requests"),
    "500": ({"status": 500}, "500"),
    "dropped": ({"drop_after": -1}, "EOF|reset"),
}


@pytest.mark.parametrize(
    "case", rest_slow([*_RESPONSES, "corrupt"], quick=["401", "dropped", "corrupt"])
)
def test_a_base_that_cannot_be_pulled(
    engine_project: LayeredProject,
    engine: DockerClient,
    registry: Registry,
    case: str,
) -> None:
    path = f"pull-{case}/base"
    engine.images.build(
        fileobj=io.BytesIO(f"FROM scratch\nLABEL case={case}\nCOPY Dockerfile /\n".encode()),
        tag=f"{registry.address}/{path}:1",
        rm=True,
    )
    engine.images.push(f"{registry.address}/{path}", tag="1")
    engine.images.remove(f"{registry.address}/{path}:1")
    how, message = _RESPONSES.get(
        case, ({"is_corrupt": True}, "verification failed|mismatch|digest|invalid character")
    )
    with faulty(registry.address) as proxy:
        name = f"{proxy.address}/{path}:1"
        places = ("/manifests/",) if case != "corrupt" else ("/blobs/", "/manifests/sha256")
        for method in ("GET", "HEAD"):
            proxy.failures += [Failure(method, place, **how, times=1000) for place in places]
        error = _refused(engine_project, engine, base_image=name)
    assert error.message.startswith(f"Dockerfile, line 2: cannot get the base image {name}: "), (
        error.message
    )
    assert re.search(message, error.message, re.IGNORECASE), error.message


def test_a_base_from_a_registry(
    engine_project: LayeredProject, engine: DockerClient, registry: Registry
) -> None:
    name = f"{registry.address}/pulled/base"
    engine.images.get(engine_project.options["base_image"]).tag(name, "1")
    engine.images.push(name, tag="1")
    engine.images.remove(f"{name}:1")
    image = engine_project.build(base_image=f"{name}:1")
    assert engine_project.info(image)["base"] == {
        "name": f"{name}:1", "id": None, "digest": engine.images.get_registry_data(f"{name}:1").id,
    }  # fmt: skip


# An engine retries the upload of a layer for a minute, and does not retry the manifest.
@pytest.mark.parametrize(
    "case",
    rest_slow(["500", "401", "dropped"], quick=["500"]),
)
def test_a_push_that_fails(
    engine_project: LayeredProject,
    engine: DockerClient,
    faulty_registry: FaultyRegistry,
    case: str,
) -> None:
    how, message = _RESPONSES[case]
    faulty_registry.failures.append(Failure("PUT", "/manifests/", **how, times=1000))
    repository = f"{faulty_registry.address}/push-{case}/demo"
    error = _refused(engine_project, engine, repository=repository, push=True)
    assert error.message.startswith(f"the Docker Engine could not push {repository}:1.0.0: ")
    assert re.search(message, error.message, re.IGNORECASE), error.message
    faulty_registry.failures.clear()
    image = engine_project.build(repository=repository, push=True)
    assert image.pushed
    found = engine.images.get_registry_data(image.tag).id
    assert engine_project.info(image)["digest"] == image.digest == found


def test_a_registry_that_is_not_there(engine_project: LayeredProject, engine: DockerClient) -> None:
    error = _refused(engine_project, engine, repository="localhost:1/demo", push=True)
    assert "could not push localhost:1/demo:1.0.0: " in error.message
    assert "connection refused" in error.message


@pytest.mark.slow
def test_a_registry_with_a_password(
    engine_project: LayeredProject,
    engine: DockerClient,
    registry_with_password: Registry,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    repository = f"{registry_with_password.address}/team/demo"
    error = _refused(engine_project, engine, repository=repository, push=True)
    assert "no basic auth credentials" in error.message
    assert "docker login" in error.hint
    known = registry_with_password
    for password, is_right in (("wrong", False), (known.password, True)):
        secret = base64.b64encode(f"{known.username}:{password}".encode()).decode()
        auths = {"auths": {known.address: {"auth": secret}}}
        (tmp_path / "config.json").write_text(json.dumps(auths))
        if not is_right:
            error = _refused(engine_project, engine, repository=repository, push=True)
            assert password not in error.message
            assert secret not in error.message
        else:
            assert engine_project.build(repository=repository, push=True).pushed
            assert not any(password in line or secret in line for line in engine_project.said)
