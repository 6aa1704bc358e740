"""Describe ``deployment_config.py``."""

from __future__ import annotations

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location

from bigflow.configuration import Config
from bigflow.describe.discovery import error_of_user_code
from bigflow.errors import BigflowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType
    from typing import Any

_MODULE = "deployment_config"
MISSING = (
    "create it with this line: from bigflow import DeploymentConfig; deployment_config ="
    ' DeploymentConfig("dev", {"docker_repository": "registry.example.com/team/project"})'
)
"""The fix for a project without the file."""


def describe_deployment(file: Path, env_name: str | None = None) -> dict[str, Any]:
    """Return one configuration of ``file``, resolved, as plain data.

    The default of ``env_name`` is the variable ``bf_env``, else the default configuration. From the
    environment come only the properties that the file names, and ``docker_repository``.

    :raises BigflowError: for a file that is missing, raises, or has no configuration.
    """
    config = _find_config(_run(file), file)
    name = config.resolve_name(env_name)
    properties = config.resolve(name)
    wanted = {*config.property_names(name), "docker_repository"}
    return {
        "config": name,
        "properties": {key: _plain(properties[key]) for key in sorted(wanted & properties.keys())},
    }


def _run(file: Path) -> ModuleType:
    if not file.is_file():
        raise BigflowError(
            f"{file} not found",
            hint=MISSING,
        )
    spec = spec_from_file_location(_MODULE, file)
    if spec is None or spec.loader is None:
        raise BigflowError(f"{file} is not a Python file", hint="give a file that ends with .py")
    module = module_from_spec(spec)
    sys.modules[_MODULE] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:  # the file can raise anything, also SystemExit
        raise error_of_user_code(error, _MODULE, f"reading {file.name}") from error
    return module


def _find_config(module: ModuleType, file: Path) -> Config:
    named = getattr(module, _MODULE, None)
    if isinstance(named, Config):
        return named
    found = {id(value): value for value in vars(module).values() if isinstance(value, Config)}
    if len(found) != 1:
        raise BigflowError(
            f"{file.name} has {len(found) or 'no'} DeploymentConfig"
            + ("s, and none has the name deployment_config" if found else ""),
            hint="write: deployment_config = DeploymentConfig(name=..., properties={...})",
        )
    return found.popitem()[1]


def _plain(value: object) -> object:
    """Return the value if JSON can store it, else its text."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return str(value)
    return value
