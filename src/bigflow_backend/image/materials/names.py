"""The names of materials in documents that leave this machine.

https://github.com/package-url/purl-spec
"""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import quote

from bigflow_backend.image.base.read import is_file_name
from bigflow_backend.image.reference import remote_name, without_credentials


def name_of(line: str) -> str:
    """Return the normalised name in ``name==version``, which may have extras."""
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(line.partition("==")[0].partition("[")[0].strip()))


def python_purl(line: str) -> str:
    """Return the package URL of ``name==version``."""
    return f"pkg:pypi/{name_of(line)}{at_version(line.partition('==')[2])}"


def at_version(number: str) -> str:
    """Return the version as a package URL has it, or nothing."""
    return f"@{quote(number, safe=':')}" if number else ""


def image_purl(name: str, digest: str | None) -> str | None:
    """Return the package URL of an image of a registry; None for a file, or without a digest."""
    if digest is None or is_file_name(name):
        return None
    found = remote_name(name)
    place = quote(f"{found.repository}", safe="")
    own = quote(found.path.rpartition("/")[2], safe="")
    return f"pkg:oci/{own}@{quote(digest, safe='')}?repository_url={place}&tag={quote(found.tag)}"


def public_name(image: str) -> str:
    """Return the name of a base image without credentials and without directories."""
    if not is_file_name(image):
        return without_credentials(image)
    transport, _, path = image.partition(":")
    return f"{transport}:{PurePosixPath(path).name}"
