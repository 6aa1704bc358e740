"""``bigflow config``: the value of each setting, and where it comes from."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.cli.report import print_result
from bigflow_backend.ground.directories import cache_directory
from bigflow_backend.ground.errors import UserError, did_you_mean
from bigflow_backend.ground.foreign.urls import redacted
from bigflow_backend.ground.report import print_warning
from bigflow_backend.ground.settings.machine import (
    MachineSettings,
    machine_settings,
    read_user_file,
    user_file,
)
from bigflow_backend.ground.settings.values import Leaf, leaves
from bigflow_backend.project.project import project_root
from bigflow_backend.project.settings import Settings
from bigflow_backend.project.settings_sources import states, surroundings, with_surroundings

if TYPE_CHECKING:
    from bigflow_backend.cli.commands import Call
    from bigflow_backend.project.project import Project

_DEFAULT = "default"
_SECRET = re.compile(r"passw|secret|token|credential|api_?key|private_?key", re.IGNORECASE)
_HIDDEN = "***"
_KEYWORDS = {"test-framework": "test_framework", "image.export-tar": "export_image_tar"}
"""A setting -> the keyword of ``setup()`` that states it, too."""


@dataclass(frozen=True)
class Setting:
    """A setting of ``bigflow config``."""

    key: str
    value: Any
    source: str
    """``default``, a variable, or a file."""
    variable: str


def config(call: Call) -> int:
    """Print each setting, its value and its source. It works outside a project, too."""
    project = call.project() if project_root(Path.cwd()) is not None else None
    if project is None:
        print_warning(f"{Path.cwd()} has no project: these are the settings without one")
    found = [*_of_project(project), *_of_machine()]
    wanted = call.values.keys or []
    for key in wanted:
        if key not in {setting.key for setting in found}:
            known = [setting.key for setting in found]
            raise UserError(f"unknown setting {key!r}", hint=did_you_mean(key, known))
    chosen = [setting for setting in found if not wanted or setting.key in wanted]
    print_result(call.values, {"user_file": user_file(), "settings": chosen}, _lines(chosen))
    return 0


def _of_project(project: Project | None) -> Iterator[Setting]:
    table: Mapping[str, Any] = {}
    statements: Mapping[str, Any] = {}
    found: Mapping[str, Any] = {}
    if project is None:
        settings = with_surroundings(Settings(), table)
    else:
        settings, statements = project.settings, project.statements
        found = {"package": project.package, "packages": project.packages}
        table = project.pyproject.get("tool", {}).get("bigflow", {})
    places = {stated.setting.key: stated.place for stated in surroundings(table)}
    for leaf in leaves(Settings):
        source = places.get(leaf.key)
        if source is None and _KEYWORDS.get(leaf.key) in statements:
            source = statements[_KEYWORDS[leaf.key]].place
        if source is None:
            source = "pyproject.toml" if states(table, leaf) else _DEFAULT
        value = leaf.value(settings)
        if leaf.key in found and not value:
            value, source = found[leaf.key], "the project's files"
        yield _setting(leaf, value, source)


def _of_machine() -> Iterator[Setting]:
    settings, stated = machine_settings(), read_user_file()
    for leaf in leaves(MachineSettings):
        source = str(user_file()) if leaf.key in stated else _DEFAULT
        source = leaf.variable if os.environ.get(leaf.variable) else source
        value = cache_directory() if leaf.key == "cache" else leaf.value(settings)
        yield _setting(leaf, value, source)


def _setting(leaf: Leaf, value: Any, source: str) -> Setting:
    return Setting(leaf.key, _without_secrets(value), source, leaf.variable)


def _without_secrets(value: Any) -> Any:
    """Return a value without the passwords of URLs, and without those of a table's names."""
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, tuple):
        return [redacted(item) for item in value]
    if isinstance(value, dict):
        return {
            name: _HIDDEN if _SECRET.search(name) else redacted(item)
            for name, item in value.items()
        }
    return value


def _lines(settings: list[Setting]) -> Iterator[str]:
    rows = [(s.key, json.dumps(s.value, ensure_ascii=False), s.source) for s in settings]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for key, value, source in rows:
        yield f"{key:{widths[0]}}  {value:{min(widths[1], _WIDEST)}}  {source}"


_WIDEST = 40
