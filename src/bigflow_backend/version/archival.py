"""The version in a copy of the project: ``PKG-INFO`` or ``.git_archival.txt``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import has_file, read_text
from bigflow_backend.version.model import HASH_DIGITS, SET_VERSION, ProjectVersion
from bigflow_backend.version.scheme import following, parse, tagged

if TYPE_CHECKING:
    from email.message import Message

ARCHIVAL = ".git_archival.txt"


class NotFilledInError(UserError):
    """`git archive` has not filled in the file."""


_WAYS_OUT = f"use a git clone or an sdist, or {SET_VERSION}"
_DESCRIBED = re.compile(r"(?P<tag>.+)-(?P<distance>\d+)-g[0-9a-f]+")


def from_pkg_info(root: Path, distribution: str) -> ProjectVersion | None:
    """Return the version in the PKG-INFO of an unpacked sdist, or None without the file.

    https://packaging.python.org/en/latest/specifications/source-distribution-format/

    :raises UserError: if the file belongs to another distribution, or has no valid version.
    """
    fields = _fields(root / "PKG-INFO")
    if fields is None:
        return None
    name, text = fields.get("Name", ""), fields.get("Version", "")
    if _normalised(name) != _normalised(distribution):
        raise UserError(
            f"{root / 'PKG-INFO'} belongs to {name!r}, not to {distribution!r}",
            hint="remove the file: only an unpacked sdist has it",
        )
    version = parse(text)
    if version is None:
        raise UserError(
            f"{root / 'PKG-INFO'}: Version is not a valid version (PEP 440): got {text!r}",
            hint="unpack the sdist again, or remove the file",
        )
    return ProjectVersion(text=str(version), source="PKG-INFO", commit=None)


def from_archival(root: Path, prefix: str) -> ProjectVersion | None:
    """Return the version that ``git archive`` wrote into the file, or None without the file.

    https://git-scm.com/docs/gitattributes#_creating_an_archive

    :raises UserError: if git did not fill in the file, or the file has no version tag.
    """
    fields = _fields(root / ARCHIVAL)
    if fields is None:
        return None
    node, described = fields.get("node", ""), fields.get("describe-name", "")
    if "$Format:" in node or not node:
        raise NotFilledInError(
            f"{root / ARCHIVAL} is not filled in: `git archive` did not create this copy,"
            " or .gitattributes has no line `.git_archival.txt export-subst`",
            hint=_WAYS_OUT,
        )
    names = [ref[5:] for ref in fields.get("ref-names", "").split(", ") if ref.startswith("tag: ")]
    here = {name: v for name in [*names, described] if (v := tagged(name, prefix))}
    if here:
        tag = max(here, key=lambda name: here[name])
        return ProjectVersion(text=str(here[tag]), source=f"{ARCHIVAL}, tag {tag}", commit=node)
    match = _DESCRIBED.fullmatch(described)
    base = match and tagged(match["tag"], prefix)
    if not match or not base:
        raise UserError(
            f"{root / ARCHIVAL} has no version tag: describe-name is {described!r}",
            hint=_WAYS_OUT,
        )
    return ProjectVersion(
        text=following(base, int(match["distance"]), f"g{node[:HASH_DIGITS]}"),
        source=f"{ARCHIVAL}, {match['distance']} commits after tag {match['tag']}",
        commit=node,
    )


def _fields(path: Path) -> Message | None:
    """Read the fields of a file, or return None without the file."""
    # Both files have the format of e-mail headers.
    import email

    return email.message_from_string(read_text(path)) if has_file(path) else None


def _normalised(name: str) -> str:
    # https://packaging.python.org/en/latest/specifications/name-normalization/
    return re.sub(r"[-_.]+", "-", name).lower()
