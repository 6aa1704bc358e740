"""The names that the setup scripts of BigFlow projects import.

A script that uses them builds as it is, and is told the modern form: ``bigflow_backend.setup``.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

__all__ = ["auto_configuration", "default_project_setup", "project_setup", "setup"]

_MODERN = 'from bigflow_backend import setup; setup(name="...")'


def setup(**keywords: Any) -> None:
    """BigFlow's ``bigflow.build.setup``: as ``bigflow_backend.setup``, with BigFlow's keywords."""
    from bigflow_backend import setup as modern_setup
    from bigflow_backend.ground.report import reported
    from bigflow_backend.project.legacy import modern_keywords

    with reported():
        _advise("bigflow.build.setup")
        modern_setup(**modern_keywords(keywords))


def auto_configuration(
    project_name: str, project_dir: Path | None = None, **keywords: Any
) -> dict[str, Any]:
    """BigFlow 1.0's keywords for ``project_setup``."""
    return {"project_name": project_name, "project_dir": project_dir or Path.cwd(), **keywords}


def project_setup(
    project_name: str, project_dir: Path | None = None, **keywords: Any
) -> dict[str, Any]:
    """BigFlow 1.0's keywords for ``setuptools.setup``."""
    from bigflow_backend.ground.report import reported
    from bigflow_backend.project.legacy import Delegate

    with reported():
        _advise("bigflow.build.project_setup")
    del project_dir  # the script's own directory
    return {"distclass": Delegate, "name": project_name, **keywords}


def default_project_setup(
    project_name: str, project_dir: Path | None = None, **keywords: Any
) -> None:
    """BigFlow 1.0's whole setup script."""
    from bigflow_backend import setup as modern_setup
    from bigflow_backend.ground.report import reported
    from bigflow_backend.project.legacy import modern_keywords

    del project_dir  # the script's own directory
    with reported():
        _advise("bigflow.build.default_project_setup")
        modern_setup(**modern_keywords({"name": project_name, **keywords}))


def _advise(name: str) -> None:
    from bigflow_backend.ground.errors import BigflowWarning

    warnings.warn(
        f"{name} is BigFlow's form, and goes on working; the modern one is: {_MODERN}",
        BigflowWarning,
        stacklevel=3,
    )
