"""Settings of a machine or a person: variables, and the user's file -> :class:`MachineSettings`.

The user's file has these keys, and those of ``[tool.bigflow]`` that a person may set for all
projects.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.settings.values import leaves, read_table, read_text_value

_FILE = "config.toml"


@dataclass(frozen=True, kw_only=True)
class MachineSettings:
    """Settings that a project cannot have."""

    cache: str | None = None
    """The directory of the cache. The default is ``bigflow`` in the user's XDG cache directory.
    ``~`` is the home directory; in the user's file, a relative path starts at its directory."""

    cache_limit_gb: int = 10
    """The limit of the cache, in gigabytes. Each build removes the least recently used content
    above it."""


def user_file() -> Path:
    """Return the path of the user's file, which may not exist.

    https://specifications.freedesktop.org/basedir-spec/latest/
    """
    shared = os.environ.get("XDG_CONFIG_HOME", "")
    home = Path(shared) if Path(shared).is_absolute() else Path.home() / ".config"
    return home / "bigflow" / _FILE


def read_user_file() -> dict[str, Any]:
    """Return the tables of the user's file; empty without it.

    :raises UserError: if it cannot be read, or is not TOML.
    """
    path = user_file()
    if not os.path.exists(path):  # noqa: PTH110  (pathlib raises for a directory without access)
        return {}
    from bigflow_backend.ground.files import read_text
    from bigflow_backend.ground.foreign.toml import parse_toml

    try:
        return parse_toml(read_text(path))
    except ValueError as error:
        raise UserError(f"{path} is not valid TOML: {error}", hint="fix that line") from error


def machine_settings() -> MachineSettings:
    """Return the settings of this machine: a variable has priority over the user's file.

    :raises UserError: for an invalid value, with its variable or file.
    """
    path = user_file()
    table = {key: value for key, value in read_user_file().items() if key in MACHINE_KEYS}
    stated = read_table(MachineSettings, table, key="", source=str(path))
    values: dict[str, Any] = dict(vars(stated))
    if stated.cache is not None:
        values["cache"] = str(path.parent / Path(stated.cache).expanduser())
    for leaf in leaves(MachineSettings):
        if text := os.environ.get(leaf.variable):
            values[leaf.path[0]] = read_text_value(leaf.type, text, place=leaf.variable)
    return MachineSettings(**values)


MACHINE_KEYS: Mapping[str, str] = {leaf.key: leaf.variable for leaf in leaves(MachineSettings)}
"""A key of :class:`MachineSettings`, and its variable."""
