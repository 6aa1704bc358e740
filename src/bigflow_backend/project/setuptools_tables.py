"""What ``[tool.setuptools.dynamic]`` of pyproject.toml says, as setuptools reads it.

https://setuptools.pypa.io/en/latest/userguide/pyproject_config.html#dynamic-metadata
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.project.setup_source import literal_constants

VERSION_KEY = "pyproject.toml [tool.setuptools.dynamic] version"


def dynamic_table(pyproject: Mapping[str, Any]) -> Mapping[str, Any]:
    """The table; empty where it is absent, or is none, which setuptools will refuse."""
    table: Any = pyproject
    for key in ("tool", "setuptools", "dynamic"):
        table = table.get(key, {})
        if not isinstance(table, dict):
            return {}
    return dict(table)


def dynamic_files(pyproject: Mapping[str, Any]) -> Iterator[str]:
    """The files that the table reads metadata from, relative to the project."""
    for directive in dynamic_table(pyproject).values():
        files = directive.get("file", []) if isinstance(directive, dict) else []
        yield from [files] if isinstance(files, str) else files


def dynamic_version(root: Path, source: Path, pyproject: Mapping[str, Any]) -> str | None:
    """The version that the table names by ``file`` or ``attr``, or None when it names none.

    ``root`` is the project, ``source`` the directory that holds its packages. A module is read,
    not imported.

    :raises UserError: for a file that cannot be read, or an attribute that is no plain string.
    """
    directive = dynamic_table(pyproject).get("version")
    if not isinstance(directive, dict):
        return None
    if isinstance(directive.get("attr"), str):
        return _attribute(source, directive["attr"])
    files = directive.get("file")
    if isinstance(files, str):
        files = [files]
    if not isinstance(files, list):
        return None
    return "\n".join(_text(root / str(name)) for name in files).strip()


def _attribute(source: Path, attribute: str) -> str:
    module, _, name = attribute.rpartition(".")
    stem = source.joinpath(*module.split("."))
    file = next((p for p in (stem.with_suffix(".py"), stem / "__init__.py") if p.is_file()), None)
    if file is not None:
        try:
            value = literal_constants(ast.parse(file.read_bytes())).get(name)
        except (SyntaxError, ValueError) as error:
            raise UserError(f"{file}: {error}", hint="mend that line") from error
        if value is not None:
            return value
    raise UserError(
        f"{VERSION_KEY} is {attribute}, which no module states as a plain string",
        hint=f'write {name} = "1.2.0" there, or remove the entry, so that git gives the version',
    )


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(
            f"{VERSION_KEY}: cannot read {path}: {reason}", hint="check the file and its rights"
        ) from error
