"""The commits between two sides."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bigflow_backend.version import git

_MOST = 1000
_HASH = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True)
class Commit:
    """A commit that only one of two sides has."""

    hash: str
    date: str
    author: str
    subject: str
    is_new: bool
    """True if NEW has it and OLD has not; False for the other way round."""


def commits_between(root: Path, old: str | None, new: str | None) -> tuple[Commit, ...] | str:
    """Return the commits that only one side has, the newest first; or why they are not known."""
    for commit, side in ((old, "OLD"), (new, "NEW")):
        if commit is None:
            return f"the commit of {side} is not known"
        if not _HASH.fullmatch(commit):  # an image of a registry may state anything
            return f"the commit of {side} is not valid"
    if not any((directory / ".git").exists() for directory in (root, *root.parents)):
        return f"{root} is not in a git repository"
    for commit in (old, new):
        if git.query(root, "cat-file", "-e", f"{commit}^{{commit}}").status:
            return f"the git repository does not have the commit {commit}"
    form = "--format=%m%x00%H%x00%cs%x00%an%x00%s"
    result = git.query(root, "log", "--left-right", "-n", str(_MOST), form, f"{old}...{new}")
    if result.status:
        return f"git log: {result.reason}"
    return tuple(_commit(*line.split("\0", 4)) for line in result.lines)


def _commit(mark: str, commit: str, date: str, author: str, subject: str) -> Commit:
    return Commit(commit, date, author, subject, mark == ">")
