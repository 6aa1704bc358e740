"""Functions that setup scripts of BigFlow 1.x import.

Such a script builds unchanged. A warning of the build shows the current form,
``bigflow_backend.setup``. ``meta`` is the name of BigFlow's build backend. ``reflect`` is for jobs
that build their project.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

__all__ = ["auto_configuration", "default_project_setup", "project_setup", "setup"]


def setup(project_dir: Path | None = None, **keywords: Any) -> None:
    """Call ``bigflow_backend.setup``, which knows the keywords of BigFlow 1.x."""
    from bigflow_backend import setup as modern_setup

    modern_setup(project_dir=project_dir, **keywords)


def auto_configuration(
    project_name: str, project_dir: Path | None = None, **keywords: Any
) -> dict[str, Any]:
    """Return the keywords for ``project_setup``."""
    # The directory of the script: it can run from another directory.
    directory = project_dir or Path(sys.argv[0]).absolute().parent
    return {"project_name": project_name, "project_dir": directory, **keywords}


def project_setup(
    project_name: str, project_dir: Path | None = None, **keywords: Any
) -> dict[str, Any]:
    """Return the keywords for ``setuptools.setup``."""
    from bigflow_backend.project.legacy import Delegate

    return {"distclass": Delegate, "name": project_name, "project_dir": project_dir, **keywords}


def default_project_setup(
    project_name: str, project_dir: Path | None = None, **keywords: Any
) -> None:
    """Call ``setup`` for a project with the default layout."""
    setup(project_dir, name=project_name, **keywords)


if not TYPE_CHECKING:  # else type checkers accept every name

    def __getattr__(name: str) -> Any:
        from bigflow.absent import refuse_attribute

        refuse_attribute(__name__, name)
