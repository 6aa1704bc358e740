"""The Python that the project's wheel requires, against the Python of the base image."""

from __future__ import annotations

import email.parser
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project


def check_python(required: str | None, version: str, base: str) -> None:
    """Check that a project can be installed for a Python of that version.

    :param required: the ``Requires-Python``; other checks report one that is not valid.
    :param version: such as ``3.12.4``.
    :param base: the name of the base image, for the message.

    :raises UserError: if the project excludes the version.
    """
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        allowed = SpecifierSet(required or "")
    except InvalidSpecifier:
        return
    if not allowed.contains(version, prereleases=True):
        raise UserError(
            f"the base image {base} has Python {version}, but the project requires {required}",
            hint="use a base image with such a Python: --base-image, or base-image in"
            " [tool.bigflow.image]; or correct requires-python",
        )


def stated_python(project: Project) -> str | None:
    """Return ``requires-python`` of ``[project]``; a setup script may state it elsewhere."""
    found = project.pyproject.get("project", {}).get("requires-python")
    return found if isinstance(found, str) else None


def required_python(wheel: Path) -> str | None:
    """Return the ``Requires-Python`` of a wheel, wherever its project states it."""
    with zipfile.ZipFile(wheel) as archive:
        name = next((n for n in archive.namelist() if n.endswith(".dist-info/METADATA")), None)
        if name is None:
            return None
        return email.parser.BytesHeaderParser().parsebytes(archive.read(name))["Requires-Python"]
