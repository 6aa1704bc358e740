"""Environment variables, and the user's file -> values over, and below, those of a project."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bigflow_backend.ground.errors import BigflowWarning, UserError, did_you_mean, nearest
from bigflow_backend.ground.settings.machine import MACHINE_KEYS, read_user_file, user_file
from bigflow_backend.ground.settings.values import Leaf, leaves, read_table, read_text_value
from bigflow_backend.project.settings import OF_USER, Settings

_PREFIX = "BIGFLOW_"


@dataclass(frozen=True)
class Stated:
    """A value that does not come from the project, and where it comes from."""

    setting: Leaf
    value: Any
    place: str
    """The variable or the file."""


def with_surroundings(settings: Settings, table: Mapping[str, Any]) -> Settings:
    """Return the settings of a project with those of its surroundings.

    A variable has priority over the project, and the project over the user's file. ``table`` is
    ``[tool.bigflow]``.

    :raises UserError: for an unknown key or an invalid value, with its variable or file.
    """
    for stated in surroundings(table):
        settings = stated.setting.replaced(settings, stated.value)
    return settings


def surroundings(table: Mapping[str, Any]) -> Iterator[Stated]:
    """Yield the settings that the user's file or a variable states, if they have an effect."""
    yield from _of_user_file(table)
    names = sorted(name for name in os.environ if name.startswith(_PREFIX))
    if not names:
        return
    known = {name: leaf for leaf in leaves(Settings) for name in leaf.variables}
    stated: dict[str, str] = {}
    for name in names:
        text = os.environ[name]
        if name not in known:
            _warn_of_typing_error(name, known)
        elif text:
            leaf = known[name]
            if (other := stated.setdefault(leaf.key, name)) != name:
                raise UserError(f"both {other} and {name} are set", hint=f"unset {other}")
            yield Stated(leaf, read_text_value(leaf.type, text, place=name), name)


def states(table: Mapping[str, Any], leaf: Leaf) -> bool:
    """Return whether the tables have the key of a setting."""
    return any(_has_key(table, key) for key in leaf.keys)


def _has_key(table: Mapping[str, Any], key: str) -> bool:
    value: Any = table
    for name in key.split("."):
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return True


def _of_user_file(table: Mapping[str, Any]) -> Iterator[Stated]:
    stated = {k: v for k, v in read_user_file().items() if k not in MACHINE_KEYS}
    if not stated:
        return
    source = str(user_file())
    of_user = [leaf for leaf in leaves(Settings) if leaf.field.metadata == OF_USER]
    _check_keys(stated, source, of_user)
    read = read_table(Settings, stated, key="", source=source)
    for leaf in of_user:
        if states(stated, leaf) and not states(table, leaf):
            yield Stated(leaf, leaf.value(read), source)


def _check_keys(stated: Mapping[str, Any], source: str, of_user: list[Leaf]) -> None:
    """Check that the user's file has only keys of a person.

    :raises UserError: if it has another one.
    """
    allowed = [leaf.key for leaf in of_user]
    of_project = {key: leaf for leaf in leaves(Settings) for key in leaf.keys}
    tables = {leaf.path[0] for leaf in of_project.values() if len(leaf.path) > 1}
    for name, value in stated.items():
        if name in tables and not isinstance(value, dict):
            continue  # read_table reports it
        for key in [f"{name}.{inner}" for inner in value] if name in tables else [name]:
            if key in of_project and key not in allowed:
                raise UserError(
                    f"{source}: {key} is a setting of projects",
                    hint="write it into [tool.bigflow] of pyproject.toml, or set"
                    f" {of_project[key].variable}",
                )
            if key not in allowed:
                hint = did_you_mean(key, [*allowed, *MACHINE_KEYS])
                raise UserError(f"{source}: unknown key {key!r}", hint=hint)


def _warn_of_typing_error(name: str, known: Mapping[str, Any]) -> None:
    """Warn of a variable that looks like one of ours. Others may use the prefix, too."""
    table, _, rest = name.removeprefix(_PREFIX).partition("_")
    start = f"{_PREFIX}{table}_"
    near = nearest(rest, [k.removeprefix(start) for k in known if k.startswith(start)])
    if near is not None and name not in MACHINE_KEYS.values():
        message = f"the variable {name} has no effect; did you mean {start}{near}?"
        warnings.warn(message, BigflowWarning, stacklevel=2)
