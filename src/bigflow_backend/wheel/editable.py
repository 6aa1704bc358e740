"""Project -> editable wheel, built by setuptools: https://peps.python.org/pep-0660/"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.wheel.config_settings import ConfigSettings
from bigflow_backend.wheel.content import project_content
from bigflow_backend.wheel.distribution import reported_failures
from bigflow_backend.wheel.wheel import load

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project

_NO_SETTINGS = ConfigSettings()


def build_editable(
    project: Project, directory: Path, settings: ConfigSettings = _NO_SETTINGS
) -> str:
    """Build the editable wheel in ``directory`` and return its file name.

    In strict mode Python imports from links in ``build/``, which stay there. Nothing else is
    written into the project.
    """
    loaded = load(project, project_content(project), settings)
    distribution = loaded.distribution
    with tempfile.TemporaryDirectory(prefix="bigflow-editable-") as temporary:
        distribution.get_command_obj("egg_info").egg_base = temporary
        command: Any = distribution.get_command_obj("editable_wheel")
        command.dist_dir = temporary
        command.mode = settings.editable_mode
        with reported_failures(project, "the editable wheel"):
            command.ensure_finalized()
            command.run()
        (built,) = Path(temporary).glob("*.whl")
        target = directory / built.name
        target.write_bytes(built.read_bytes())
    return target.name
