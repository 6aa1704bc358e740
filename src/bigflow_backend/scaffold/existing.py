"""Code that is there already -> the choices for its project."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import read_bounded
from bigflow_backend.ground.limits import PROJECT_FILE
from bigflow_backend.scaffold.model import CiSystem, NewProject, default_repository, package_name

_NOT_PACKAGES = {"test", "tests", "docs", "build", "dist"}
_WORKFLOW = re.compile(rb"\bWorkflow\s*\(")


def existing_project(
    root: Path,
    pyproject: Mapping[str, Any],
    *,
    package: str | None,
    docker_repository: str | None,
    ci: CiSystem | None,
) -> NewProject:
    """Return the choices for the code in ``root``.

    :raises UserError: if the package is not clear.
    """
    name = pyproject.get("project", {}).get("name")
    if not isinstance(name, str) or not name:
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", root.name).strip("-._") or "pipelines"
    layout, package = _package(root, package, package_name(name))
    return NewProject(
        name=name,
        package=package,
        layout="src" if layout else "flat",
        docker_repository=docker_repository or default_repository(name),
        ci=ci,
    )


def has_workflow(package: Path) -> bool:
    """Return True if a module of the package seems to define a workflow; nothing is imported."""
    return any(
        _WORKFLOW.search(read_bounded(module, PROJECT_FILE)) is not None
        for module in sorted(package.rglob("*.py"))
        if module.is_file()
    )


def _package(root: Path, wanted: str | None, default: str) -> tuple[bool, str]:
    """Return whether the package is in ``src/``, and its name."""
    found = {
        (place == "src", init.parent.name)
        for place in (".", "src")
        for init in (root / place).glob("*/__init__.py")
        if init.parent.name not in _NOT_PACKAGES
    }
    if wanted is not None:
        return next((row for row in found if row[1] == wanted), ((root / "src").is_dir(), wanted))
    for row in found:
        if row[1] == default:
            return row
    if len(found) > 1:
        names = ", ".join(sorted(name for _, name in found))
        raise UserError(
            f"{root} has several packages: {names}",
            hint="name the one with the pipelines: bigflow init --package NAME",
        )
    return next(iter(found), ((root / "src").is_dir(), default))
