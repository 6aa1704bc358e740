"""A version that the project's files state, with a local part for all contents but one.

The plain version belongs to one content: a clean commit with its tag or, without a tag, the commit
that wrote the version into its file. Each other content gets a local part, as versions from git do:
``0.1.0+g<commit>``, and ``.t<hash of the changes>``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import read_text
from bigflow_backend.version import git
from bigflow_backend.version.model import HASH_DIGITS, ProjectVersion
from bigflow_backend.version.repository import (
    OutsideGitError,
    find_checkout,
    find_tags,
    git_error,
    tag_names,
)
from bigflow_backend.version.scheme import Version, tagged
from bigflow_backend.version.touched import Touched, touched
from bigflow_backend.version.worktree import read_work_tree, tree_hash

if TYPE_CHECKING:
    from bigflow_backend.version.worktree import Change


def as_one_content(
    root: Path, stated: ProjectVersion, text: str, *, tag_prefix: str, paths: tuple[str, ...]
) -> ProjectVersion:
    """Return the version ``stated``, with a local part unless this content owns the plain version.

    ``text`` is the version as the file has it. Outside git, in an unpacked sdist, and if git cannot
    read the repository, the version stays as it is. So does a version that ``setup()`` computes.

    :raises UserError: if the variable ``CI`` is set and files are changed; or as
        :func:`read_work_tree`.
    """
    if (root / "PKG-INFO").exists():
        return stated
    try:
        checkout = find_checkout(root)
    except UserError as error:
        note = f"the version {stated} can name several contents: {error.message}"
        return stated if isinstance(error, OutsideGitError) else replace(stated, notes=(note,))
    found = touched(checkout, root, paths)
    tree = read_work_tree(checkout.top)
    changed = found.changes(tree)
    known = replace(stated, commit=found.commit, work_tree=tree)
    if _is_computed(root, stated, text):
        return known
    if changed and os.environ.get("CI"):
        raise UserError(
            f"the version {stated} would name another content: {_counted(changed)} changed, such as"
            f" {changed[0]}",
            hint="build the commit as it is; `git status` lists the changes",
        )
    if not changed:
        owner = _owner(root, found, known, text, tag_prefix)
        if owner is not None:
            return owner
    local = f"g{found.commit[:HASH_DIGITS]}"
    source = f"{stated.source}, commit {found.commit[:HASH_DIGITS]}"
    if changed:
        local += f".t{tree_hash(changed)[:HASH_DIGITS]}"
        source += f", {_counted(changed)} changed"
    separator = "." if Version(stated.text).local else "+"
    return replace(known, text=f"{stated.text}{separator}{local}", source=source)


def _counted(changed: Sequence[Change]) -> str:
    return f"{len(changed)} file{'' if len(changed) == 1 else 's'}"


def _is_computed(root: Path, stated: ProjectVersion, text: str) -> bool:
    """Return True if the setup script does not have the text of the version."""
    file = root / _file(stated)
    return file.suffix == ".py" and file.is_file() and text not in read_text(file)


def _owner(
    root: Path, found: Touched, stated: ProjectVersion, text: str, tag_prefix: str
) -> ProjectVersion | None:
    """Return the plain version if this commit owns it, else None."""
    version = Version(stated.text)
    named = [t for t in tag_names(found.checkout.top) if tagged(t, tag_prefix) == version]
    if named:
        if not found.is_tagged(named, find_tags(found.checkout, tag_prefix)):
            return None
        return replace(stated, source=f"{stated.source}, git tag {named[0]}")
    if not _wrote_version(root, found, stated, text):
        return None
    note = (
        f"{stated} has no git tag: tag this commit, so that only this content has the version:"
        f" git tag {tag_prefix}v{stated}"
    )
    return replace(stated, notes=(note,))


def _wrote_version(root: Path, found: Touched, stated: ProjectVersion, text: str) -> bool:
    """Return True if this commit is the only one that wrote the version into its file."""
    if found.checkout.shallow:
        return False
    result = git.query(
        root, "log", "--format=%H", "--full-history", f"-S{text}",
        found.checkout.commit, "--", _file(stated),
    )  # fmt: skip
    if result.status:
        raise git_error(root, result)
    return result.lines == [found.commit]


def _file(stated: ProjectVersion) -> str:
    """Return the file of the version, which is a word of its place."""
    if "[tool.setuptools.dynamic]" in stated.source:  # it names another file, or a module
        return "."
    words = stated.source.split()
    return next((word for word in words if word.endswith((".py", ".toml"))), ".")
