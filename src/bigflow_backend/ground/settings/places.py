"""The place that states a setting of a project, for messages about its value."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.settings.machine import read_user_file, user_file


def place_of(key: str, value: object = None, *, option: str = "") -> str:
    """Return the variable, the user's file or the file of the project that states ``key``.

    ``key`` has its tables, such as ``image.tags``. The user's file counts if it has ``value``: a
    project has priority over it. ``option`` is the option of the command line that may state it.
    """
    variable = f"BIGFLOW_{key}".replace(".", "_").replace("-", "_").upper()
    if os.environ.get(variable):
        place = variable
    elif value is not None and _is_same(_of_user_file(key), value):
        place = f"{user_file()}: {key}"
    else:
        place = f"pyproject.toml: tool.bigflow.{key}"
    return f"{place}, or {option}," if option else place


@contextlib.contextmanager
def naming(key: str, value: object = None, *, option: str = "") -> Iterator[None]:
    """Put the place of a setting before the message of an error about its value."""
    try:
        yield
    except UserError as error:
        place = place_of(key, value, option=option)
        raise UserError(f"{place} is wrong: {error.message}", hint=error.hint) from error


def _of_user_file(key: str) -> Any:
    value: Any = read_user_file()
    for name in key.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _is_same(stated: Any, value: object) -> bool:
    """Return whether a value of TOML is that of the setting; one string may be a list of one."""
    if isinstance(value, Mapping):
        return (
            isinstance(stated, dict)
            and stated.keys() == value.keys()
            and all(_is_same(stated[key], value[key]) for key in value)
        )
    if isinstance(value, tuple):
        return bool((stated if isinstance(stated, list) else [stated]) == list(value))
    return bool(stated == value)
