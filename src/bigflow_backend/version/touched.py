"""The part of a repository that counts for the version of a project: ``version.paths``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.settings.places import place_of
from bigflow_backend.version import git
from bigflow_backend.version.repository import (
    LITERAL_PATHS,
    Checkout,
    Tags,
    distance,
    git_error,
)

if TYPE_CHECKING:
    from bigflow_backend.version.worktree import Change, WorkTree


@dataclass(frozen=True)
class Touched:
    """The last commit that changed the paths, at or before the commit of a checkout."""

    checkout: Checkout
    commit: str
    paths: tuple[str, ...]
    """Relative to the top of the repository; empty if the whole repository counts."""

    def changes(self, tree: WorkTree) -> tuple[Change, ...]:
        """Return the changed files below the paths."""
        return tuple(c for c in tree.changes if covers(self.paths, os.fsdecode(c.path)))

    def is_tagged(self, names: Sequence[str], tags: Tags) -> bool:
        """Return True if one of the tags is on this content: no later commit touches the paths."""
        before = [name for name in names if name in tags.versions]
        if tags.here.intersection(before):
            return True
        return bool(before and self.paths) and self.distance(before) == 0

    def distance(self, since: Sequence[str]) -> int:
        """Return the number of commits after the tags ``since`` that touch the paths."""
        return distance(self.checkout, since, self.paths)


def touched(checkout: Checkout, root: Path, paths: Sequence[str]) -> Touched:
    """Return the last commit that counts for the project in ``root``.

    ``paths`` are relative to ``root``. It takes one process if there are any.

    :raises UserError: if a path is outside the repository, or no commit touches the paths.
    """
    if not paths:
        return Touched(checkout, checkout.commit, ())
    inside = tuple(_in_repository(checkout.top, root, path) for path in paths)
    result = git.query(
        checkout.top, "log", "-1", "--format=%H", checkout.commit, "--", *inside,
        variables=LITERAL_PATHS,
    )  # fmt: skip
    if result.status:
        raise git_error(checkout.top, result)
    if not result.lines:
        if checkout.shallow:
            return Touched(checkout, checkout.commit, inside)
        raise UserError(
            f"{place_of('version.paths')} has no file of a commit: got {', '.join(paths)}",
            hint="correct the paths: they are relative to the project; or commit their files",
        )
    return Touched(checkout, result.lines[0], inside)


def covers(paths: Sequence[str], name: str) -> bool:
    """Return True if the file ``name`` is one of the paths or below one. No paths cover all."""
    return not paths or any(p in {".", name} or name.startswith(f"{p}/") for p in paths)


def _in_repository(top: Path, root: Path, path: str) -> str:
    name = os.path.relpath(os.path.normpath(root / path), top.resolve())
    if name == ".." or name.startswith("../"):
        raise UserError(
            f"{place_of('version.paths')} must be in the repository {top}: got {path!r}",
            hint='write paths relative to the project, such as [".", "../common"]',
        )
    return name
