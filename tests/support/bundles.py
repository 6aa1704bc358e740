"""DAG files in a registry, and an Airflow whose bundle reads them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.dags.manifest import read_manifest
from bigflow_backend.deployment.act import Project
from bigflow_backend.deployment.deploy import DeployOptions, deploy_dags
from bigflow_backend.deployment.registry import open_registry
from bigflow_backend.image.reference import remote_name
from bigflow_backend.image.registry import Registries, find_digest, push_image
from bigflow_backend.image.store.blobs import open_store
from bigflow_backend.project.settings import ImageSettings
from support.descriptions import DagProject
from support.images import layer_tar, make_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bigflow_backend.dags.manifest import Manifest
    from bigflow_backend.image.store.blobs import BlobStore
    from bigflow_backend.project.workflows import WorkflowDescription
    from support.airflow import Airflow

__all__ = ["BUNDLE", "OciDeployer", "oci_deployer", "with_bundle"]

BUNDLE = "pipelines"
"""The name of the bundle."""
TAG = "dags"
_SOURCE = Path(__file__).parents[2] / "src"
_SETTINGS = 'target = "kubernetes"\ndag-id = "workflow"\nstart-date = "2026-01-01"'


@dataclass(frozen=True)
class OciDeployer:
    """A project, and the repository that gets its images and its DAG files."""

    project: DagProject
    repository: str
    place: Project
    store: BlobStore
    registries: Registries

    def deploy(self, *workflows: WorkflowDescription, version: str, **build: Any) -> str:
        """Build and deploy a version; return the digest of the artifact."""
        return self.release(self.build(*workflows, version=version, **build))

    def build(self, *workflows: WorkflowDescription, version: str, **build: Any) -> Manifest:
        """Push an image of this version, and build its DAG files."""
        image = make_image(self.store, layer_tar({"version": version}))
        name = f"{self.repository}:{version.replace('+', '-')}"
        push_image(image, name, store=self.store, registries=self.registries)
        self.project.build(*workflows, image=f"{name}@{image.digest}", version=version, **build)
        return read_manifest(self.project.dags)

    def release(self, manifest: Manifest, *, action: str = "deploy") -> str:
        """Deploy a build; return the digest of the artifact."""
        options = DeployOptions(action=action, keep_days=30, say=lambda _line: None)
        deploy_dags(manifest, self.place, options)
        return self.current_digest()

    def current_digest(self) -> str:
        """Return the digest of the moving tag."""
        digest = find_digest(remote_name(f"{self.repository}:{TAG}"), registries=self.registries)
        assert digest is not None
        return digest

    def at(self, address: str) -> OciDeployer:
        """Return the same with another address of the registry for the DAG files."""
        path = self.repository.partition("/")[2]
        folder = open_registry(f"{address}/{path}:{TAG}", ImageSettings())
        place = Project(folder, self.place.package)
        return dataclasses.replace(self, place=place, repository=f"{address}/{path}")


@contextlib.contextmanager
def oci_deployer(root: Path, repository: str) -> Iterator[OciDeployer]:
    """Yield a project below ``root``, which deploys under the tag ``dags``."""
    folder = open_registry(f"{repository}:{TAG}", ImageSettings())
    project = DagProject.make(root / "project", _SETTINGS)
    with open_store(root / "images") as store, Registries() as registries:
        yield OciDeployer(project, repository, Project(folder, "pipelines"), store, registries)


def with_bundle(airflow: Airflow, image: str, **kwargs: Any) -> Airflow:
    """Return the Airflow with a bundle that reads the DAG files beside an image."""
    bundle = {
        "name": BUNDLE,
        "classpath": "bigflow_airflow.bundle.OciDagBundle",
        "kwargs": {"image": image, "tag": TAG, "refresh_interval": 3, **kwargs},
    }
    return airflow.with_variables(
        PYTHONPATH=str(_SOURCE),
        AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST=json.dumps([bundle]),
        AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH=str(airflow.home / "bundles"),
        AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL="1",
    )
