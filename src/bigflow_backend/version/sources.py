"""The order in which the sources of a version are asked."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.version.archive import from_archival, from_pkg_info
from bigflow_backend.version.model import HASH_DIGITS, ProjectVersion
from bigflow_backend.version.repository import (
    Checkout,
    OutsideGitError,
    Tags,
    distance,
    find_checkout,
    find_tags,
)
from bigflow_backend.version.scheme import Version, following, parse
from bigflow_backend.version.worktree import read_work_tree, tree_hash

if TYPE_CHECKING:
    from bigflow_backend.version.worktree import WorkTree

_NAMED = 5
"""How many of the tags that are passed over are named."""


def project_version(
    root: Path,
    *,
    distribution: str,
    static: tuple[str, str] | None,
    tag_prefix: str,
    revision: str | None = None,
) -> ProjectVersion:
    """The version of the project in ``root``: the same for wheel, image, DAGs and command line.

    ``distribution`` is its name, ``static`` the version that its files state, and where.
    The sources, in this order: ``BIGFLOW_VERSION``, ``SETUPTOOLS_SCM_PRETEND_VERSION_FOR_<NAME>``,
    ``SETUPTOOLS_SCM_PRETEND_VERSION``, the static version, PKG-INFO, git, ``.git_archival.txt``.
    At most four git processes.

    With ``revision`` the question is another: which version git gives to that commit. The work
    tree and the variables, which speak of what is being built, do not matter then.

    :raises UserError: when the version cannot be told, or two sources contradict each other.
    """
    root = root.resolve()
    if revision is not None:
        if static is not None:
            raise UserError(
                f"the version is stated ({static[1]}): git does not know that of {revision!r}",
                hint="see the file as it was then: git show REVISION:./FILE",
            )
        return _from_git(root, tag_prefix, revision)
    stated = from_outside_git(root, distribution=distribution, static=static)
    if stated is not None:
        return stated
    try:
        return _from_git(root, tag_prefix)
    except OutsideGitError:
        archived = from_archival(root, tag_prefix)
        if archived is None:
            raise
        return archived


def from_outside_git(
    root: Path, *, distribution: str, static: tuple[str, str] | None
) -> ProjectVersion | None:
    """The version that takes precedence over git's, if there is one: a variable's, the static one
    or PKG-INFO's.

    :raises UserError: for one that is no version, and for a variable that differs from the
        ``version`` of ``[project]``, which no tool may change (PEP 621).
    """
    override = _override(distribution)
    fixed = static and _stated(*static)
    if override is None:
        return fixed or from_pkg_info(root, distribution)
    if fixed and "[project]" in fixed.source:
        if Version(override.text) == Version(fixed.text):
            return fixed
        raise UserError(
            f"{override.source} is {override.text}, but {fixed.source} is {fixed.text}",
            hint=f"unset {override.source}, or replace the version in pyproject.toml by"
            ' dynamic = ["version"]',
        )
    return override


def refuse_shallow(checkout: Checkout) -> None:
    """:raises UserError: in a shallow clone, which does not have the tags and the distance."""
    if checkout.shallow:
        raise UserError(
            f"{checkout.top} is a shallow clone: its history, and the tags in it, are cut off",
            hint="git fetch --unshallow --tags; or set BIGFLOW_VERSION to the version, as 1.2.0",
        )


def _override(distribution: str) -> ProjectVersion | None:
    own = re.sub(r"[-_.]+", "_", distribution).upper()
    for variable in (
        "BIGFLOW_VERSION",
        # The names that CI and packagers of distributions already set:
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
            f"{source} is {text!r}, which is no version (PEP 440)",
            hint="write one such as 1.2.0, 1.2.0rc1 or 1.2.0+local",
        )
    return ProjectVersion(text=str(version), source=source, commit=None)


def _from_git(root: Path, tag_prefix: str, revision: str | None = None) -> ProjectVersion:
    checkout = find_checkout(root, revision)
    tags = find_tags(checkout, tag_prefix)
    tree = read_work_tree(checkout.top) if revision is None else None
    changed = tree.changes if tree is not None else ()
    base = tags.highest
    names = tags.naming(base) if base else []
    if not changed and tags.here.intersection(names):
        return _on_tag(checkout, tags, tags.here, tree)
    count = distance(checkout, names)
    if not changed and base and count == 0:  # a tag of a tag, which is not seen to be here
        return _on_tag(checkout, tags, names, tree)
    if not changed and tags.here:
        return _on_tag(checkout, tags, tags.here, tree)
    refuse_shallow(checkout)
    local = f"g{checkout.commit[:HASH_DIGITS]}"
    source = f"git tag {names[-1]}" if base else "git, no tag"
    if base and count:
        source = f"{_counted(count, 'commit')} after {source}"
    if changed:
        local += f".t{tree_hash(changed)[:HASH_DIGITS]}"
        source += f", {_counted(len(changed), 'changed file')}"
    return ProjectVersion(
        text=following(base, count, local),
        source=source,
        commit=checkout.commit,
        notes=() if base else (_no_tag(tags, tag_prefix),),
        work_tree=tree,
    )


def _on_tag(
    checkout: Checkout, tags: Tags, here: Collection[str], tree: WorkTree | None
) -> ProjectVersion:
    name = max(here, key=lambda name: (tags.versions[name], name))
    version = tags.versions[name]
    elsewhere = (v for other, v in tags.versions.items() if other not in here)
    before = max(elsewhere, default=None)
    return ProjectVersion(
        text=str(version),
        source=f"git tag {name}",
        commit=checkout.commit,
        notes=_backwards(version, before) if before else (),
        work_tree=tree,
    )


def _backwards(version: Version, before: Version) -> tuple[str, ...]:
    built = Version(following(before, 1, "g"))
    note = (
        f"{version} sorts before {built.public}, which commits after {before} have been given:"
        " pip will not take it for an upgrade of those"
    )
    return (note,) if version < built else ()


def _no_tag(tags: Tags, prefix: str) -> str:
    wanted = f"`{prefix}v1.2.0`" if prefix else "`v1.2.0` or `1.2.0`"
    there = ", ".join(tags.passed_over[:_NAMED]) + (", ..." if tags.passed_over[_NAMED:] else "")
    return (
        f"no tag like {wanted} leads here, so the version counts from 0.0; `bigflow release`"
        " makes the first, `git fetch --tags` gets those of the remote"
        + (f"; passed over: {there}" if there else "")
    )


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
