"""One image for several platforms: its index, its layers, and the errors of one platform."""

from __future__ import annotations

import json
import platform
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.registry import Registries, push_image
from support.distribution import make_wheel
from support.images import small_index
from support.layered import make_sdist
from support.registry import installed

if TYPE_CHECKING:
    from pathlib import Path

    from bigflow_backend.image.store.blobs import BlobStore
    from support.layered import LayeredProject
    from support.registry import Registry

_BOTH = ("linux/amd64", "linux/arm64")
_MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}


@pytest.fixture
def both(layered_project: LayeredProject, registry: Registry, store: BlobStore) -> LayeredProject:
    """A project whose base is for two platforms, with a wheel for each and one for both."""
    layered_project.base = _pushed_base(registry, store, "amd64", "arm64")
    for machine in _MACHINES.values():
        text = f"MACHINE = {machine!r}\n"
        tag = f"py3-none-manylinux_2_17_{machine}"
        make_wheel(layered_project.wheels, "fast", "1.0", {"fast.py": text}, tag=tag)
    make_wheel(layered_project.wheels, "plain", "1.0", {"plain.py": ""})
    layered_project.require("fast", "plain")
    layered_project.options = {"platforms": _BOTH}
    return layered_project


def _pushed_base(registry: Registry, store: BlobStore, *architectures: str) -> str:
    index = small_index(store, *architectures, version=platform.python_version())
    name = f"{registry.address}/base/{'-'.join(architectures)}:1"
    with Registries() as registries:
        push_image(index, name, store=store, registries=registries)
    return name


def test_one_push_is_one_index(both: LayeredProject, registry: Registry, tmp_path: Path) -> None:
    image = both.build(push=True, repository=f"{registry.address}/team/both")
    skopeo = installed("skopeo", package="skopeo")
    index = json.loads(_skopeo(skopeo, "inspect", "--raw", f"docker://{image.tag}"))
    assert [m["platform"] for m in index["manifests"]] == [
        {"os": "linux", "architecture": name.removeprefix("linux/")} for name in _BOTH
    ]
    info = both.info(image)
    assert info["digest"] == image.digest
    assert [(p["platform"], p["digest"]) for p in info["platforms"]] == [
        (name, manifest["digest"]) for name, manifest in zip(_BOTH, index["manifests"], strict=True)
    ]
    assert info["platform"] in _BOTH
    assert image.platforms == _BOTH
    layers = []
    for name in _BOTH:
        target = tmp_path / name.replace("/", "-")
        architecture = name.removeprefix("linux/")
        source = ("--override-arch", architecture, "copy", f"docker://{image.tag}")
        _skopeo(skopeo, *source, "--src-tls-verify=false", f"dir:{target}")
        manifest = json.loads((target / "manifest.json").read_text("utf-8"))
        config = json.loads(_blob(target, manifest["config"]))
        assert config["architecture"] == architecture
        layers.append({layer["digest"] for layer in manifest["layers"]})
        bill = image.info.with_name(f"image-1.0.0-{architecture}.cdx.json").read_text("utf-8")
        assert manifest_id(manifest) in bill
    # The wheel for all platforms, the environment, and the project are the same layers.
    assert len(layers[0] & layers[1]) >= 3


def manifest_id(manifest: dict[str, Any]) -> str:
    found: str = manifest["config"]["digest"]
    return found


def _blob(directory: Path, descriptor: dict[str, Any]) -> bytes:
    digest: str = descriptor["digest"]
    return (directory / digest.removeprefix("sha256:")).read_bytes()


def _skopeo(skopeo: str, *arguments: str) -> str:
    unsafe = ["--tls-verify=false"] if arguments[0] == "inspect" else []
    command = [skopeo, "--insecure-policy", *arguments, *unsafe]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_order_of_the_platforms_does_not_count(both: LayeredProject) -> None:
    first = both.build()
    turned = both.build(platforms=(*reversed(_BOTH), _BOTH[0]))
    assert first.digest == turned.digest
    one = both.build(platforms=(_BOTH[0], _BOTH[0]))
    assert one.digest not in {None, first.digest}
    assert one.platforms == _BOTH[:1]
    assert both.info(one)["platforms"] is None


@pytest.mark.slow
def test_files_have_both_and_docker_loads_one(both: LayeredProject, tmp_path: Path) -> None:
    image = both.build(oci_layout=True)
    content = both.files(image)  # of the docker-archive
    machine = _MACHINES[f"linux/{content.config['architecture']}"]
    assert platform.machine() == machine
    (fast,) = (f for name, f in content.files.items() if name.endswith("/fast.py"))
    assert fast.content == f"MACHINE = {machine!r}\n".encode()
    layout = image.info.with_name("oci-layout-1.0.0")
    assert (layout / "index.json").is_file()
    skopeo = installed("skopeo", package="skopeo")
    for source in (f"oci-archive:{image.tar}", f"oci:{layout}"):
        target = tmp_path / source.partition(":")[0]
        _skopeo(skopeo, "copy", "--all", source, f"oci:{target}:x")
        (entry,) = json.loads((target / "index.json").read_text("utf-8"))["manifests"]
        assert entry["digest"] == image.digest
    # It is a base of each platform. A build replaces .image/.
    base = layout.rename(tmp_path / "base")
    for name in _BOTH:
        config = both.files(both.build(base_image=f"oci:{base}", platforms=(name,))).config
        assert name == f"linux/{config['architecture']}"


def test_wheels_for_one_platform_and_a_base_for_one(
    both: LayeredProject, registry: Registry, store: BlobStore
) -> None:
    both.require("fast", "narrow")
    tag = "py3-none-manylinux_2_17_x86_64"
    make_wheel(both.wheels, "narrow", "3.1", {"narrow.py": ""}, tag=tag)
    error = _refused(both)
    assert error.message.startswith("for linux/arm64: cannot install the dependencies: ")
    assert "narrow" in error.message
    # An sdist that compiles does not help.
    make_sdist(both.wheels, "narrow", "3.1", tag="cp39-cp39-linux_x86_64")
    error = _refused(both)
    assert error.message == (
        "for linux/arm64: narrow==3.1 has no wheel for the image, and cannot be built here"
    )
    assert "find-links" in error.hint
    assert "engine" not in error.hint
    both.base = _pushed_base(registry, store, "arm64")
    error = _refused(both)
    assert "has no image for linux/amd64; it has linux/arm64" in error.message


def _refused(project: LayeredProject, **options: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        project.build(**{"builder": "auto", **options})
    assert not (project.root / ".image").exists()
    return caught.value


def test_an_engine_builds_one_at_a_time(both: LayeredProject) -> None:
    message = "an engine builds one platform at a time: got linux/amd64, linux/arm64"
    assert _refused(both, builder="engine").message == message
    both.write({"Dockerfile": "FROM scratch\n"})
    assert message in _refused(both).message


def test_a_compiled_project(both: LayeredProject) -> None:
    machine = platform.machine()
    error = _refused(both, tag=f"cp39-abi3-linux_{machine}")
    other = next(name for name, m in _MACHINES.items() if m != machine)
    assert error.message == (
        f"demo-1.0.0-cp39-abi3-linux_{machine}.whl is compiled, and not for {other}"
    )
