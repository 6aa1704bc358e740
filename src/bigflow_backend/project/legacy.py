"""Keywords of BigFlow 1.x, in ``setup()`` and in ``[bigflow-project]`` -> what they state.

They are the keywords that setuptools does not know. All other keywords are metadata of the wheel.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.settings.values import read_value

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project
    from bigflow_backend.project.settings import Settings

_PLACES = {
    "project_dir": ".",
    "resources_dir": "resources",
    "project_requirements_file": "resources/requirements.txt",
    "deployment_config_file": "deployment_config.py",
    "test_package": "test",
    "build_dir": "build",
    "dist_dir": "dist",
    "dags_dir": ".dags",
    "image_dir": ".image",
}
"""Keywords for paths, and the path that the layout fixes, relative to the project."""

BIGFLOW_KEYWORDS = frozenset(
    {
        *_PLACES,
        "docker_repository",
        "test_framework",
        "export_image_tar",
        "project_name",
        "root_package",
        "eggs_dir",  # no build of ours writes an egg
    }
)
"""The keywords that setuptools does not know."""


@dataclass(frozen=True)
class Statement:
    """A value, and the place in the project that states it."""

    value: Any
    place: str
    """Such as ``docker_repository in setup.py``."""


def project_keywords(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords that concern more than the metadata of the wheel."""
    wanted = {"name", "version", "packages", *BIGFLOW_KEYWORDS}
    found = {key: keywords[key] for key in keywords if key in wanted and keywords[key] is not None}
    for key in {"name", "version"} & found.keys():
        found[key] = str(found[key])
    return found


def setuptools_keywords(project: Project, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords for setuptools among those of ``setup()`` and ``[bigflow-project]``."""
    table = project.pyproject.get("bigflow-project", {})
    others = {
        key: value
        for key, value in {**table, **keywords}.items()
        if value is not None
        and key not in BIGFLOW_KEYWORDS
        and not (key == "packages" and project.is_legacy)
    }
    if "requries" in others:  # BigFlow 1.x spells it so
        others["install_requires"] = others.pop("requries")
    return others


def read_statements(
    root: Path, script: str, passed: Mapping[str, Any], table: Mapping[str, Any]
) -> dict[str, Statement]:
    """Return what the keywords ``passed`` to ``setup()`` and ``[bigflow-project]`` state.

    ``script`` is the name of the setup script.

    :raises UserError: if the two state different values, or for a path that is not the layout's.
    """
    found: dict[str, Statement] = {}
    for keywords, place in (
        (passed, script),
        (project_keywords(table), "[bigflow-project] of pyproject.toml"),
    ):
        for key, value in keywords.items():
            statement = Statement(value, f"{key} in {place}")
            other = found.setdefault(key, statement)
            if key in _PLACES:
                _check_path(root, statement, _PLACES[key])
            else:
                _check_equal(key, other, statement)
    return found


def _check_equal(what: str, one: Statement, other: Statement) -> None:
    one_value, other_value = one.value, other.value
    if what == "name":  # BigFlow normalises it
        one_value, other_value = (str(v).replace("_", "-") for v in (one_value, other_value))
    if one_value != other_value:
        raise UserError(
            f"{what} is stated twice: {one.value!r} by {one.place}, and {other.value!r} by "
            f"{other.place}",
            hint="keep one of the two",
        )


def _check_path(root: Path, statement: Statement, fixed: str) -> None:
    try:
        path = root / os.fspath(statement.value)
        is_it = path.resolve() == (root / fixed).resolve()
    except (TypeError, ValueError, OSError):  # not a path; a null byte; a loop of links
        is_it = False
    if not is_it:
        raise UserError(
            f"{statement.place} must be {fixed!r}: got {str(statement.value)!r}",
            hint=f"move it to {fixed}" if fixed != "." else "put the script into the project",
        )


def with_statements(
    settings: Settings,
    statements: Mapping[str, Statement],
    table: Mapping[str, Any],
    *,
    is_legacy: bool,
) -> Settings:
    """Return the settings with what the keywords state; ``table`` is ``[tool.bigflow]``.

    :raises UserError: for an invalid value, and if the table states another one.
    """
    framework = statements.get("test_framework")
    if framework is not None:
        settings = _with(settings, "test_framework", framework, table, "[tool.bigflow]")
    elif is_legacy and "test-framework" not in table:
        settings = dataclasses.replace(settings, test_framework="unittest")  # BigFlow's default
    export = statements.get("export_image_tar")
    if export is not None:
        image_table = table.get("image", {})
        image = _with(settings.image, "export_tar", export, image_table, "[tool.bigflow.image]")
        settings = dataclasses.replace(settings, image=image)
    return settings


def _with(
    settings: Any, field: str, statement: Statement, table: Mapping[str, Any], table_name: str
) -> Any:
    value = read_value(type(settings), field, statement.value, place=statement.place)
    key = field.replace("_", "-")
    if key in table:
        other = Statement(getattr(settings, field), f"{key} in {table_name} of pyproject.toml")
        _check_equal(key, Statement(value, statement.place), other)
    return dataclasses.replace(settings, **{field: value})


class Delegate:
    """A ``distclass`` for ``setuptools.setup(**project_setup(...))``, which calls our ``setup()``.

    Setuptools' own ``setup()`` then has nothing to do.
    """

    def __init__(self, keywords: Mapping[str, Any]) -> None:
        from bigflow_backend import setup

        setup(**keywords)

    def parse_config_files(self) -> None:
        """Do nothing."""

    def parse_command_line(self) -> bool:
        """Return False: no commands are left to run."""
        return False
