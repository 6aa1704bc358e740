"""Deployments under a tag of a registry, which Airflow's DAG bundle reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bigflow_airflow.artifact import fetch
from bigflow_airflow.registry import Repository
from bigflow_backend.deployment.act import Project
from bigflow_backend.deployment.deploy import earlier_deployment, live_part
from bigflow_backend.deployment.registry import RegistryFolder, moving_tag, open_registry
from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.reference import remote_name
from bigflow_backend.image.registry import push_image
from bigflow_backend.project.settings import ImageSettings
from support.bundles import OciDeployer, oci_deployer
from support.descriptions import job, workflow
from support.faulty_registry import Failure, faulty
from support.images import make_image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.registry import Registry

DAILY = workflow("daily", job("load"))
HOURLY = workflow("hourly", job("load"))


@pytest.fixture
def deployer(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OciDeployer]:
    monkeypatch.setenv("BIGFLOW_CACHE", str(tmp_path / "cache"))
    with oci_deployer(tmp_path, f"{registry.address}/team/{tmp_path.name}") as made:
        yield made


def test_airflow_reads_what_is_deployed(deployer: OciDeployer, tmp_path: Path) -> None:
    digest = deployer.deploy(DAILY, HOURLY, version="1.2.0+dirty")
    reader = Repository(deployer.repository, credentials=lambda: None)
    assert reader.digest("dags") == digest
    fetch(reader, digest, tmp_path)
    current = deployer.place.current()
    assert current is not None
    assert {f.name: f.read_text() for f in tmp_path.glob("*.py")} == current.texts
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert [dag["workflow"] for dag in manifest["dags"]] == ["daily", "hourly"]
    assert reader.digest(f"dags.{current.id}") == digest
    artifact = json.loads(reader.manifest(digest))
    image = current.manifest.image.partition("@")[2]
    assert artifact["subject"]["digest"] == image
    assert artifact["annotations"]["org.opencontainers.image.version"] == "1.2.0+dirty"


def test_history_and_rollback(deployer: OciDeployer) -> None:
    first = deployer.deploy(DAILY, version="1.0.0")
    second = deployer.deploy(DAILY, version="2.0.0")
    assert deployer.deploy(DAILY, version="2.0.0") == second  # nothing has changed
    earlier = earlier_deployment(deployer.place, None)
    assert earlier.manifest.version == "1.0.0"
    third = deployer.release(live_part(earlier.manifest), action="rollback")
    assert first != second
    history = list(deployer.place.history())
    assert [(d.manifest.version, d.action) for d in history] == [
        ("1.0.0", "rollback"),
        ("2.0.0", "deploy"),
        ("1.0.0", "deploy"),
    ]
    assert history[0].texts == history[2].texts
    assert third == deployer.current_digest() != second


@pytest.mark.slow
def test_a_workflow_that_is_gone_stays_until_its_runs_have_ended(deployer: OciDeployer) -> None:
    deployer.deploy(DAILY, HOURLY, version="1.0.0")
    deployer.deploy(DAILY, version="2.0.0")
    current = deployer.place.current()
    assert current is not None
    assert sorted(current.texts) == ["daily_dag.py", "hourly_dag.py"]
    assert "retired" in current.texts["hourly_dag.py"]


@pytest.mark.slow
@pytest.mark.parametrize("path", ["manifests/dags[.]2", "manifests/dags$", "blobs/uploads"])
def test_a_registry_that_refuses(deployer: OciDeployer, registry: Registry, path: str) -> None:
    old = deployer.deploy(DAILY, version="1.0.0")
    with faulty(registry.address) as proxy:
        through = deployer.at(proxy.address)
        for method in ("PUT", "POST"):
            proxy.failures.append(Failure(method, path, status=403, times=9))
        manifest = deployer.build(DAILY, version="2.0.0")
        with pytest.raises(UserError):
            through.release(manifest)
    assert deployer.current_digest() == old
    assert deployer.place.interrupted() is None
    assert deployer.release(manifest) != old


@pytest.mark.slow
def test_the_moving_tag_is_written_last(deployer: OciDeployer, registry: Registry) -> None:
    manifest = deployer.build(DAILY, version="1.0.0")
    with faulty(registry.address) as proxy:
        deployer.at(proxy.address).release(manifest)
    written = [r.path.rpartition("/")[2] for r in proxy.requests if r.method in {"PUT", "PATCH"}]
    assert written[-1] == "dags"
    assert written[-2].startswith("dags.2")


@pytest.mark.slow
def test_a_registry_that_has_removed_old_tags(deployer: OciDeployer, registry: Registry) -> None:
    deployer.deploy(DAILY, version="1.0.0")
    deployer.deploy(DAILY, version="2.0.0")
    manifest = deployer.build(DAILY, version="3.0.0")
    with faulty(registry.address) as proxy:
        through = deployer.at(proxy.address)
        proxy.failures.append(Failure("HEAD", "manifests/dags[.]", status=404, times=1))
        (only,) = through.place.history()
        assert only.manifest.version == "2.0.0"
        through.release(manifest)
    assert [d.manifest.version for d in deployer.place.history()] == ["3.0.0", "2.0.0", "1.0.0"]


@pytest.mark.slow
def test_two_deployments_at_once(deployer: OciDeployer) -> None:
    deployer.deploy(DAILY, version="1.0.0")
    state = f"{deployer.place.state}/current.json"
    other = RegistryFolder(remote_name(f"{deployer.repository}:dags"), ImageSettings())
    assert other.read(state, 1 << 20)
    second = deployer.deploy(DAILY, version="2.0.0")
    current = deployer.place.current()
    assert current is not None
    assert current.previous is not None
    with pytest.raises(UserError, match="somebody else has deployed"):
        other.write(state, json.dumps({"id": current.previous}).encode())
    assert deployer.current_digest() == second


def test_a_tag_of_something_else(deployer: OciDeployer) -> None:
    image = make_image(deployer.store, b"layer")
    push_image(
        image, f"{deployer.repository}:dags", store=deployer.store, registries=deployer.registries
    )
    with pytest.raises(UserError, match=r"oci://.*:dags is not an artifact of DAG files"):
        deployer.deploy(DAILY, version="1.0.0")
    assert deployer.current_digest() == image.digest


def test_another_package(deployer: OciDeployer) -> None:
    deployer.deploy(DAILY, version="1.0.0")
    other = Project(deployer.place.folder, "other")
    with pytest.raises(UserError, match="is the document of another deployment"):
        other.current()


def test_names_of_tags() -> None:
    assert moving_tag("prod") == "dags-prod"
    assert moving_tag("eu/prod 2") == "dags-eu-prod-2"
    assert moving_tag(None) == "dags"
    folder = open_registry("registry.example.com/team/rides:dags-prod", ImageSettings())
    assert folder.url == "oci://registry.example.com/team/rides:dags-prod"
    for place in ("r.example.com/a@sha256:" + "0" * 64, "r.example.com/a:" + "x" * 110, "A:b"):
        with pytest.raises(UserError):
            open_registry(place, ImageSettings())
