"""Keywords of BigFlow 1.x's ``setup()`` -> keywords of ``bigflow_backend.setup``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from bigflow_backend.ground.errors import BigflowWarning, UserError

_PLACES = {
    "resources_dir": "resources",
    "deployment_config_file": "deployment_config.py",
    "project_requirements_file": "resources/requirements.txt",
    "root_package": None,
    "project_dir": None,
    "project_name": None,
    "build_dir": None,
    "test_package": None,
    "dags_dir": None,
    "dist_dir": None,
    "image_dir": None,
    "eggs_dir": None,
    "data_files": None,
}
"""Keywords for places that the layout now fixes, and the place; None if there is no such place."""

_MOVED = {
    "docker_repository": "deployment_config.py",
    "test_framework": "[tool.bigflow] test-framework in pyproject.toml",
    "export_image_tar": "[tool.bigflow.image] export-tar in pyproject.toml",
}
"""Keywords that do not concern the wheel, and their new place."""


def modern_keywords(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords for ``bigflow_backend.setup``.

    A warning names the new place of each keyword that does not concern the wheel.

    :raises UserError: if a keyword names another place than the layout has.
    """
    modern = {}
    for name, value in keywords.items():
        if name == "requries":  # BigFlow 1.x spells it so
            modern["install_requires"] = value
        elif name == "packages":
            _check_packages(value)
        elif name in _PLACES:
            if _PLACES[name] is not None and str(value) != _PLACES[name]:
                raise UserError(
                    f"{name} must be {_PLACES[name]}: got {value!r}",
                    hint=f"move it to {_PLACES[name]}",
                )
        elif name in _MOVED:
            warnings.warn(
                f"setup() does not use {name}; write it into {_MOVED[name]}",
                BigflowWarning,
                stacklevel=3,
            )
        else:
            modern[name] = value
    return modern


def _check_packages(packages: Any) -> None:
    # BigFlow 1.x packaged every directory with an __init__.py, also tests and notebooks.
    tops = sorted({str(name).partition(".")[0] for name in packages or ()})
    if len(tops) > 1:
        warnings.warn(
            f"setup() does not use packages ({', '.join(tops)}): the wheel has the main package "
            "and those of [tool.bigflow] packages",
            BigflowWarning,
            stacklevel=4,
        )


class Delegate:
    """A ``distclass`` for ``setuptools.setup(**project_setup(...))``, which calls our ``setup()``.

    Setuptools' own ``setup()`` then has nothing to do.
    """

    def __init__(self, keywords: Mapping[str, Any]) -> None:
        from bigflow_backend import setup
        from bigflow_backend.ground.report import reported

        with reported():
            setup(**modern_keywords(keywords))

    def parse_config_files(self) -> None:
        """Do nothing."""

    def parse_command_line(self) -> bool:
        """Return False: no commands are left to run."""
        return False
