"""Commits and tags -> the version of a work tree or of a revision."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.version.model import HASH_DIGITS, SET_VERSION, ProjectVersion
from bigflow_backend.version.repository import Checkout, Tags, find_checkout, find_tags
from bigflow_backend.version.scheme import Version, following
from bigflow_backend.version.touched import Touched, touched
from bigflow_backend.version.worktree import read_work_tree, tree_hash

if TYPE_CHECKING:
    from bigflow_backend.version.worktree import WorkTree

_LISTED = 5
"""The number of skipped tags that a note lists."""


def from_git(
    root: Path, tag_prefix: str, paths: tuple[str, ...], revision: str | None = None
) -> ProjectVersion:
    """Return the version of the work tree, or of ``revision``, from the tags before it.

    :raises OutsideGitError: if ``root`` is not in a repository.
    :raises UserError: if git fails, ``revision`` is not a commit, or the clone is shallow.
    """
    checkout = find_checkout(root, revision)
    found = touched(checkout, root, paths)
    tags = find_tags(checkout, tag_prefix)
    tree = read_work_tree(checkout.top) if revision is None else None
    changed = found.changes(tree) if tree is not None else ()
    base = tags.highest
    names = tags.naming(base) if base else []
    if not changed and tags.here.intersection(names):
        return _on_tag(found, tags, tags.here, tree)
    count = found.distance(names)
    # A tag of a tag, which `tags.here` lacks; or no later commit touches the paths.
    if not changed and base and count == 0:
        return _on_tag(found, tags, names, tree)
    if not changed and tags.here:
        return _on_tag(found, tags, tags.here, tree)
    check_full_history(checkout)
    local = f"g{found.commit[:HASH_DIGITS]}"
    source = f"git tag {names[-1]}" if base else "git, no tag"
    if base and count:
        source = f"{_counted(count, 'commit')} after {source}"
    if changed:
        local += f".t{tree_hash(changed)[:HASH_DIGITS]}"
        source += f", {_counted(len(changed), 'changed file')}"
    return ProjectVersion(
        text=following(base, count, local),
        source=source,
        commit=found.commit,
        notes=(
            *(() if base else (_no_tag(tags, tag_prefix),)),
            *(_skipped_filters(tree) if tree is not None and changed else ()),
        ),
        work_tree=tree,
    )


def commit_of(root: Path, paths: tuple[str, ...]) -> str | None:
    """Return the commit of the project, or None if git does not know it."""
    if (root / "PKG-INFO").exists():
        return None
    try:
        return touched(find_checkout(root), root, paths).commit
    except UserError:
        return None


def check_full_history(checkout: Checkout) -> None:
    """Check that the clone has all tags and commits.

    :raises UserError: if the clone is shallow.
    """
    if checkout.shallow:
        raise UserError(
            f"{checkout.top} is a shallow clone: its history and its tags are incomplete",
            hint=f"git fetch --unshallow --tags; or {SET_VERSION}",
        )


def _on_tag(
    found: Touched, tags: Tags, here: Collection[str], tree: WorkTree | None
) -> ProjectVersion:
    name = max(here, key=lambda name: (tags.versions[name], name))
    version = tags.versions[name]
    elsewhere = (v for other, v in tags.versions.items() if other not in here)
    before = max(elsewhere, default=None)
    return ProjectVersion(
        text=str(version),
        source=f"git tag {name}",
        commit=found.commit,
        notes=_backwards(version, before) if before else (),
        work_tree=tree,
    )


def _backwards(version: Version, before: Version) -> tuple[str, ...]:
    built = Version(following(before, 1, "g"))
    note = (
        f"{version} sorts before {built.public}, the version of commits after {before}:"
        " pip does not install it as an upgrade of them"
    )
    return (note,) if version < built else ()


def _no_tag(tags: Tags, prefix: str) -> str:
    wanted = f"`{prefix}v1.2.0`" if prefix else "`v1.2.0` or `1.2.0`"
    skipped = ", ".join(tags.skipped[:_LISTED]) + (", ..." if tags.skipped[_LISTED:] else "")
    return (
        f"this commit has no version tag such as {wanted} before it: the version starts at 0.0;"
        " create a tag with `bigflow release`, or get the remote's tags with `git fetch --tags`"
        + (f"; skipped tags: {skipped}" if skipped else "")
    )


def _skipped_filters(tree: WorkTree) -> tuple[str, ...]:
    if not tree.skipped_filters:
        return ()
    note = (
        f"the filter {', '.join(tree.skipped_filters)} of the repository's own configuration does"
        " not run, so a file that it converts can count as changed; a filter of your own"
        " configuration runs: see docs/reference/versions.md"
    )
    return (note,)


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
