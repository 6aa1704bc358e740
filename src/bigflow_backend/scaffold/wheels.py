"""The directory with the wheel of bigflow-backend, where no index has it.

uv and pip build a project in an environment of its own, and look there for the backend.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bigflow_backend.ground.errors import UserError
from bigflow_backend.wheel.own import NAME

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

    It is empty if an index may have bigflow-backend: no variable names a directory with its wheel,
    and it was not installed from a file.
    """
    found = {name: next(filter(_has_wheel, _directories(name)), None) for name in _VARIABLES}
    directory = next(filter(None, found.values()), None) or _installed_from()
    lacking = [name for name, place in found.items() if place is None]
    if directory is None or not lacking:
        return ""
    return " ".join(
        ["export", *(f"{name}={shlex.quote(str(directory.absolute()))}" for name in lacking)]
    )


def _installed_from() -> Path | None:
    """Return the directory of the wheel that was installed by its path.

    https://packaging.python.org/en/latest/specifications/direct-url/
    """
    try:
        document = json.loads(distribution(NAME).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return None
    place = urlsplit(str(document.get("url", "")))
    directory = Path(unquote(place.path)).parent
    is_file = place.scheme == "file" and "archive_info" in document
    return directory if is_file and _has_wheel(directory) else None


def _directories(variable: str) -> Iterator[Path]:
    separator = "," if variable.startswith("UV") else " "
    for text in re.split(separator, os.environ.get(variable, "")):
        if text:
            yield Path(text.removeprefix("file://"))


def _has_wheel(directory: Path) -> bool:
    return directory.is_dir() and any(directory.glob(_WHEEL))
