"""``bigflow rerun`` and ``bigflow run --image``: the job of a pod, in its image."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.cli.rerun import parse_line
from bigflow_backend.ground.errors import UserError
from support.commands import bigflow
from support.projects import Project, write_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient

_DIGEST = f"sha256:{'a' * 64}"
_LINE = (
    "bigflow: job rides.count, runtime 2026-01-02 00:00:00, config prod, pipelines 1.2.0, "
    f"commit 5f0c7127b2c1, image localhost:5000/team/rides:1.2.0@{_DIGEST}"
)
_REPOSITORY = "bigflow-test/rerun"
_WORKFLOW = """\
import os
from bigflow import Job, Workflow
class Count(Job):
    def execute(self, context):
        print("env", context.env, os.environ.get("PASSWORD"), os.environ["BIGFLOW_IMAGE"])
        if context.runtime.year == 2020:
            raise ValueError("no rows")
rides = Workflow("rides", [Count("count")])
"""
_DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
ENV PYTHONPATH=/site
COPY wheels/ /wheels/
COPY dist/ /dist/
RUN for wheel in /wheels/*.whl /dist/*.whl; do python3 -m zipfile -e $wheel /site; done
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project, and a ``docker`` that only prints its arguments."""
    written = write_project(tmp_path / "project")
    program = tmp_path / "bin/docker"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nexit 3\n')
    program.chmod(0o755)
    return Project(written.root, {"PATH": f"{program.parent}:{os.environ['PATH']}"})


def test_the_line_of_a_pod(project: Project) -> None:
    logged = f"[2026-01-03, 04:05:06 UTC] {{pod_manager.py:468}} INFO - [base] {_LINE}"
    done = bigflow(project, "rerun", logged, "--dry-run", "--env", "DB=x y", "--env=TOKEN")
    assert done.returncode == 0, done.stderr
    program, *arguments = shlex.split(done.stdout)
    assert program.endswith("/docker")
    assert arguments == [
        *("run", "--rm", "--entrypoint", "python"),
        *("--env", "BIGFLOW_COMMIT=5f0c7127b2c1"),
        *("--env", f"BIGFLOW_IMAGE=localhost:5000/team/rides:1.2.0@{_DIGEST}"),
        *("--env", "DB=x y", "--env", "TOKEN"),
        *(f"localhost:5000/team/rides@{_DIGEST}", "-m", "bigflow", "run"),
        *("--job=rides.count", "--runtime=2026-01-02 00:00:00", "--config=prod"),
        "--project-package=pipelines",
    ]


@pytest.mark.parametrize(
    "text",
    [
        _LINE.replace(", ", ",\n"),
        _LINE.replace("image ", "image\n"),
        f"{_LINE}\nGood morning, it is 2026-01-02.\n",
    ],
)
def test_a_wrapped_line_and_the_lines_after_it(text: str) -> None:
    assert parse_line(text) == parse_line(_LINE)


@pytest.mark.parametrize(
    ("line", "problem", "fix"),
    [
        ("INFO nothing", "not the first line of a pod", "begins with `bigflow: job`"),
        (
            "bigflow: job w.j, runtime 2026-01-02 00:00:00, p 1, commit 5f0c7127",
            "the line does not name an image",
            "git checkout 5f0c7127 && bigflow run --job w.j --runtime '2026-01-02 00:00:00'",
        ),
        (_LINE.replace("2026-01-02", "--x"), "no valid runtime: got '--x 00:00:00'", "whole line"),
        (_LINE.replace("pipelines 1.2.0", "--x"), "no valid package: got '--x'", "whole line"),
        (_LINE.replace("5f0c7127b2c1", "$(rm -r)"), "no valid commit: got '$(rm -r)'", "whole"),
        ("bigflow: job w.j, runtime", "no valid runtime: got ''", "whole line"),
    ],
)
def test_another_line(line: str, problem: str, fix: str) -> None:
    with pytest.raises(UserError) as raised:
        parse_line(line)
    assert problem in raised.value.message
    assert fix in raised.value.hint


@pytest.mark.parametrize("image", ["--privileged", "-v=/:/host", "a b"])
def test_a_name_that_is_an_option_of_docker(project: Project, image: str) -> None:
    line = _LINE.replace(f"localhost:5000/team/rides:1.2.0@{_DIGEST}", image)
    problem, _ = bigflow(project, "rerun", line).error
    assert "is not a valid image name" in problem


def test_a_variable_that_is_not_valid(project: Project) -> None:
    problem, _ = bigflow(project, "rerun", _LINE, "--env=1A=secret").error
    assert problem == "bigflow: error: --env must be NAME or NAME=VALUE: got '1A'"


def test_run_image_takes_the_package_of_the_project(project: Project) -> None:
    done = project.run(
        *("-m", "bigflow", "run", "--image=team/rides:1", "--job", "rides.count", "--env", "A"),
        *("--runtime", "2026-01-02", "--days", "3", "--", "--image", "x"),
    )
    assert done.returncode == 3, done.stderr  # the status of the container
    assert done.stdout.splitlines()[4:] == [
        *("--env", "BIGFLOW_IMAGE=team/rides:1", "--env", "A"),
        *("team/rides:1", "-m", "bigflow", "run", "--project-package=pipelines"),
        *("--job", "rides.count", "--runtime", "2026-01-02", "--days", "3"),
        *("--", "--image", "x"),
    ]


def test_no_engine(project: Project, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    problem, _ = bigflow(project, "rerun", _LINE, PATH=str(tmp_path / "empty")).error
    assert problem.endswith("needs the command docker or podman, which is not on PATH")


@pytest.fixture
def built(
    tmp_path: Path, engine: DockerClient, base_image: str, bigflow_wheels: Path
) -> Iterator[Project]:
    """A project, and its image in the engine."""
    project = write_project(
        tmp_path / "project",
        {
            "pipelines/workflow.py": _WORKFLOW,
            "resources/requirements.txt": "bigflow-backend\n",
            "Dockerfile": _DOCKERFILE,
            "deployment_config.py": "from bigflow import DeploymentConfig\n"
            f"config = DeploymentConfig('dev', {{'docker_repository': '{_REPOSITORY}'}})\n",
        },
    )
    done = project.run(
        *("-m", "bigflow", "build-image", "--base-image", base_image, "--network", "none"),
        *("--no-export-image-tar", "--builder", "engine", "--find-links", str(bigflow_wheels)),
    )
    assert done.returncode == 0, done.stderr
    yield project
    engine.images.remove(f"{_REPOSITORY}:1.2.0", force=True)


@pytest.mark.slow
@pytest.mark.parametrize(("year", "status"), [(2026, 0), (2020, 1)])
def test_the_job_runs_in_its_image(built: Project, year: int, status: int) -> None:
    image = f"{_REPOSITORY}:1.2.0"
    line = f"bigflow: job rides.count, runtime {year}-01-02 00:00:00, config prod, pipelines 1.2.0"
    done = built.run(
        *("-m", "bigflow", "rerun", f"{line}, image {image}", "--env", "PASSWORD"),
        PASSWORD="hunter2",
    )
    assert done.returncode == status, done.stderr
    first, second, *_ = done.stdout.splitlines()
    assert first == f"{line}, image {image}"
    assert second == f"env prod hunter2 {image}"
    assert ("ValueError: no rows" in done.stderr) == bool(status)
