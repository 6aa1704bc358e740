"""SIGINT and SIGTERM in each phase of a build, at both entry points, in a terminal and in a pipe.

Each test waits for an event of the phase: a file that the project's code writes, or a server that
got the request which it does not answer.
"""

from __future__ import annotations

import platform
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.distribution import make_wheel
from support.faulty_registry import Failure
from support.images import small_base
from support.layered import make_sdist
from support.projects import Project, write_project
from support.terminal import started

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.faulty_registry import FaultyRegistry
    from support.stalling_engine import StallingEngine

pytestmark = pytest.mark.slow

_WORKFLOW = """\
import bigflow
class Count(bigflow.Job):
    id = "count"
    def execute(self, context): pass
rides = bigflow.Workflow("rides", [Count()], schedule_interval="@daily")
"""
_DEPLOYMENT = """\
from bigflow import DeploymentConfig
deployment_config = DeploymentConfig("dev", {"docker_repository": "example.org/rides"})
"""
_WAITS = """\
import os, signal, sys
open(os.environ["REACHED"], "w").close()
signal.pause()
"""
_HOOK = f"""\
import sys
from bigflow_backend import setup
if 'build_wheel' in sys.orig_argv:
    exec({_WAITS!r})
if __name__ == '__main__':
    setup(name='pipelines')
"""
_HIDDEN, _SHOWN = "\x1b[?25l", "\x1b[?25h"
_ENTRIES = {
    "bigflow": [sys.executable, "-m", "bigflow_backend", "build"],
    "project_setup.py": [sys.executable, "project_setup.py", "build_project"],
}
_matrix = [
    pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name),
    pytest.mark.parametrize("in_terminal", [True, False], ids=["terminal", "pipe"]),
    pytest.mark.parametrize("entry", _ENTRIES),
]


def matrix(function: Callable[..., None]) -> Callable[..., None]:
    """Run a test with each signal and entry point, in a terminal and in a pipe."""
    for mark in _matrix:
        function = mark(function)
    return function


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose image needs neither an engine nor an index."""
    written = write_project(
        tmp_path / "project",
        {
            "pipelines/workflow.py": _WORKFLOW,
            "deployment_config.py": _DEPLOYMENT,
            "test/test_rides.py": "def test_rides(): pass\n",
            "resources/requirements.txt": "bigflow-backend\n",
        },
    )
    wheels = tmp_path / "wheels"
    make_wheel(wheels, "bigflow-backend", "0.1.0", {"bigflow/__main__.py": "print('ran')\n"})
    environment = {
        "BIGFLOW_VERSION": "1.0.0",
        "BIGFLOW_CACHE": str(tmp_path / "cache"),
        "BIGFLOW_IMAGE_BUILDER": "layered",
        "BIGFLOW_IMAGE_BASE_IMAGE": small_base(
            tmp_path / "base.tar", version=platform.python_version()
        ),
        "BIGFLOW_IMAGE_FIND_LINKS": f'["{wheels}"]',
        "PIP_NO_INDEX": "1",
        "PYTHONIOENCODING": "utf-8",
        "REACHED": str(tmp_path / "reached"),
    }
    return Project(written.root, {**written.environment, **environment})


def interrupt(
    project: Project,
    is_reached: Callable[[], bool] | None = None,
    *,
    entry: str,
    in_terminal: bool,
    number: signal.Signals,
    **environment: str,
) -> None:
    """Build, and send the signal when the phase is reached. The build must change nothing."""
    variables = {**project.environment, **environment}
    before = project.files()
    with started(_ENTRIES[entry], project.root, variables, in_terminal=in_terminal) as running:
        running.wait_until(is_reached or Path(variables["REACHED"]).exists)

        def send() -> None:
            if in_terminal and number is signal.SIGINT:
                running.type("\x03")
            else:
                running.process.send_signal(number)

        assert running.interrupt(send) == 128 + number, running.output
    how = "interrupted" if number is signal.SIGINT else "ended by SIGTERM"
    assert f"bigflow: {how}; this build changed no outputs" in running.output
    assert "Traceback" not in running.output
    assert running.output.count(_HIDDEN) == running.output.count(_SHOWN)
    assert project.files() == before


@matrix
@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"pipelines/workflow.py": _WAITS}, id="import"),
        pytest.param({"test/test_rides.py": _WAITS}, id="tests"),
        pytest.param({"project_setup.py": _HOOK}, id="hook"),
    ],
)
def test_the_code_of_the_project_runs(
    project: Project,
    *,
    files: dict[str, str],
    entry: str,
    in_terminal: bool,
    number: signal.Signals,
) -> None:
    project.write(files)
    interrupt(project, entry=entry, in_terminal=in_terminal, number=number)


@matrix
def test_the_base_image_is_fetched(
    project: Project,
    faulty_registry: FaultyRegistry,
    *,
    entry: str,
    in_terminal: bool,
    number: signal.Signals,
) -> None:
    faulty_registry.failures.append(Failure("GET", "/manifests/", is_silent=True))
    interrupt(
        project,
        faulty_registry.fell_silent.is_set,
        entry=entry,
        in_terminal=in_terminal,
        number=number,
        BIGFLOW_IMAGE_BASE_IMAGE=f"{faulty_registry.address}/team/base:1",
    )


@matrix
def test_uv_builds_a_dependency(
    project: Project, *, entry: str, in_terminal: bool, number: signal.Signals
) -> None:
    make_sdist(project.root.parent / "wheels", "slow", "1.0", before=f"exec({_WAITS!r})")
    project.write({"resources/requirements.txt": "bigflow-backend\nslow\n"})
    interrupt(project, entry=entry, in_terminal=in_terminal, number=number)


@matrix
@pytest.mark.parametrize("path", ["/uploads/", "/manifests/1.0.0"])
def test_the_image_is_pushed(
    project: Project,
    faulty_registry: FaultyRegistry,
    *,
    path: str,
    entry: str,
    in_terminal: bool,
    number: signal.Signals,
) -> None:
    """The tag in the registry comes last, so nobody gets a part of an image."""
    repository = f"{faulty_registry.address}/team/{entry.partition('.')[0]}-{number.name.lower()}"
    project.write({"deployment_config.py": _DEPLOYMENT.replace("example.org/rides", repository)})
    method = "POST" if path == "/uploads/" else "PUT"
    faulty_registry.failures.append(Failure(method, path, is_silent=True))
    interrupt(
        project,
        faulty_registry.fell_silent.is_set,
        entry=entry,
        in_terminal=in_terminal,
        number=number,
        BIGFLOW_IMAGE_PUSH="true",
    )


@matrix
@pytest.mark.engine
def test_the_image_is_placed_in_the_engine(
    project: Project,
    stalling_engine: StallingEngine,
    *,
    entry: str,
    in_terminal: bool,
    number: signal.Signals,
) -> None:
    stalling_engine.stall_at = "POST /[^ ]*/images/load"
    interrupt(
        project,
        stalling_engine.stalled.is_set,
        entry=entry,
        in_terminal=in_terminal,
        number=number,
        DOCKER_HOST=stalling_engine.url,
        BIGFLOW_IMAGE_LOAD="true",
    )
