"""The files of a repository that differ from another commit."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bigflow_backend.ground.errors import UserError
from bigflow_backend.version import git
from bigflow_backend.version.repository import Checkout, find_checkout, git_error
from bigflow_backend.version.worktree import read_work_tree


@dataclass(frozen=True)
class Changed:
    """The changes of a work tree since a commit."""

    top: Path
    """The top directory of the work tree."""
    since: str
    """The hash of the commit."""
    names: tuple[str, ...]
    """The changed, new and deleted tracked files, relative to the top, sorted."""

    def before(self, name: str) -> bytes | None:
        """Return the content of a file at the commit, or None if the commit does not have it."""
        result = git.query(self.top, "cat-file", "blob", f"{self.since}:{name}")
        return None if result.status else result.out


def changed_since(directory: Path, revision: str) -> Changed:
    """Return the changes since ``revision``, in the repository of ``directory``.

    The commit to compare with is the newest one that ``HEAD`` and ``revision`` have in common, so
    commits that only ``revision`` has do not count. Uncommitted changes of tracked files count.

    :raises UserError: if ``revision`` is not a commit, or has no commit in common with ``HEAD``.
    """
    here = find_checkout(directory)
    since = _common(here, find_checkout(directory, revision), revision)
    result = git.query(
        here.top, "diff-tree", "-r", "-z", "--name-only", "--no-renames", since, here.commit
    )
    if result.status:
        raise git_error(here.top, result)
    names = [name for name in result.out.split(b"\0") if name]
    names += [change.path for change in read_work_tree(here.top).changes]
    return Changed(here.top, since, tuple(sorted({os.fsdecode(name) for name in names})))


def tracked_files(directory: Path) -> list[Path]:
    """Return the tracked files at and below ``directory``, as absolute paths."""
    result = git.query(directory, "ls-files", "-z")
    if result.status:
        raise git_error(directory, result)
    return [directory / os.fsdecode(name) for name in result.out.split(b"\0") if name]


def _common(here: Checkout, there: Checkout, revision: str) -> str:
    result = git.query(here.top, "merge-base", here.commit, there.commit)
    if result.status > 1:
        raise git_error(here.top, result)
    if not result.lines:
        raise UserError(
            f"{revision} and HEAD have no commit in common"
            + (": the clone is shallow" if here.shallow else ""),
            hint="git fetch --unshallow" if here.shallow else "name a commit of this history",
        )
    return result.lines[0]
