"""The value of ``--deployed``: a manifest, or the DAGs folder of a deployment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.dags.manifest import read_manifest
from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.dags.manifest import Manifest
    from bigflow_backend.project.project import Project


def read_deployed(text: str, project: Callable[[], Project]) -> Manifest:
    """Return the manifest of what is deployed.

    ``text`` is the path of a manifest or of its directory, or a DAGs folder that
    ``bigflow deploy`` has written.

    :raises UserError: if it cannot be read, or nothing is deployed there.
    """
    from bigflow_backend.deployment.folder import STATE

    path = Path(text)
    if "://" not in text and not (path / STATE).is_dir():
        return read_manifest(path)
    from bigflow_backend.deployment.act import Project as Place
    from bigflow_backend.deployment.folder import open_folder

    found = project()
    current = Place(open_folder(text, Path.cwd(), found.settings.image), found.package).current()
    if current is None:
        raise UserError(
            f"--deployed {text} has no deployment of {found.package}",
            hint="check the place: bigflow deployments; or build without --deployed",
        )
    return current.manifest
