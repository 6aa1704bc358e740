"""An existing pyproject.toml -> the same file with the tables that a build needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import read_text
from bigflow_backend.project.pyproject import BACKENDS

if TYPE_CHECKING:
    from bigflow_backend.scaffold.model import NewProject


def completed_pyproject(path: Path, project: NewProject) -> str | None:
    """Return the new text of the file, or None if it lacks nothing. Comments stay.

    :raises UserError: if it cannot be read, or is not valid TOML.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    text = read_text(path)
    try:
        document: Any = tomlkit.parse(text)
        _complete(document, project)
    except (TOMLKitError, AttributeError, TypeError) as error:
        raise UserError(f"cannot complete {path.name}: {error}", hint="fix that line") from error
    new = tomlkit.dumps(document)
    return None if new == text else new


def _complete(document: Any, project: NewProject) -> None:
    import tomlkit

    system = document.setdefault("build-system", tomlkit.table())
    if system.get("build-backend") not in BACKENDS:
        system["requires"] = ["bigflow-backend"]
        system["build-backend"] = BACKENDS[0]
    metadata = document.get("project")
    if metadata is not None:
        if "version" not in metadata and "version" not in metadata.get("dynamic", []):
            metadata.setdefault("dynamic", tomlkit.array()).append("version")
        if "dependencies" not in {*metadata, *metadata.get("dynamic", [])}:
            metadata["dependencies"] = []
    tool = document.setdefault("tool", tomlkit.table(is_super_table=True))
    settings = tool.setdefault("bigflow", tomlkit.table())
    settings.setdefault("package", project.package)
    if project.layout == "src":
        settings.setdefault("source-directory", "src")
    if project.find_links is not None:
        links = tool.setdefault("uv", tomlkit.table()).setdefault("find-links", tomlkit.array())
        if project.find_links not in links:
            links.append(project.find_links)
    # Hatch reads the version from a module; setuptools does so in its own words.
    module = tool.get("hatch", {}).get("version", {}).get("path")
    if module is not None and "version" in document.get("project", {}).get("dynamic", []):
        name = module.removeprefix(project.source).removesuffix(".py").replace("/", ".")
        source = tomlkit.inline_table()
        source["attr"] = f"{name}.__version__"
        setuptools = tool.setdefault("setuptools", tomlkit.table(is_super_table=True))
        setuptools.setdefault("dynamic", tomlkit.table()).setdefault("version", source)
