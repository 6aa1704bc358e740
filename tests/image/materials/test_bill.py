"""The bill of materials of an image, and the annotations of its manifest."""

from __future__ import annotations

import hashlib
import json
import platform
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from bigflow_backend.image.registry import Registries, push_image
from bigflow_backend.image.store.blobs import open_store
from support.distribution import make_wheel
from support.images import make_image, small_base
from support.layered import make_sdist

if TYPE_CHECKING:
    from pathlib import Path

    from bigflow_backend.image.image import PublishedImage
    from support.layered import LayeredProject
    from support.registry import Registry

_STATUS = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2.3+a~b\n"
_RELEASE = 'ID=debian\nVERSION_ID="12"\n'


def test_wheels_and_packages_of_the_base(layered_project: LayeredProject, tmp_path: Path) -> None:
    minor = platform.python_version().rpartition(".")[0]
    site = f"usr/local/lib/python{minor}/site-packages"
    base = _base(tmp_path / "debian.tar", {f"{site}/kept-1.5.dist-info/METADATA": "Name: kept\n"})
    make_wheel(layered_project.wheels, "My.Library", "2.0+local", {"library.py": ""})
    layered_project.require("My.Library")
    wheels = {hashlib.sha256(w.read_bytes()).hexdigest() for w in layered_project.wheels.iterdir()}
    image = layered_project.build(base_image=base)
    bill = _bill(image)
    assert [(c["name"], c.get("version"), c.get("purl")) for c in bill["components"]] == [
        ("demo", "1.0.0", "pkg:pypi/demo@1.0.0"),
        ("bigflow-backend", "0.1.0", "pkg:pypi/bigflow-backend@0.1.0"),
        ("my-library", "2.0+local", "pkg:pypi/my-library@2.0%2Blocal"),
        ("kept", "1.5", "pkg:pypi/kept@1.5"),
        ("debian", "12", None),
        ("libc6", "1:2.3+a~b", "pkg:deb/debian/libc6@1:2.3%2Ba~b?arch=amd64&distro=debian-12"),
    ]
    hashes = bill["components"][0]["hashes"]
    assert hashes == [{"alg": "SHA-256", "content": layered_project.info(image)["wheel"]["sha256"]}]
    for component in bill["components"][1:3]:
        assert component["hashes"][0]["content"] in wheels
    described = bill["metadata"]["component"]
    assert (described["bom-ref"], described["version"]) == (image.id, "1.0.0")


def test_equal_images_have_equal_bills(layered_project: LayeredProject, tmp_path: Path) -> None:
    base = _base(tmp_path / "debian.tar")
    texts = []
    for _ in range(2):
        image = layered_project.build(base_image=base)
        texts.append(_bill_path(image).read_bytes())
    assert texts[0] == texts[1]
    changed = layered_project.build(base_image=base, files={"demo/__init__.py": "TEXT = 'new'\n"})
    assert _bill(changed)["serialNumber"] != json.loads(texts[0])["serialNumber"]


def test_the_hash_is_that_of_the_installed_wheel(layered_project: LayeredProject) -> None:
    """The version has two wheels that suit the image, and uv installs the more specific one."""
    name = make_wheel(layered_project.wheels, "library", "1.0", {"library.py": ""})
    special = _retagged(name, "py3-none-manylinux_2_17_x86_64")
    layered_project.require("library")
    bill = _bill(layered_project.build())
    (hashes,) = (c["hashes"] for c in bill["components"] if c["name"] == "library")
    assert hashes[0]["content"] == hashlib.sha256(special.read_bytes()).hexdigest()


def test_a_distribution_that_was_built_here_has_no_hash(layered_project: LayeredProject) -> None:
    make_sdist(layered_project.wheels, "library", "1.0")
    layered_project.require("library")
    bill = _bill(layered_project.build())
    (component,) = (c for c in bill["components"] if c["name"] == "library")
    assert "hashes" not in component
    missing = {"name": "bigflow:missing", "value": "the hashes of 1 of 2 wheels"}
    assert missing in bill["metadata"]["component"]["properties"]


def test_rpm_packages_are_reported_as_missing(
    layered_project: LayeredProject, tmp_path: Path
) -> None:
    base = small_base(
        tmp_path / "rpm.tar",
        version=platform.python_version(),
        files={"usr/lib/sysimage/rpm/rpmdb.sqlite": "binary", "etc/os-release": "ID=fedora\n"},
    )
    bill = _bill(layered_project.build(base_image=base))
    properties = bill["metadata"]["component"]["properties"]
    assert {"name": "bigflow:missing", "value": "the rpm packages"} in properties
    assert [line for line in layered_project.said if "the rpm packages" in line]


def test_the_annotations_of_the_manifest(
    layered_project: LayeredProject, registry: Registry, tmp_path: Path
) -> None:
    with tarfile.open(
        small_base(tmp_path / "b.tar", version=platform.python_version())[15:]
    ) as tar:
        (layer,) = (m for m in tar.getmembers() if m.name.endswith("/layer.tar"))
        content = tar.extractfile(layer).read()  # type: ignore[union-attr]
    name = f"{registry.address}/team/annotated:1"
    with open_store(tmp_path / "made") as store, Registries() as registries:
        base = make_image(
            store, content, config_changes={"config": {"Env": ["PATH=/usr/local/bin"]}}
        )
        push_image(base, name, store=store, registries=registries)
    image = layered_project.build(base_image=name, oci_layout=True)
    assert _annotations(image) == {
        "org.opencontainers.image.version": "1.0.0",
        "org.opencontainers.image.revision": "c0ffee",
        "org.opencontainers.image.created": _annotations(image)["org.opencontainers.image.created"],
        "org.opencontainers.image.base.name": name,
        "org.opencontainers.image.base.digest": base.digest,
    }
    # A path of this machine is not in the manifest.
    local = layered_project.build(oci_layout=True)
    assert not [name for name in _annotations(local) if ".base." in name]


def _retagged(wheel: Path, tag: str) -> Path:
    """Return a copy of a wheel with another tag, in its name and in WHEEL."""
    path = wheel.with_name(wheel.name.replace("py3-none-any", tag))
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("/WHEEL"):
                content = content.replace(b"py3-none-any", tag.encode())
            if not name.endswith("/RECORD"):
                new.writestr(name, content)
        rows = [*new.namelist(), next(n for n in old.namelist() if n.endswith("/RECORD"))]
        new.writestr(rows[-1], "".join(f"{row},,\n" for row in rows))
    return path


def _base(path: Path, files: dict[str, str] | None = None) -> str:
    contents = {"var/lib/dpkg/status": _STATUS, "etc/os-release": _RELEASE, **(files or {})}
    return small_base(path, version=platform.python_version(), files=contents)


def _bill_path(image: PublishedImage) -> Path:
    return image.info.with_name(f"image-{image.version}.cdx.json")


def _bill(image: PublishedImage) -> Any:
    text = _bill_path(image).read_text("utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    return json.loads(text)


def _annotations(image: PublishedImage) -> dict[str, str]:
    assert image.layout is not None
    digest = str(image.digest).removeprefix("sha256:")
    manifest = json.loads((image.layout / "blobs" / "sha256" / digest).read_bytes())
    found: dict[str, str] = manifest["annotations"]
    return found
