"""The standard Dockerfile on builders of four makes: each gives the same image."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.files import unpack_tar
from bigflow_backend.image.dockerfile import STANDARD
from bigflow_backend.image.engine.context import context_files, write_context
from bigflow_backend.project.project import read_project
from support.distribution import make_wheel
from support.registry import installed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from docker import DockerClient

pytestmark = [pytest.mark.engine, pytest.mark.slow]

_TAG = "localhost/bigflow-test/standard:1.0.0"
_BASE = "localhost/bigflow-test/base:1"
_ARGUMENTS = {
    "BASE_IMAGE": _BASE,
    "VERSION": "1.0.0",
    "REVISION": "c0ffee",
    "SOURCE": "https://example.com/demo",
    "CREATED": "2020-02-02T00:00:00Z",
}
_OPTIONS = [f"--build-arg={name}={value}" for name, value in _ARGUMENTS.items()]
_PROGRAM = """\
import demo, importlib.metadata, json, os
print(json.dumps({
    "version": importlib.metadata.version("demo"),
    "identity": [os.getuid(), os.getgid(), os.getcwd()],
    "compiled": os.path.exists(demo.__cached__),
    "left behind": [p for p in ("/wheels", "/dist", "/requirements") if os.path.exists(p)],
}))
"""


@pytest.fixture
def context(tmp_path: Path, bigflow_wheels: Path) -> Path:
    """The build context, as the engine's builder makes it, unpacked."""
    root = tmp_path / "project"
    for name, text in {
        "Dockerfile": STANDARD.read_text("utf-8"),
        "demo/__init__.py": "",
        "pyproject.toml": '[project]\nname = "demo"\nversion = "1.0.0"\n',
        "resources/requirements.txt": "bigflow-backend\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    files = context_files(
        read_project(root),
        make_wheel(tmp_path / "dist", "demo", "1.0.0", {"demo/__init__.py": ""}),
        dockerfile=root / "Dockerfile",
        find_links=(bigflow_wheels,),
        additions=(),
    )
    with (tmp_path / "context.tar").open("wb") as output:
        write_context(files, output, epoch=0)
    with tarfile.open(tmp_path / "context.tar") as archive:
        unpack_tar(archive, tmp_path / "context")
    return tmp_path / "context"


@pytest.fixture
def storage() -> Iterator[list[str]]:
    """The options that give Podman and buildah a storage of their own."""
    # Podman takes no path of 50 characters or more: pytest's are longer.
    with tempfile.TemporaryDirectory(prefix="podman-") as home:
        yield ["--root", f"{home}/root", "--runroot", f"{home}/run", "--storage-driver", "vfs"]


@pytest.mark.parametrize("buildkit", ["0", "1"], ids=["classic", "BuildKit"])
def test_docker_builds_it(
    context: Path, engine: DockerClient, base_image: str, buildkit: str
) -> None:
    engine.images.get(base_image).tag(_BASE)
    # Debian's has the client of BuildKit built in; another may lack its plugin.
    docker = shutil.which("docker", path="/usr/bin") or installed("docker", package="docker.io")
    command: list[str | Path] = [
        docker,
        "build",
        "--network=host",
        f"--tag={_TAG}",
        *_OPTIONS,
        context,
    ]
    call(command, {"DOCKER_BUILDKIT": buildkit, "BUILDKIT_PROGRESS": "plain"})
    check_image(engine)


def test_buildah_builds_it(
    context: Path, engine: DockerClient, base_archive: str, storage: list[str], tmp_path: Path
) -> None:
    buildah = [installed("buildah", package="buildah"), *storage]
    call([*buildah, "pull", "--quiet", base_archive])
    call([*buildah, "tag", "localhost/bigflow-test/base:1", _BASE])
    # In a sandbox containers of its own may not be had; a chroot will do.
    isolated = ["--isolation=chroot", "--network=host"]
    call([*buildah, "bud", *isolated, f"--tag={_TAG}", *_OPTIONS, context])
    call([*buildah, "push", _TAG, f"docker-archive:{tmp_path}/image.tar:{_TAG}"])
    with (tmp_path / "image.tar").open("rb") as archive:
        engine.images.load(archive)
    check_image(engine)


def test_podman_builds_it(
    context: Path, engine: DockerClient, base_archive: str, storage: list[str], tmp_path: Path
) -> None:
    podman = [installed("podman", package="podman"), *storage]
    call([*podman, "load", "--quiet", "--input", base_archive.removeprefix("docker-archive:")])
    isolated = ["--isolation=chroot", "--network=host"]
    call([*podman, "build", *isolated, f"--tag={_TAG}", *_OPTIONS, context])
    call([*podman, "save", "--quiet", f"--output={tmp_path}/image.tar", _TAG])
    with (tmp_path / "image.tar").open("rb") as archive:
        engine.images.load(archive)
    check_image(engine)


def call(command: list[str | Path], environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def check_image(engine: DockerClient) -> None:
    """The content that all builders must give."""
    try:
        config = engine.images.get(_TAG).attrs["Config"]
        assert config["User"] == "10001:10001"
        assert config["Cmd"] == ["python", "-m", "bigflow", "--help"]
        assert {k: config["Labels"][f"org.opencontainers.image.{k}"] for k in _LABELS} == _LABELS
        command = ["python", "-c", _PROGRAM]
        found = engine.containers.run(_TAG, command, network_mode="none", remove=True)
        assert json.loads(found) == {
            "version": "1.0.0",
            "identity": [10001, 10001, "/home/app"],
            "compiled": True,
            "left behind": [],
        }
    finally:
        engine.images.remove(_TAG, force=True)


_LABELS = {name.lower(): value for name, value in _ARGUMENTS.items() if name != "BASE_IMAGE"}
