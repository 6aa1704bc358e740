"""``--in-image`` finds the workflows with the Python and the packages of the image."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from support.distribution import make_wheel
from support.projects import Project, write_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient

_REPOSITORY = "bigflow-test/in-image"
_WORKFLOW = """\
import socket
from pathlib import Path
import only_in_the_image
from bigflow import Config, Job, Workflow

print("printed by the project")
try:
    Path(__file__).write_text("")
except OSError as error:
    written = type(error).__name__
networks = [name for _, name in socket.if_nameindex() if name != "lo"]

class Count(Job):
    def execute(self, context):
        pass

owner = f"{only_in_the_image.NAME} {written} {networks}"
sizes = Config("dev", {"pool": "small"}, is_default=True)
sizes.add_configuration("prod", {"pool": "large"})
rides = Workflow("rides", [Count("count", pool=sizes.resolve()["pool"])], owner=owner)
"""
_DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
ENV PYTHONPATH=/site
COPY wheels/ /wheels/
COPY dist/ /dist/
RUN for wheel in /wheels/*.whl /dist/*.whl; do python3 -m zipfile -e $wheel /site; done
"""


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory,
    engine: DockerClient,
    base_image: str,
    bigflow_wheels: Path,
) -> Iterator[Project]:
    """A project, and its image in the engine."""
    root = tmp_path_factory.mktemp("in-image")
    library = make_wheel(
        root / "wheels", "only-in-the-image", "1.0", {"only_in_the_image.py": "NAME = 'inside'\n"}
    )
    project = write_project(
        root / "project",
        {
            "pipelines/workflow.py": _WORKFLOW,
            "resources/requirements.txt": "bigflow-backend\nonly-in-the-image\n",
            "Dockerfile": _DOCKERFILE,
            "deployment_config.py": "from bigflow import DeploymentConfig\n"
            f"config = DeploymentConfig('dev', {{'docker_repository': '{_REPOSITORY}'}})\n"
            "config.add_configuration('prod', {})\n",
        },
    )
    links = ["--find-links", str(library.parent), "--find-links", str(bigflow_wheels)]
    options = [
        "--base-image",
        base_image,
        "--network",
        "none",
        "--no-export-image-tar",
        "--builder",
        "engine",
    ]
    built = project.run("-m", "bigflow", "build-image", *options, *links)
    assert built.returncode == 0, built.stderr
    yield project
    engine.images.remove(f"{_REPOSITORY}:1.2.0", force=True)


def build_dags(project: Project, *options: str, **environment: str) -> tuple[int, str]:
    done = project.run("-m", "bigflow", "build-dags", *options, **environment)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_packages_of_the_image_are_not_needed_here(project: Project, engine: DockerClient) -> None:
    before = {container.id for container in engine.containers.list(all=True)}
    status, output = build_dags(project)
    assert (status, "No module named 'only_in_the_image'" in output) == (1, True)
    status, output = build_dags(project, "--in-image", "--start-time", "2026-01-02")
    assert status == 0, output
    assert "printed by the project" in output
    (file,) = (project.root / ".dags").glob("rides__v1_2_0__*_dag.py")
    # The container could not write or reach a network, and it was removed.
    assert "'owner': 'inside OSError []'" in file.read_text("ascii")
    assert "'pool': 'small'" in file.read_text("ascii")
    manifest = json.loads((project.root / ".dags" / "manifest.json").read_bytes())
    assert manifest["dags"][0]["start_date"] == "2026-01-01T00:00:00+00:00"
    assert {container.id for container in engine.containers.list(all=True)} <= before


def test_the_configuration_reaches_the_modules_in_the_image(project: Project) -> None:
    for options, environment in ((["--config", "prod"], {}), ([], {"bf_env": "prod"})):
        status, output = build_dags(project, "--in-image", *options, **environment)
        assert status == 0, output
        (file,) = (project.root / ".dags").glob("rides__v1_2_0__*_dag.py")
        assert "'pool': 'large'" in file.read_text("ascii")


def test_a_workflow_of_the_image_is_chosen(project: Project) -> None:
    status, output = build_dags(project, "--in-image", "--workflow", "walks")
    assert status == 1
    assert output.splitlines()[-2:] == [
        "bigflow: error: the project has no workflow 'walks'",
        "  its workflows are: rides",
    ]


def test_a_build_without_an_engine_loads_its_image(
    project: Project, engine: DockerClient, base_archive: str, bigflow_wheels: Path
) -> None:
    dockerfile = project.root / "Dockerfile"
    dockerfile.unlink()
    wheels = [project.root.parent / "wheels", bigflow_wheels]
    try:
        done = project.run(
            *("-m", "bigflow", "build", "--in-image", "--no-export-image-tar"),
            *("--base-image", base_archive, *(f"--find-links={path}" for path in wheels)),
            BIGFLOW_VERSION="1.5.0",
        )
        assert done.returncode == 0, done.stderr
        assert "with the layered builder" in done.stderr
        assert "       in the Docker Engine" in done.stdout.splitlines()
        assert list((project.root / ".dags").glob("rides__v1_5_0__*_dag.py"))
    finally:
        dockerfile.write_text(_DOCKERFILE)
        engine.images.remove(f"{_REPOSITORY}:1.5.0", force=True)


def test_an_image_that_does_not_exist(project: Project) -> None:
    status, output = build_dags(project, "--in-image", BIGFLOW_VERSION="1.3.0")
    assert status == 1
    assert output.splitlines()[-2:] == [
        f"bigflow: error: the Docker Engine has no image {_REPOSITORY}:1.3.0",
        "  build it there: bigflow build-image (the layered builder needs --load)",
    ]


def test_an_image_without_bigflow(project: Project, engine: DockerClient, base_image: str) -> None:
    engine.images.get(base_image).tag(_REPOSITORY, "1.4.0")
    try:
        status, output = build_dags(project, "--in-image", BIGFLOW_VERSION="1.4.0")
    finally:
        engine.images.remove(f"{_REPOSITORY}:1.4.0")
    assert status == 1
    assert output.splitlines()[-2].endswith("No module named bigflow")


def test_no_engine(tmp_path: Path) -> None:
    project = write_project(
        tmp_path / "project",
        {
            "deployment_config.py": "from bigflow import DeploymentConfig\n"
            f"config = DeploymentConfig('dev', {{'docker_repository': '{_REPOSITORY}'}})\n",
        },
    )
    status, output = build_dags(project, "--in-image", DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert status == 1
    assert output.splitlines()[-2].startswith("bigflow: error: no Docker Engine answers at unix://")
    assert not os.path.lexists(project.root / ".dags")
