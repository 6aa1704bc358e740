"""``pyproject.toml`` -> its tables, and what ``[tool.setuptools.dynamic]`` refers to.

https://setuptools.pypa.io/en/latest/userguide/pyproject_config.html#dynamic-metadata
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import has_file, read_bounded, read_text
from bigflow_backend.ground.foreign.toml import parse_toml
from bigflow_backend.ground.limits import PROJECT_FILE
from bigflow_backend.project.setup_script import literal_constants

LEGACY_BACKEND = "bigflow.build.meta"
"""The build backend of projects of BigFlow 1.x."""
BACKENDS = ("bigflow_backend", LEGACY_BACKEND)
"""The build backends of a project: the current name, and the old name."""

VERSION_KEY = "pyproject.toml [tool.setuptools.dynamic] version"

_TABLES = ("build-system", "project", "bigflow-project", "tool")


def read_pyproject(root: Path) -> dict[str, Any]:
    """Return the parsed ``pyproject.toml`` of the project; empty without such a file.

    :raises UserError: if the file cannot be read, is not TOML, or has a value instead of a table.
    """
    path = root / "pyproject.toml"
    if not has_file(path):
        return {}
    try:
        parsed = parse_toml(read_text(path))
    except ValueError as error:
        raise UserError(
            f"pyproject.toml is not valid TOML: {error}", hint="fix that line"
        ) from error
    for name in _TABLES:
        if not isinstance(parsed.get(name, {}), dict):
            raise UserError(
                f"pyproject.toml: {name} must be a table: got {parsed[name]!r}",
                hint=f"write [{name}], and its keys below",
            )
    dynamic = parsed.get("project", {}).get("dynamic", [])
    if not isinstance(dynamic, list):
        raise UserError(
            f"pyproject.toml: [project] dynamic must be a list of strings: got {dynamic!r}",
            hint='write dynamic = ["version"]',
        )
    return parsed


def dynamic_table(pyproject: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return ``[tool.setuptools.dynamic]``; empty if it is missing or not a table.

    Setuptools itself refuses a value that is not a table.
    """
    table: Any = pyproject
    for key in ("tool", "setuptools", "dynamic"):
        table = table.get(key, {})
        if not isinstance(table, dict):
            return {}
    return dict(table)


def metadata_files(pyproject: Mapping[str, Any]) -> Iterator[str]:
    """Yield the files that contain metadata, relative to the project."""
    table = pyproject.get("project", {})
    readme, license_ = table.get("readme"), table.get("license")
    for value in (
        readme.get("file") if isinstance(readme, dict) else readme,
        license_.get("file") if isinstance(license_, dict) else None,
    ):
        if isinstance(value, str):
            yield value
    for directive in dynamic_table(pyproject).values():
        files = directive.get("file", []) if isinstance(directive, dict) else []
        yield from [files] if isinstance(files, str) else files


def dynamic_version(root: Path, source: Path, pyproject: Mapping[str, Any]) -> str | None:
    """Return the version that the dynamic table takes from a ``file`` or an ``attr``, or None.

    ``root`` is the project, ``source`` the directory with its packages. A module is parsed, not
    imported.

    :raises UserError: if the file cannot be read, or the attribute is not a plain string.
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
    return "\n".join(read_text(root / str(name)) for name in files).strip()


def _attribute(source: Path, attribute: str) -> str:
    module, _, name = attribute.rpartition(".")
    stem = source.joinpath(*module.split("."))
    file = next((p for p in (stem.with_suffix(".py"), stem / "__init__.py") if has_file(p)), None)
    if file is not None:
        try:
            value = literal_constants(ast.parse(read_bounded(file, PROJECT_FILE))).get(name)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise UserError(f"{file}: {error}", hint="fix that line") from error
        if value is not None:
            return value
    raise UserError(
        f"{VERSION_KEY}: no module assigns a plain string to {attribute}",
        hint=f'write {name} = "1.2.0" in the module; or remove the entry, and use a git tag',
    )
