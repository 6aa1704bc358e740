"""The filters of a repository's own configuration, which ``git status`` would run.

A filter is a command that converts a file: https://git-scm.com/docs/gitattributes#_filter
The user's configuration has the user's commands. That of a repository can come from a stranger, in
an archive or a shared directory, and a look at a version should not run it. Two tools write theirs
there; these exact commands run programs of PATH.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bigflow_backend.version import git

_KEYS = re.compile(r"filter\.(?P<name>.*)\.(?P<key>clean|smudge|process|required)", re.DOTALL)
# git-lfs runs the commands of its extensions itself.
_EXTENSION = "lfs.extension."
_OF_A_REPOSITORY = {b"local", b"worktree"}
_WELL_KNOWN = re.compile(
    # `git lfs install --local`, as in GitHub's checkout; it may skip the download
    r"git-lfs (?:(?:clean|smudge|smudge --skip) -- %f|filter-process(?: --skip)?)"
    # `git-crypt init`
    r'|"git-crypt" (?:clean|smudge)(?: --key-name=[\w-]+)?'
)


@dataclass(frozen=True)
class Filters:
    """The filters that do not run."""

    names: tuple[str, ...] = ()
    configuration: Mapping[str, str] = field(default_factory=dict)
    """Settings of git in their place: those of the user, or none."""


def own_filters(directory: Path, variables: Mapping[str, str]) -> Filters:
    """Return the filters of the repository's own configuration. It takes one process.

    Git before 2.26 does not say where a setting comes from; then the result is empty.
    """
    result = git.query(
        directory, "config", "--show-scope", "--null", "--get-regexp", rf"^filter\.|^{_EXTENSION}",
        variables=variables,
    )  # fmt: skip
    users: dict[str, str] = {}
    effective: dict[str, str] = {}
    parts = result.out.split(b"\0")
    for scope, entry in zip(parts[::2], parts[1::2], strict=False):
        key, _, value = entry.decode("utf-8", "surrogateescape").partition("\n")
        effective[key] = value
        if scope not in _OF_A_REPOSITORY:
            users[key] = value
    names = {
        match["name"]
        for key, value in effective.items()
        if (match := _KEYS.fullmatch(key))
        and match["key"] != "required"
        and value != users.get(key)
        and not _WELL_KNOWN.fullmatch(value)
    }
    if any(k.startswith(_EXTENSION) and v != users.get(k) for k, v in effective.items()):
        names.add("lfs")
        users = {k: v for k, v in users.items() if not k.startswith("filter.lfs.")}
    return Filters(
        names=tuple(sorted(names)),
        configuration={
            key: users.get(key, "")
            for key in effective
            if (match := _KEYS.fullmatch(key)) and match["name"] in names
        },
    )
