"""Podman, skopeo and oras read our images."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from uv import find_uv_bin

from support.registry import installed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bigflow_backend.image.image import PublishedImage
    from support.layered import LayeredProject
    from support.registry import Registry

pytestmark = [pytest.mark.engine, pytest.mark.slow]

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
# https://oras-project.github.io/oras-py/
_ORAS = """\
import sys
from oras.client import OrasClient
from oras.layout import Layout

layout, target, tag = sys.argv[1:]
Layout(layout).push_to_registry(OrasClient(insecure=True), target, tag)
"""


@pytest.fixture
def image(layered_project: LayeredProject) -> PublishedImage:
    """An image with an archive and a layout, of a project with a script and resources."""
    return layered_project.build(
        files={"demo/resources/query.sql": "select 1\n"}, version="1.2.0", oci_layout=True
    )


def run(*command: str | Path) -> bytes:
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def manifest_in(registry: Registry, path: str, tag: str) -> bytes:
    url = f"http://{registry.address}/v2/{path}/manifests/{tag}"
    with urllib.request.urlopen(
        urllib.request.Request(url, headers={"Accept": _MANIFEST})
    ) as answer:
        content: bytes = answer.read()
    return content


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def podman() -> Iterator[tuple[str | Path, ...]]:
    """Podman with a storage of its own: that of the user stays as it is."""
    program = installed("podman", package="podman")
    # Podman takes no path of 50 characters or more: pytest's are longer.
    with tempfile.TemporaryDirectory(prefix="podman-") as name:
        home = Path(name)
        options = ("--root", home / "root", "--runroot", home / "run", "--storage-driver", "vfs")
        command = (program, *options)
        yield command
        run(*command, "rm", "--all", "--force")
        run(*command, "rmi", "--all", "--force")


def test_podman_loads_it(
    image: PublishedImage, podman: tuple[str | Path, ...], tmp_path: Path
) -> None:
    assert image.tar is not None
    assert image.tag in run(*podman, "load", "--quiet", "--input", image.tar).decode()
    (found,) = json.loads(run(*podman, "image", "inspect", image.tag))
    assert f"sha256:{found['Id']}" == image.id
    assert found["User"] == "10001:10001"
    assert found["Config"]["WorkingDir"] == "/home/app"
    assert found["Labels"]["org.opencontainers.image.version"] == "1.2.0"
    # Podman has compared each layer with its diff_id; here is what came of them.
    container = run(*podman, "create", image.tag, "true").decode().strip()
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    run(*podman, "cp", f"{container}:/app/lib/{python}/site-packages/demo", tmp_path / "copied")
    assert (tmp_path / "copied" / "__init__.py").read_text() == "TEXT = 'first'\n"
    assert (tmp_path / "copied" / "resources" / "query.sql").read_text() == "select 1\n"


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive", "oci"])
def test_skopeo_reads_it(image: PublishedImage, kind: str) -> None:
    skopeo = installed("skopeo", package="skopeo")
    assert image.tar is not None
    assert image.layout is not None
    place = f"{kind}:{image.layout if kind == 'oci' else image.tar}"
    if kind != "docker-archive":
        place += ":1.2.0"
        assert digest_of(run(skopeo, "inspect", "--raw", place)) == image.digest
    found: dict[str, Any] = json.loads(run(skopeo, "inspect", place))
    assert found["Architecture"] == "amd64"
    assert found["Labels"]["org.opencontainers.image.revision"] == "c0ffee"
    config = run(skopeo, "inspect", "--config", "--raw", place)
    assert digest_of(config) == image.id


@pytest.mark.parametrize("kind", ["oci-archive", "oci"])
def test_skopeo_copies_it_as_it_is(image: PublishedImage, registry: Registry, kind: str) -> None:
    skopeo = installed("skopeo", package="skopeo")
    place = image.layout if kind == "oci" else image.tar
    run(skopeo, "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false",
        f"{kind}:{place}:1.2.0", f"docker://{registry.address}/tools/skopeo-{kind}:1")  # fmt: skip
    assert digest_of(manifest_in(registry, f"tools/skopeo-{kind}", "1")) == image.digest


@pytest.mark.parametrize("kind", ["layout", "tar"])
def test_oras_pushes_it(
    image: PublishedImage, registry: Registry, tmp_path: Path, kind: str
) -> None:
    environment = tmp_path / "oras"
    python = environment / "bin" / "python"
    run(find_uv_bin(), "venv", "--quiet", environment)
    run(find_uv_bin(), "pip", "install", "--quiet", "--python", python, "oras>=0.2.43,<0.3")
    layout = image.layout
    if kind == "tar":
        assert image.tar is not None
        layout = tmp_path / "unpacked"
        run("tar", "-x", "-f", image.tar, f"--one-top-level={layout}")
    assert layout is not None
    run(python, "-c", _ORAS, layout, f"{registry.address}/tools/oras-{kind}:1", "1.2.0")
    assert digest_of(manifest_in(registry, f"tools/oras-{kind}", "1")) == image.digest
