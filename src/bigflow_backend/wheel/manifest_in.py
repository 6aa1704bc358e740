"""``MANIFEST.in`` -> the files that an sdist has in addition.

https://setuptools.pypa.io/en/latest/userguide/miscellaneous.html
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import has_file, read_text
from bigflow_backend.wheel.content import is_junk


def apply_manifest(root: Path, names: frozenset[str], needed: frozenset[str]) -> set[str]:
    """Return ``names`` with the files that MANIFEST.in adds, without those that it excludes.

    All are relative to ``root``, the project, which must be the current directory. Files of git,
    builds and tools stay out, whatever the patterns match.

    :raises UserError: for an invalid line, a file outside the project, or if one of ``needed`` is
        excluded.
    """
    manifest = root / "MANIFEST.in"
    if not has_file(manifest):
        return set(names)
    from setuptools.command.egg_info import FileList
    from setuptools.errors import BaseError

    files = FileList()
    files.files = sorted(names)
    for number, line in _manifest_lines(manifest):
        try:
            files.process_template_line(line)
        except (BaseError, ValueError) as error:
            raise UserError(f"MANIFEST.in, line {number}: {error}", hint="fix that line") from error
        outside = next((n for n in files.files if _leaves(n)), None)
        if outside is not None:
            raise UserError(
                f"MANIFEST.in, line {number}: {outside} is not in the project",
                hint="copy the file into the project",
            )
    found = {os.path.normpath(n) for n in files.files}
    missing = sorted(n for n in needed if os.path.normpath(n) not in found)
    if missing:
        raise UserError(
            f"MANIFEST.in excludes {missing[0]}, which the build of the wheel needs",
            hint="remove the line that excludes it",
        )
    kept = {n for n in found if n in names or not is_left_behind(n, root)}
    return {n for n in kept if (root / n).is_file()}


def _leaves(name: str) -> bool:
    return os.path.isabs(name) or Path(os.path.normpath(name)).parts[0] == ".."  # noqa: PTH117


def _manifest_lines(manifest: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines without comments, joined at a backslash, with their first numbers."""
    pending = ""
    first = 0
    for number, line in enumerate((*read_text(manifest).splitlines(), ""), start=1):
        stripped = _MANIFEST_COMMENT.sub("", line).strip()
        first = first if pending else number
        pending += stripped.removesuffix("\\")
        if not stripped.endswith("\\"):
            if pending.strip():
                yield first, pending.strip()
            pending = ""


_MANIFEST_COMMENT = re.compile(r"(?<!\\)#.*")

_LEFT_BEHIND = frozenset({
    ".git", ".hg", ".svn", ".bzr", "CVS", "RCS", "_darcs",
    "build", "dist", ".image", ".dags",
    ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".nox",
})  # fmt: skip
"""Directories of version control, builds and tools."""


def is_left_behind(name: str, root: Path) -> bool:
    """Return True for a file of version control, a build, a tool or a virtual environment."""
    parts = Path(name).parts
    return (
        any(is_junk(part) for part in parts if part not in {".gitignore", ".gitkeep"})
        or parts[0] in _LEFT_BEHIND
        or not _LEFT_BEHIND.isdisjoint(p for p in parts if p.startswith("."))
        or parts[0].startswith(".bigflow-build-")
        or parts[0].endswith(".egg-info")
        or any((root / p / "pyvenv.cfg").is_file() for p in Path(name).parents[:-1])
    )
