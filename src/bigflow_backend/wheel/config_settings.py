"""``config_settings`` of the hooks: the settings of setuptools.

https://setuptools.pypa.io/en/latest/deprecated/commands.html and pypa/setuptools#3896
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from bigflow_backend.ground.errors import UserError, did_you_mean

_EDITABLE_MODES = ("lenient", "strict", "compat")
_MODES_TEXT = "lenient, strict or compat"
_KEYS = ("--build-option", "--global-option", "editable_mode")


@dataclass(frozen=True)
class ConfigSettings:
    """The settings that a frontend passes with ``-C``."""

    build_options: tuple[str, ...] = ()
    """Arguments of setuptools' ``bdist_wheel`` or ``sdist``."""
    global_options: tuple[str, ...] = ()
    """Arguments before the command."""
    editable_mode: str = ""
    """``lenient``, ``strict`` or ``compat``; empty means lenient."""


def read_config_settings(settings: Mapping[str, object] | None) -> ConfigSettings:
    """Return the checked settings. A value is a string, or a list of strings if repeated.

    :raises UserError: for an unknown key or an invalid value.
    """
    given = dict(settings or {})
    for key in given:
        if key not in _KEYS:
            raise UserError(f"unknown config setting {key!r}", hint=did_you_mean(key, _KEYS))
    mode = given.get("editable_mode") or ""
    if not isinstance(mode, str) or mode not in {"", *_EDITABLE_MODES}:
        raise UserError(
            f"config setting editable_mode must be {_MODES_TEXT}: got {mode!r}",
            hint=did_you_mean(str(mode), _EDITABLE_MODES),
        )
    return ConfigSettings(
        build_options=_arguments("--build-option", given.get("--build-option")),
        global_options=_arguments("--global-option", given.get("--global-option")),
        editable_mode=mode,
    )


def _arguments(key: str, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        try:
            return tuple(shlex.split(value))
        except ValueError as error:
            raise UserError(
                f"config setting {key} is not valid: {error}: got {value!r}", hint="close the quote"
            ) from error
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        return tuple(value)
    raise UserError(
        f"config setting {key} must be a string: got {value!r}", hint=f"pass -C{key}=VALUE"
    )
