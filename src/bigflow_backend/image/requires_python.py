"""The Python that the project's wheel requires, against the Python of the base image."""

from __future__ import annotations

import email.parser
import zipfile
from pathlib import Path

from bigflow_backend.ground.errors import UserError


def check_python(wheel: Path, version: str, base: str) -> None:
    """Check that the wheel can be installed for a Python of that version.

    :param version: such as ``3.12.4``.
    :param base: the name of the base image, for the message.

    :raises UserError: if its ``Requires-Python`` excludes the version.
    """
    from packaging.specifiers import SpecifierSet

    required = required_python(wheel)
    if required and not SpecifierSet(required).contains(version, prereleases=True):
        raise UserError(
            f"the base image {base} has Python {version}, but the project requires {required}",
            hint="use a base image with such a Python: --base-image, or base-image in"
            " [tool.bigflow.image]; or correct requires-python",
        )


def required_python(wheel: Path) -> str | None:
    """Return the ``Requires-Python`` of a wheel, wherever its project states it."""
    with zipfile.ZipFile(wheel) as archive:
        name = next((n for n in archive.namelist() if n.endswith(".dist-info/METADATA")), None)
        if name is None:
            return None
        return email.parser.BytesHeaderParser().parsebytes(archive.read(name))["Requires-Python"]
