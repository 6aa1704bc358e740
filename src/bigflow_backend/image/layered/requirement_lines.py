"""What stands in a file of requirements, as far as more than uv has to know it.

https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from bigflow_backend.ground.errors import UserError

_NAME = re.compile(r"(?P<name>[A-Za-z0-9]+(?:[._-]+[A-Za-z0-9]+)*)")
_FILE_OPTION = re.compile(r"(?:-r|--requirement)[= ]?\s*(?P<file>\S+)")
_LOCAL = re.compile(r"(?:-e|--editable)\b|\.{0,2}/|file:|[^#]*\s@\s+(?:file:|\.{0,2}/)")
_SOURCES = (
    "-i", "-f", "--index-url", "--extra-index-url", "--find-links", "--no-index", "--no-binary",
    "--only-binary",
)  # fmt: skip
# What pip takes in such a file and uv only in its command.
UV_FLAGS = {"--pre": "--prerelease=allow", "--trusted-host": "--allow-insecure-host"}


def named_lines(path: Path) -> dict[str, list[str]]:
    """The lines that ask for a distribution, by its normalised name."""
    found: dict[str, list[str]] = {}
    for line in _lines(path):
        if not line.startswith("-"):
            found.setdefault(canonical_name(line), []).append(line)
    return found


def source_options(path: Path) -> list[str]:
    """The lines that say where distributions come from."""
    return [line for line in _lines(path) if line.startswith(_SOURCES)]


def uv_flags(path: Path) -> Iterator[str]:
    """uv's words for the lines that it passes over in a file of requirements."""
    for line in _lines(path):
        name, *value = re.split(r"[=\s]\s*", line, maxsplit=1)
        if name in UV_FLAGS:
            yield "=".join((UV_FLAGS[name], *value))


def _lines(path: Path) -> Iterator[str]:
    """The lines of a file of requirements and of those that it includes, without comments."""
    text = path.read_text("utf-8").replace("\\\n", " ")
    for number, raw in enumerate(text.splitlines(), start=1):
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        if included := _FILE_OPTION.match(line):
            other = path.parent / included["file"]
            if other.is_file():  # else uv says so
                yield from _lines(other)
        elif _LOCAL.match(line):
            raise UserError(
                f"{path.name}, line {number}: {line} is a path of this machine",
                hint="build its wheel and hand it in by find-links",
            )
        elif line:
            yield line


def canonical_name(requirement: str) -> str:
    """The normalised name that a requirement starts with."""
    from packaging.utils import canonicalize_name

    match = _NAME.match(requirement)
    return str(canonicalize_name(match["name"])) if match else requirement
