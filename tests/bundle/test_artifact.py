"""The artifact of DAG files: what the build writes, and what the bundle accepts."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_airflow import artifact
from bigflow_airflow import registry as client
from bigflow_airflow.artifact import fetch
from bigflow_airflow.errors import RegistryError
from bigflow_airflow.registry import Repository
from bigflow_backend.image.oci import canonical_json, sha256_digest
from support.bundles import oci_deployer
from support.descriptions import job, workflow
from support.faulty_registry import Failure, faulty

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.bundles import OciDeployer
    from support.registry import Registry

DAILY = workflow("daily", job("load"))
TYPE = artifact.ARTIFACT_TYPE


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_PAUSE_SECONDS", 0)


@pytest.fixture
def deployer(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OciDeployer]:
    monkeypatch.setenv("BIGFLOW_CACHE", str(tmp_path / "cache"))
    with oci_deployer(tmp_path, f"{registry.address}/team/{tmp_path.name}") as made:
        yield made


def repository(name: str) -> Repository:
    return Repository(name, credentials=lambda: None)


def archive(*entries: tarfile.TarInfo, content: bytes = b"") -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as files:
        for entry in entries:
            files.addfile(entry, io.BytesIO(content) if content else None)
    return output.getvalue()


def entry(name: str, **attributes: Any) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for attribute, value in attributes.items():
        setattr(made, attribute, value)
    return made


SPARSE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9" * 12}
ARCHIVES = {
    "a parent": archive(entry("../a.py")),
    "an absolute name": archive(entry("/tmp/a.py")),
    "a directory of its own": archive(entry("a/b.py")),
    "a hidden file": archive(entry(".airflowignore")),
    "an empty name": archive(entry("")),
    "a line": archive(entry("a\n.py")),
    "a directory": archive(entry("a", type=tarfile.DIRTYPE)),
    "a link": archive(entry("a.py", type=tarfile.SYMTYPE, linkname="/etc/passwd")),
    "a hard link": archive(entry("a.py", type=tarfile.LNKTYPE, linkname="/etc/passwd")),
    "a device": archive(entry("a.py", type=tarfile.CHRTYPE)),
    "twice": archive(entry("a.py"), entry("a.py")),
    "a sparse file": archive(entry("a.py", size=512, pax_headers=SPARSE), content=b"0" * 512),
    "no archive": b"x" * 1024,
    "half an archive": archive(entry("a.py", size=4096), content=b"x" * 4096)[:2048],
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_that_are_not_accepted(name: str, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(RegistryError):
        artifact._unpack(ARCHIVES[name], target)
    assert [f.name for f in tmp_path.iterdir()] == ["target"]
    assert all(f.is_file() and not f.is_symlink() for f in target.iterdir())


LAYER = {"mediaType": "x", "digest": "sha256:" + "0" * 64, "size": 1}
MANIFESTS: dict[str, Any] = {
    "a list": [],
    "no type": {"layers": [LAYER]},
    "an image": {"artifactType": "application/vnd.other", "layers": [LAYER]},
    "no layer": {"artifactType": TYPE, "layers": []},
    "layers in an object": {"artifactType": TYPE, "layers": {"0": LAYER}},
    "a wrong digest": {"artifactType": TYPE, "layers": [LAYER | {"digest": "sha256:../../x"}]},
    "a digest of a wrong type": {"artifactType": TYPE, "layers": [LAYER | {"digest": 1}]},
    "too large": {"artifactType": TYPE, "layers": [LAYER | {"size": 1 << 40}]},
    "a negative size": {"artifactType": TYPE, "layers": [LAYER | {"size": -1}]},
    "a size that is true": {"artifactType": TYPE, "layers": [LAYER | {"size": True}]},
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_that_are_not_accepted(name: str) -> None:
    with pytest.raises(RegistryError):
        artifact._layer(json.dumps(MANIFESTS[name]).encode())


def test_a_manifest_that_is_deep_or_not_json() -> None:
    for content in (b"[" * 100_000, b"\xff", b""):
        with pytest.raises(RegistryError):
            artifact._layer(content)


def test_damaged_content_is_fetched_again_and_then_refused(
    deployer: OciDeployer, registry: Registry, tmp_path: Path
) -> None:
    digest = deployer.deploy(DAILY, version="1.0.0")
    with faulty(registry.address) as proxy:
        reader = repository(deployer.repository.replace(registry.address, proxy.address))
        proxy.failures += [
            Failure("GET", "/manifests/", is_corrupt=True),
            Failure("GET", "/blobs/", status=503),
            Failure("GET", "/blobs/", drop_after=100),
        ]
        (tmp_path / "good").mkdir()
        fetch(reader, digest, tmp_path / "good")
        assert (tmp_path / "good" / "manifest.json").is_file()
        proxy.failures.append(Failure("GET", "/blobs/", is_corrupt=True, times=9))
        (tmp_path / "bad").mkdir()
        with pytest.raises(RegistryError, match=r"sent content that is not sha256:"):
            fetch(reader, digest, tmp_path / "bad")
    assert list((tmp_path / "bad").iterdir()) == []
    assert proxy.count("GET", "/blobs/") == 3 + 3


def test_content_that_is_larger_than_stated(registry: Registry, deployer: OciDeployer) -> None:
    large = canonical_json({"name": "x" * client.LARGEST_MANIFEST})
    digest = sha256_digest(large)
    with faulty(registry.address) as proxy:
        reader = repository(deployer.repository.replace(registry.address, proxy.address))
        proxy.failures += [
            Failure("GET", "/manifests/", status=200, body=large),
            Failure("GET", "/blobs/", status=200, body=b"0123456789"),
        ]
        with pytest.raises(RegistryError, match="more than"):
            reader.manifest(digest)
        with pytest.raises(RegistryError, match="more than 9 bytes"):
            reader.blob("sha256:" + hashlib.sha256(b"0123456789").hexdigest(), 9)
