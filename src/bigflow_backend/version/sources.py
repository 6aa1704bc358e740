"""The sources of a version, in their order."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.version.archival import NotFilledInError, from_archival, from_pkg_info
from bigflow_backend.version.model import HASH_DIGITS, SET_VERSION, ProjectVersion
from bigflow_backend.version.repository import (
    Checkout,
    OutsideGitError,
    Tags,
    find_checkout,
    find_tags,
)
from bigflow_backend.version.scheme import Version, following, parse
from bigflow_backend.version.static import as_one_content
from bigflow_backend.version.touched import Touched, touched
from bigflow_backend.version.worktree import read_work_tree, tree_hash

if TYPE_CHECKING:
    from bigflow_backend.version.worktree import WorkTree

_LISTED = 5
"""The number of skipped tags that a note lists."""


def project_version(
    root: Path,
    *,
    distribution: str,
    static: tuple[str, str] | None,
    tag_prefix: str,
    paths: tuple[str, ...] = (),
    revision: str | None = None,
    keep_static: bool = False,
) -> ProjectVersion:
    """Return the version of the project in ``root``. Wheel, image and DAGs all have it.

    ``distribution`` is the project's name. ``static`` is the version in its files, and the place.
    Only commits that touch ``paths`` count; without any, all do.
    The sources, in this order: ``BIGFLOW_VERSION``, ``SETUPTOOLS_SCM_PRETEND_VERSION_FOR_<NAME>``,
    ``SETUPTOOLS_SCM_PRETEND_VERSION``, the static version, PKG-INFO, git, ``.git_archival.txt``.
    It takes at most six git processes, and four for each submodule.

    A static version gets a local part unless this content owns it (``static``). With
    ``keep_static`` a note says so instead, because PEP 621 forbids a hook another version.

    With ``revision``, return the version of that commit in git. The variables and the work tree
    do not count then, because they describe the current build.

    :raises UserError: if no source has a valid version, or two sources contradict each other.
    """
    root = root.resolve()
    if revision is not None:
        if static is not None:
            raise UserError(
                f"the version of {revision!r} is not in git: it is set by {static[1]}",
                hint="print the file of that commit: git show REVISION:./FILE",
            )
        return _from_git(root, tag_prefix, paths, revision)
    stated = from_outside_git(root, distribution=distribution, static=static)
    if stated is not None and static is not None and stated.source == static[1]:
        if keep_static:
            return _kept(root, stated, static[0], tag_prefix, paths)
        return as_one_content(root, stated, static[0], tag_prefix=tag_prefix, paths=paths)
    if stated is not None:
        # A hook only needs the version.
        return stated if keep_static else replace(stated, commit=_commit(root, paths))
    try:
        return _from_git(root, tag_prefix, paths)
    except OutsideGitError as outside:
        try:
            archived = from_archival(root, tag_prefix)
        except NotFilledInError:
            if (root / ".git").exists():  # a new repository, not the result of `git archive`
                raise outside from None
            raise
        if archived is None:
            raise
        return archived


def from_outside_git(
    root: Path, *, distribution: str, static: tuple[str, str] | None
) -> ProjectVersion | None:
    """Return the version of a variable, the project's files or PKG-INFO, or None.

    These sources take precedence over git.

    :raises UserError: if the version is not valid, or a variable differs from ``version`` in
        ``[project]`` by more than a local part. PEP 621 forbids tools to change that field.
    """
    override = _override(distribution)
    fixed = static and _stated(*static)
    if override is None:
        return fixed or from_pkg_info(root, distribution)
    if fixed and "[project]" in fixed.source:
        if Version(override.text) == Version(fixed.text):
            return replace(fixed, source=override.source)
        if Version(override.text).public == Version(fixed.text).public:
            return override  # `bigflow build` gives other contents a local part
        raise UserError(
            f"{override.source} is {override.text}, but {fixed.source} is {fixed.text}",
            hint=f"unset {override.source}, or write in pyproject.toml, in place of the version:"
            ' dynamic = ["version"]',
        )
    return override


def _kept(
    root: Path, stated: ProjectVersion, text: str, tag_prefix: str, paths: tuple[str, ...]
) -> ProjectVersion:
    """Return the static version as it is, with a note if other contents have it, too."""
    try:
        found = as_one_content(root, stated, text, tag_prefix=tag_prefix, paths=paths)
    except UserError as error:
        return replace(stated, notes=(error.message,))
    if found.text == stated.text:
        return found
    note = (
        f"other contents have the version {stated}, too: this is {found};"
        " `bigflow build` gives the wheel that version"
    )
    return replace(found, text=stated.text, source=stated.source, notes=(note,))


def _commit(root: Path, paths: tuple[str, ...]) -> str | None:
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


def _override(distribution: str) -> ProjectVersion | None:
    own = re.sub(r"[-_.]+", "_", distribution).upper()
    for variable in (
        "BIGFLOW_VERSION",
        # CI jobs and packagers may already set these names:
        # https://setuptools-scm.readthedocs.io/en/latest/overrides/
        f"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{own}",
        "SETUPTOOLS_SCM_PRETEND_VERSION",
    ):
        text = os.environ.get(variable)
        if text:
            return _stated(text, variable)
    return None


def _stated(text: str, source: str) -> ProjectVersion:
    version = parse(text)
    if version is None:
        raise UserError(
            f"{source} is not a valid version (PEP 440): got {text!r}",
            hint="write a version such as 1.2.0, 1.2.0rc1 or 1.2.0+local",
        )
    return ProjectVersion(text=str(version), source=source, commit=None)


def _from_git(
    root: Path, tag_prefix: str, paths: tuple[str, ...], revision: str | None = None
) -> ProjectVersion:
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
