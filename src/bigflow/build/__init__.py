"""Functions that setup scripts of BigFlow 1.x import.

Such a script builds unchanged. A warning shows the current form, ``bigflow_backend.setup``.
``meta`` is the name of BigFlow's build backend. ``reflect`` is for jobs that build their project.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

__all__ = ["auto_configuration", "default_project_setup", "project_setup", "setup"]

_MODERN = 'from bigflow_backend import setup; setup(name="...")'


def setup(**keywords: Any) -> None:
    """Call ``bigflow_backend.setup`` with keywords of BigFlow 1.x."""
    from bigflow_backend import setup as modern_setup
    from bigflow_backend.ground.report import reported
    from bigflow_backend.project.legacy import modern_keywords

    with reported():
        _advise("bigflow.build.setup")
        modern_setup(**modern_keywords(keywords))


def auto_configuration(
    project_name: str, project_dir: Path | None = None, **keywords: Any
) -> dict[str, Any]:
    """Return the keywords for ``project_setup``."""
    return {"project_name": project_name, "project_dir": project_dir or Path.cwd(), **keywords}


def project_setup(
    project_name: str, project_dir: Path | None = None, **keywords: Any
) -> dict[str, Any]:
    """Return the keywords for ``setuptools.setup``."""
    from bigflow_backend.ground.report import reported
    from bigflow_backend.project.legacy import Delegate

    with reported():
        _advise("bigflow.build.project_setup")
    del project_dir  # the directory of the script counts
    return {"distclass": Delegate, "name": project_name, **keywords}


def default_project_setup(
    project_name: str, project_dir: Path | None = None, **keywords: Any
) -> None:
    """Call ``setup`` for a project with the default layout."""
    from bigflow_backend import setup as modern_setup
    from bigflow_backend.ground.report import reported
    from bigflow_backend.project.legacy import modern_keywords

    del project_dir  # the directory of the script counts
    with reported():
        _advise("bigflow.build.default_project_setup")
        modern_setup(**modern_keywords({"name": project_name, **keywords}))


def _advise(name: str) -> None:
    from bigflow_backend.ground.errors import BigflowWarning

    warnings.warn(
        f"{name} is deprecated and still works; the current form is: {_MODERN}",
        BigflowWarning,
        stacklevel=3,
    )


if not TYPE_CHECKING:  # else type checkers accept every name

    def __getattr__(name: str) -> Any:
        from bigflow.absent import refuse_attribute

        refuse_attribute(__name__, name)
