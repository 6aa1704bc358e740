"""TOML, parsed within limits."""

from __future__ import annotations

import re
import sys
from typing import Any

from bigflow_backend.ground.limits import KEY_NAMES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Strings, names, dots, blanks, and single characters.
_TOKEN = re.compile(r"""("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[\w-]+)|(\.)|([ \t]+)|.""", re.DOTALL)
_NAME, _DOT, _BLANK = 1, 2, 3


def parse_toml(text: str) -> dict[str, Any]:
    """Return the values of a TOML document.

    :raises ValueError: if it is not valid, or its keys or values are nested too deeply.
    """
    if (line := _line_of_long_key(text)) is not None:
        raise ValueError(f"a key of more than {KEY_NAMES} names (at line {line})")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("its values are nested too deeply") from error


def _line_of_long_key(text: str) -> int | None:
    names, after_dot = 0, False
    for token in _TOKEN.finditer(text):
        kind = token.lastindex
        if kind == _NAME:
            names, after_dot = (names + 1 if after_dot else 1), False
        elif kind == _DOT:
            after_dot = True
        elif kind != _BLANK:
            names, after_dot = 0, False
        if names > KEY_NAMES:
            return text.count("\n", 0, token.start()) + 1
    return None
