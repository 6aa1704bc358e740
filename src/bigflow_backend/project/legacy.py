"""Projects of BigFlow: the keywords of its ``setup()`` and its table ``[bigflow-project]``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from bigflow_backend.ground.errors import BigflowWarning, UserError

_FIXED = {
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
"""Where BigFlow let a project choose a place that the layout now fixes; with the one it has."""

_ELSEWHERE = {
    "docker_repository": "deployment_config.py",
    "test_framework": "[tool.bigflow] test-framework in pyproject.toml",
    "export_image_tar": "[tool.bigflow.image] export-tar in pyproject.toml",
}
"""What has no part in the wheel, and where it is said now."""


def modern_keywords(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords of ``bigflow_backend.setup`` for those of BigFlow's.

    What takes no part in the package is left out with a warning that names its new place.

    :raises UserError: for a place of its own that the layout does not have.
    """
    modern = {}
    for name, value in keywords.items():
        if name == "requries":  # the spelling is BigFlow's
            modern["install_requires"] = value
        elif name == "packages":
            _check_packages(value)
        elif name in _FIXED:
            if _FIXED[name] is not None and str(value) != _FIXED[name]:
                raise UserError(
                    f"{name} is {value!r}, and a project has it in {_FIXED[name]}",
                    hint=f"move it to {_FIXED[name]}",
                )
        elif name in _ELSEWHERE:
            warnings.warn(
                f"{name} takes no part in the package; say it in {_ELSEWHERE[name]}",
                BigflowWarning,
                stacklevel=3,
            )
        else:
            modern[name] = value
    return modern


def _check_packages(packages: Any) -> None:
    # BigFlow packed every package beside the main one, tests and notebooks too.
    tops = sorted({str(name).partition(".")[0] for name in packages or ()})
    if len(tops) > 1:
        warnings.warn(
            f"packages names {', '.join(tops)}; those in the wheel are the main one and what "
            "[tool.bigflow] packages lists",
            BigflowWarning,
            stacklevel=4,
        )


class Delegate:
    """A ``distclass`` for ``setuptools.setup(**project_setup(...))``: our ``setup()`` does it all.

    What is left of setuptools' own ``setup()`` then finds nothing to do.
    """

    def __init__(self, keywords: Mapping[str, Any]) -> None:
        from bigflow_backend import setup
        from bigflow_backend.ground.report import reported

        with reported():
            setup(**modern_keywords(keywords))

    def parse_config_files(self) -> None:
        """Done already."""

    def parse_command_line(self) -> bool:
        """Whether there are commands to run: they have been."""
        return False
