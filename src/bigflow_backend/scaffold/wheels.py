"""The directory with the wheel of bigflow-backend, where no index has it.

uv and pip build a project in an environment of its own, and look there for the backend.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from bigflow_backend.ground.errors import UserError

_VARIABLES = ("PIP_FIND_LINKS", "UV_FIND_LINKS")
_WHEEL = "bigflow_backend-*.whl"


def relative_links(text: str, root: Path) -> str:
    """Return ``--find-links`` as pyproject.toml in ``root`` has it.

    :raises UserError: if it is not a directory with the wheel.
    """
    directory = Path(text)
    if not _has_wheel(directory):
        raise UserError(
            f"--find-links must be a directory with a wheel of bigflow-backend: got {text}",
            hint=f"give the directory that has {_WHEEL}",
        )
    if directory.is_absolute():
        return text
    return Path(os.path.relpath(directory.absolute(), root.absolute())).as_posix()


def missing_variables() -> str:
    """Return a line for the shell that sets the variables which uv and pip lack.

    It is empty if an index may have bigflow-backend: no variable names a directory with its wheel.
    """
    found = {name: next(filter(_has_wheel, _directories(name)), None) for name in _VARIABLES}
    directory = next(filter(None, found.values()), None)
    lacking = [name for name, place in found.items() if place is None]
    if directory is None or not lacking:
        return ""
    return " ".join(["export", *(f"{name}={directory}" for name in lacking)])


def _directories(variable: str) -> Iterator[Path]:
    separator = "," if variable.startswith("UV") else " "
    for text in re.split(separator, os.environ.get(variable, "")):
        if text:
            yield Path(text.removeprefix("file://"))


def _has_wheel(directory: Path) -> bool:
    return directory.is_dir() and any(directory.glob(_WHEEL))
