"""``make demo``: the sample project becomes a wheel, an image and DAGs; one of its jobs runs.

Runs in the virtual environment that the Makefile makes. With a Docker Engine that is reachable, or
one that it can install and start (as root on Debian or Ubuntu), it builds everything; else the
wheel and the DAGs, and says what the image needs.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

_REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(_REPOSITORY / "tests"))

if TYPE_CHECKING:
    from docker import DockerClient

    from support.engine import Engine

SAMPLE = _REPOSITORY / "sample_project"
WHEELS = Path(sys.prefix) / "wheels"
BIGFLOW = Path(sys.prefix) / "bin" / "bigflow"
JOB = ("run", "--job", "daily_normals.report", "--runtime", "2026-01-01 00:00:00")
JOB_OPTIONS = ("--project-package", "project_package", "--config", "dev")
REAL_BASE = "python:3.12-slim-bookworm"
OWN_BASE = "bigflow-demo/python:debian"


def main() -> int:
    from support.engine import docker_engine

    step("Looking for a Docker Engine")
    environment = version_environment()
    with docker_engine(log=step) as engine:
        print(f"   {engine.note}")
        if engine.url is None:
            made = build_without_image(environment)
            result = run_job_here()
            reason = engine.note.removeprefix("no Docker Engine: ")
            image_line = f"not built; it needs a Docker Engine, and {reason}"
        else:
            made = build_all(engine, environment)
            result = run_job_in_image(made["image"]["tag"])
            image_line = ""
    tell(made, result, image_line, engine_is_gone=engine.is_private)
    return 0


def version_environment() -> dict[str, str]:
    """The sample project takes its version from this repository, where that has its history."""
    asked = bigflow("project-version", check=False)
    if asked.returncode == 0:
        return {}
    why = asked.stderr.splitlines()[0].removeprefix("bigflow: error: ")
    print(f"   git gives no version here ({why}), so this is 0.0+demo")
    return {"BIGFLOW_VERSION": "0.0+demo"}


def build_all(engine: Engine, environment: dict[str, str]) -> dict[str, Any]:
    import docker

    with contextlib.closing(docker.from_env(timeout=60)) as client:
        base = base_image(client)
    options = ["--base-image", base, "--find-links", str(WHEELS)]
    if engine.is_private or base == OWN_BASE:
        # A private engine gives RUN steps no network of their own; pip needs one.
        options += ["--network", "host"]
    step("bigflow build: tests, wheel, image, DAGs")
    return built("build", *options, environment=environment)


def base_image(client: DockerClient) -> str:
    """The Dockerfile's own base image where it can be had, else one of this machine's files."""
    from docker.errors import DockerException, ImageNotFound
    from requests import RequestException

    from support.base_image import make_base_image

    step(f"Getting the base image {REAL_BASE}")
    try:
        client.images.get(REAL_BASE)
    except ImageNotFound:
        try:
            client.images.pull(REAL_BASE)
        except (DockerException, RequestException):
            print("   no registry can be reached; making one of this machine's Debian packages")
            make_base_image(client, OWN_BASE)
            return OWN_BASE
    print(f"   {REAL_BASE}")
    return REAL_BASE


def build_without_image(environment: dict[str, str]) -> dict[str, Any]:
    step("bigflow build-package and build-dags: tests, wheel, DAGs")
    return {
        **built("build-package", environment=environment),
        "dags": built("build-dags", environment=environment)["dags"],
    }


def built(command: str, *options: str, environment: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [BIGFLOW, command, *options, "--json"],
        cwd=SAMPLE,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.returncode)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def run_job_in_image(tag: str) -> str:
    import docker

    step("Running a job in the image")
    command = ["python", "-m", "bigflow", *JOB, *JOB_OPTIONS]
    with contextlib.closing(docker.from_env(timeout=60)) as client:
        output = client.containers.run(tag, command, network_mode="none", remove=True)
    return bytes(output).decode()


def run_job_here() -> str:
    step("Running a job in this environment")
    return bigflow(*JOB, *JOB_OPTIONS).stdout


def bigflow(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIGFLOW, *arguments], cwd=SAMPLE, capture_output=True, text=True, check=check
    )


def tell(made: dict[str, Any], result: str, image_line: str, *, engine_is_gone: bool) -> None:
    print("\nThe job printed:")
    for line in result.splitlines():
        print(f"   {line}")
    print("\nMade in sample_project/:")
    show("wheel", made["wheel"]["path"])
    image = made.get("image")
    if image:
        show("image", image["tar"])
        print(f"          {image['tag']}")
    else:
        print(f"   image  {image_line}")
    for file in made["dags"]["files"]:
        show("DAG", file["path"])
    after = ", with a Docker Engine (the private one has ended)" if engine_is_gone else ""
    print(f"\nNext, in sample_project/{after}:")
    if image:
        print(f"   docker load --input {image['tar']}")
        print(f"   docker run {image['tag']} python -m bigflow {' '.join(JOB[:3])} \\")
        print(f"     --runtime '{JOB[-1]}' {' '.join(JOB_OPTIONS)}")
    else:
        print(f"   {BIGFLOW} run --job daily_normals.temperature --config prod")


def show(what: str, path: str) -> None:
    size = (SAMPLE / path).stat().st_size
    print(f"   {what:<6} {path}  {size / 1000:,.1f} kB")


def step(text: str) -> None:
    print(f"== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
