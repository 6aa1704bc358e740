"""``make demo``: build wheel, image and DAGs of the sample project, run a job, and rehearse.

The Makefile makes the virtual environment for it. It does not need Docker, but loads the image into
a reachable engine. The base image is the one of the Dockerfile if its registry answers, or else is
made of this machine's Debian packages. Without both, the demo builds wheel and DAGs only.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from bigflow_backend.ground.errors import UserError

_REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(_REPOSITORY / "tests"))

SAMPLE = _REPOSITORY / "sample_project"
WHEELS = Path(sys.prefix) / "wheels"
BIGFLOW = Path(sys.prefix) / "bin" / "bigflow"
JOB = ("run", "--job", "daily_normals.report", "--runtime", "2026-01-01 00:00:00")
JOB_OPTIONS = ("--project-package", "project_package", "--config", "dev")
REAL_BASE = "python:3.12-slim-bookworm"
OWN_BASE = Path(sys.prefix) / "base.tar"


def main() -> int:
    environment = version_environment()
    has_engine = engine_is_reachable()
    try:
        base = base_image()
    except LookupError as reason:
        made = build_without_image(environment)
        result, image_line = run_job_here(), f"not built: {reason}"
    else:
        step("bigflow build: tests, wheel, image, DAGs")
        options = ["--base-image", base, "--find-links", str(WHEELS)]
        options += ["--load"] if has_engine else []
        made = built("build", *options, environment=environment)
        result = run_job_in_image(made["image"]["tag"]) if has_engine else run_job_here()
        image_line = ""
        rehearse()
    print_results(made, result, image_line)
    return 0


def engine_is_reachable() -> bool:
    from bigflow_backend.image.engine.client import reachable_engine

    step("Looking for a Docker Engine")
    try:
        with reachable_engine(timeout=60) as client:
            print(f"   found version {client.version()['Version']}: it gets the image, too")
    except UserError as error:
        print(f"   {error.message}; the demo does not need one")
        return False
    return True


def base_image() -> str:
    """Return the name of the Dockerfile's base image, or else of one made on this machine.

    :raises LookupError: if neither is possible.
    """
    from bigflow_backend.image.reference import remote_name
    from bigflow_backend.image.registry import Access, Registries, fetch_manifest
    from bigflow_backend.image.store.blobs import open_store
    from support.base_image import write_base_archive
    from support.debian import DebianError

    step(f"Looking for the base image {REAL_BASE}")
    quick = Access(connect_timeout=5, attempts=1)
    try:
        with open_store() as store, Registries(quick) as registries:
            fetch_manifest(remote_name(REAL_BASE), store=store, registries=registries)
    except UserError as error:
        print(f"   {error.message}")
        missing = error.message
    else:
        print("   its registry has it")
        return REAL_BASE
    step("Making a base image of this machine's Debian packages")
    try:
        write_base_archive(OWN_BASE, "bigflow-demo/python:debian")
    except DebianError as error:
        raise LookupError(f"{missing}, and {error}") from error
    print(f"   {OWN_BASE.relative_to(_REPOSITORY)}  {OWN_BASE.stat().st_size / 1e6:.1f} MB")
    return f"docker-archive:{OWN_BASE}"


def version_environment() -> dict[str, str]:
    """Return variables with a version for the sample project, if git has none for it."""
    asked = bigflow("project-version", check=False)
    if asked.returncode == 0:
        return {}
    why = asked.stderr.splitlines()[0].removeprefix("bigflow: error: ")
    print(f"   git has no version ({why}), so the version is 0.0+demo")
    return {"BIGFLOW_VERSION": "0.0+demo"}


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


def rehearse() -> None:
    """Rehearse the daily workflow. Where no Airflow can be installed, the demo goes on."""
    step("bigflow rehearse daily_normals: a real Airflow, with pods in the image")
    done = subprocess.run([BIGFLOW, "rehearse", "daily_normals"], cwd=SAMPLE, check=False)
    if done.returncode:
        print("   the rehearsal did not succeed; the demo goes on")


def bigflow(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIGFLOW, *arguments], cwd=SAMPLE, capture_output=True, text=True, check=check
    )


def print_results(made: dict[str, Any], result: str, image_line: str) -> None:
    print("\nThe job printed:")
    for line in result.splitlines():
        print(f"   {line}")
    print("\nThe results in sample_project/:")
    show("wheel", made["wheel"]["path"])
    image = made.get("image")
    if image:
        show("image", image["tar"])
        print(f"          {image['tag']}")
    else:
        print(f"   image  {image_line}")
    for file in made["dags"]["files"]:
        show("DAG", file["path"])
    print("\nNext, in sample_project/:")
    if image:
        if not image["in_engine"]:
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
