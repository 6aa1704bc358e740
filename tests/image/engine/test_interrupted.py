"""SIGINT, SIGTERM and SIGKILL in each phase of a build on the engine."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from support.containers import all_containers, no_more_than
from support.interrupted import SIGNALS, interrupted_build

if TYPE_CHECKING:
    from pathlib import Path

    from docker import DockerClient

    from support.layered import LayeredProject
    from support.stalling_engine import StallingEngine

pytestmark = pytest.mark.engine


def _state(project: LayeredProject) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (project.root / ".image").rglob("*")}


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.slow
def test_while_a_step_runs(
    engine_project: LayeredProject, engine: DockerClient, tmp_path: Path, number: signal.Signals
) -> None:
    """The engine cancels the build, and leaves no container."""
    image = engine_project.build()
    before, containers = _state(engine_project), all_containers(engine)
    text = (engine_project.root / "Dockerfile").read_text()
    engine_project.write({"Dockerfile": f"{text}RUN echo it runs && sleep 600\n"})
    interrupted_build(
        engine_project,
        number,
        at="says it runs",
        started=tmp_path / "started",
        **engine_project.options,
    )
    assert _state(engine_project) == before
    assert engine.images.get(image.tag).id == image.id
    no_more_than(containers, engine)
    engine_project.write({"Dockerfile": text})
    assert engine_project.build().id == image.id


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name
)
@pytest.mark.parametrize(
    ("phase", "request_line"),
    [
        ("build", r"POST /[^ ]*/build"),
        ("check", r"POST /[^ ]*/containers/create"),
        ("tag", r"POST /[^ ]*/tag"),
        ("save", r"GET /[^ ]*/get"),
        ("push", r"POST /[^ ]*/push"),
    ],
)
@pytest.mark.slow
def test_while_the_engine_is_silent(
    *,
    engine_project: LayeredProject,
    engine: DockerClient,
    stalling_engine: StallingEngine,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    phase: str,
    request_line: str,
) -> None:
    image = engine_project.build()
    before, containers = _state(engine_project), all_containers(engine)
    stalling_engine.stall_at = request_line
    options: dict[str, Any] = {
        **engine_project.options,
        "files": {"demo/__init__.py": f"WHERE = '{phase} {number}'\n"},
        "export_tar": phase == "save",
        "push": phase == "push",
    }
    with monkeypatch.context() as patch:
        patch.setenv("DOCKER_HOST", stalling_engine.url)
        interrupted_build(
            engine_project, number, at=phase, started=stalling_engine.stalled, **options
        )
    assert _state(engine_project) == before
    assert all_containers(engine) == containers
    tagged = engine.images.get(image.tag).id
    if number.name != "SIGKILL":
        assert tagged == image.id
    again = engine_project.build(**{**options, "push": False})
    assert engine.images.get(again.tag).id == again.id
