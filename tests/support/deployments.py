"""Deployments of a small project into a directory, without its image."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bigflow_backend.dags.manifest import read_manifest
from bigflow_backend.deployment.act import Project
from bigflow_backend.deployment.deploy import DeployOptions, deploy_dags
from bigflow_backend.deployment.directory import DirectoryFolder
from support.descriptions import DagProject

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from bigflow_backend.dags.manifest import Manifest
    from bigflow_backend.deployment.folder import Folder
    from bigflow_backend.deployment.plan import Plan
    from bigflow_backend.project.workflows import WorkflowDescription

IMAGE = "registry.example.com/rides:{version}@sha256:" + 64 * "0"


@dataclass
class Deployer:
    """A project, and the place where it is deployed."""

    project: DagProject
    place: Project
    said: list[str] = field(default_factory=list)

    @classmethod
    def make(cls, root: Path, settings: str = "") -> Deployer:
        """Create the project and an empty directory ``dags`` in ``root``."""
        (root / "dags").mkdir(parents=True)
        folder = DirectoryFolder(root / "dags")
        return cls(DagProject.make(root / "project", settings), Project(folder, "pipelines"))

    def build(self, version: str, *workflows: WorkflowDescription, **build: Any) -> Manifest:
        image = IMAGE.format(version=version)
        self.project.build(*workflows, version=version, image=image, **build)
        return read_manifest(self.project.dags)

    def deploy(self, manifest: Manifest, **given: Any) -> Plan:
        """Deploy with these options of the command."""
        options = DeployOptions(
            **{"action": "deploy", "keep_days": 30, "say": self.said.append, **given}
        )
        return deploy_dags(manifest, self.place, options)

    def live(self) -> dict[str, str]:
        """Return the files of the project in the DAGs folder."""
        names = self.place.folder.names("pipelines")
        found = {name: self.place.folder.read(f"pipelines/{name}", 1 << 20) for name in names}
        return {name: content.decode() for name, content in found.items() if content is not None}


class Watched:
    """A folder that calls a function with the path before each change.

    A deployment shows and clears its files by several changes in an object store.
    """

    def __init__(self, folder: Folder, before: Callable[[str], None]) -> None:
        self._folder = folder
        self._before = before

    @property
    def url(self) -> str:
        return self._folder.url

    def read(self, path: str, limit: int) -> bytes | None:
        return self._folder.read(path, limit)

    def names(self, directory: str) -> list[str]:
        return self._folder.names(directory)

    def write(self, path: str, content: bytes) -> None:
        self._before(path)
        self._folder.write(path, content)

    def remove(self, path: str) -> None:
        self._before(path)
        self._folder.remove(path)

    def place(
        self, package: str, deployment_id: str, texts: Mapping[str, str], *, old: Collection[str]
    ) -> None:
        self._before(package)
        self._folder.place(package, deployment_id, texts, old=old)

    def clear(self, package: str, deployment_id: str, *, old: Collection[str]) -> None:
        self._before(package)
        self._folder.clear(package, deployment_id, old=old)


def killed_deployment(deployer: Deployer, manifest: Manifest, changes: int) -> bool:
    """Deploy in another process, which gets SIGKILL before a change. Return whether it did."""
    left = [changes]

    def count(_path: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        folder = Watched(deployer.place.folder, count)
        Deployer(deployer.project, Project(folder, "pipelines")).deploy(manifest)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)
