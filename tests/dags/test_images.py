"""Names of the image in DAG files: the tag or, after a push, the digest."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.imageinfo import pushed_digest
from support.descriptions import DagProject, workflow

if TYPE_CHECKING:
    from pathlib import Path

    from support.flows import Flows
    from support.layered import LayeredProject
    from support.registry import Registry


@pytest.fixture
def options(layered_project: LayeredProject) -> list[str]:
    """Return options of a build without engine and network."""
    return [
        *("--builder=layered", f"--base-image={layered_project.base}"),
        *(f"--find-links={layered_project.wheels}", "--platform=linux/amd64"),
    ]


@pytest.fixture
def built(flows: Flows, registry: Registry) -> Flows:
    """Return a project with a real registry; ``prod`` has a repository of its own."""
    flows.project.write(
        {
            "deployment_config.py": f"""\
from bigflow import DeploymentConfig

deployment_config = DeploymentConfig(
    "dev", {{"docker_repository": "{registry.address}/rides-dev"}}
).add_configuration("prod", {{"docker_repository": "{registry.address}/rides"}})
""",
            "resources/requirements.txt": "bigflow-backend\n",
        }
    )
    return flows


def image(flows: Flows) -> str:
    """Return the name of the image, which is equal in all files."""
    task = flows.source("good").tasks["load"]
    manifest = json.loads((flows.dags / "manifest.json").read_text("utf-8"))
    names = {
        task["image"],
        task["env_vars"]["BIGFLOW_IMAGE"],
        manifest["image"],
        (flows.dags / "image_version.txt").read_text("utf-8").strip(),
    }
    (reference,) = names
    return str(reference)


def digest_in(registry: Registry, repository: str) -> str:
    url = f"http://{registry.address}/v2/{repository}/manifests/1.2.0"
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=accept)) as answer:
        return str(answer.headers["Docker-Content-Digest"])


@pytest.mark.parametrize("commands", [("build",), ("build-image", "build-dags")])
def test_a_pushed_image_is_named_by_the_digest_of_the_registry(
    built: Flows, registry: Registry, options: list[str], commands: tuple[str, ...]
) -> None:
    for command in commands:
        of_image = [*options, "--push"] if command != "build-dags" else []
        done = built.project.run("-m", "bigflow", command, *of_image, "--config=prod")
        assert done.returncode == 0, done.stderr
    digest = digest_in(registry, "rides")
    assert image(built) == f"{registry.address}/rides:1.2.0@{digest}"
    # The image of dev was not pushed, so it has no known digest.
    built.build()
    assert image(built) == f"{registry.address}/rides-dev:1.2.0"


def test_an_image_that_was_not_pushed_is_named_by_its_tag(
    built: Flows, registry: Registry, options: list[str]
) -> None:
    done = built.project.run("-m", "bigflow", "build", *options)
    assert done.returncode == 0, done.stderr
    assert image(built) == f"{registry.address}/rides-dev:1.2.0"
    built.build()
    assert image(built) == f"{registry.address}/rides-dev:1.2.0"


def test_an_ipv6_registry(tmp_path: Path) -> None:
    made = DagProject.make(tmp_path).build(workflow("daily"), image="[::1]:5000/team/rides:1.2.0")
    assert made.image == "[::1]:5000/team/rides:1.2.0"


@pytest.mark.parametrize(
    ("digest", "problem"),
    [
        ("sha256:abc", ": the digest 'sha256:abc' is not valid"),
        ("sha256:" + "A" * 64, ": the digest .* is not valid"),
        (12, " has digest, which is not a string"),
    ],
)
def test_an_invalid_digest_in_imageinfo(tmp_path: Path, digest: object, problem: str) -> None:
    info = tmp_path / "imageinfo-1.2.0.json"
    info.write_text(json.dumps({"tag": "rides:1.2.0", "pushed": True, "digest": digest}))
    with pytest.raises(UserError, match=rf"imageinfo-1\.2\.0\.json{problem}"):
        pushed_digest(info, "rides:1.2.0")
