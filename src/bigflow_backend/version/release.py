"""The next release: a tag, planned first, then made and pushed."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from bigflow_backend.ground.errors import UserError
from bigflow_backend.version import git
from bigflow_backend.version.repository import Tags, find_checkout, find_tags, no_answer
from bigflow_backend.version.scheme import Level, Version, bump, following, is_level, tagged
from bigflow_backend.version.sources import from_outside_git, refuse_shallow
from bigflow_backend.version.worktree import read_work_tree

_NAMED = 5
"""How many of the changed files are named."""
_PUSH_LIMIT = 600.0
"""Seconds for a push: it includes the hooks of both sides."""


@dataclass(frozen=True)
class ReleasePlan:
    """A release that can be made: nothing is in its way, and nothing is done yet."""

    top: Path
    """The top of the repository's work tree."""
    version: str
    previous: str | None
    """The highest version that is tagged on the way to the commit."""
    tag: str
    message: str
    """The tag's message."""
    commit: str
    """The full hash of the commit to tag."""
    remote: str | None
    """Where the tag is pushed to; None when it stays here."""
    ssh_command: str | None
    """What git runs to reach the remote, where an identity file was given."""

    @property
    def commands(self) -> tuple[str, ...]:
        """What will be run, as one would type it."""
        pushing = f"GIT_SSH_COMMAND={shlex.quote(self.ssh_command)} " if self.ssh_command else ""
        return (
            shlex.join(["git", *self.tag_arguments]),
            *([pushing + shlex.join(["git", *self.push_arguments])] if self.remote else []),
        )

    @property
    def tag_arguments(self) -> tuple[str, ...]:
        return ("tag", "--annotate", f"--message={self.message}", self.tag, self.commit)

    @property
    def push_arguments(self) -> tuple[str, ...]:
        # The tag alone, whatever push.followTags and push.recurseSubmodules say.
        return (
            "push", "--no-follow-tags", "--recurse-submodules=no",
            str(self.remote), f"refs/tags/{self.tag}",
        )  # fmt: skip


def plan_release(
    root: Path,
    *,
    distribution: str,
    static: tuple[str, str] | None,
    tag_prefix: str,
    wanted: str = "minor",
    push: bool = True,
    identity_file: Path | None = None,
) -> ReleasePlan:
    """The next release of the project in ``root``: ``wanted`` is a level (major, minor, patch) or
    a version. Nothing is changed, and no remote asked.

    The tag is written as the one before it, with or without ``v``. It goes to the remote that
    ``git push`` would take: the branch's ``pushRemote``, ``remote.pushDefault``, the upstream
    branch's remote, the only remote, ``origin``.

    :raises UserError: when git does not give the version, the work tree has changes, the version
        has a tag already or would sort before what this commit is now, or no remote can be told.
    """
    root = root.resolve()
    elsewhere = from_outside_git(root, distribution=distribution, static=static)
    if elsewhere is not None:
        raise UserError(
            f"{elsewhere.source} gives the version {elsewhere.text}: a tag would not change it",
            hint="change it there, or remove it, so that git gives the version",
        )
    checkout = find_checkout(root)
    refuse_shallow(checkout)
    _refuse_changes(checkout.top)
    tags = find_tags(checkout, tag_prefix)
    refs = _all_refs(checkout.top)
    version = _next_version(wanted, tags)
    prefix = tag_prefix
    everywhere = {name: v for name in refs.tags if (v := tagged(name, prefix))}
    taken = sorted(name for name in everywhere if everywhere[name] == version)
    if taken:
        raise UserError(
            f"the version {version} has a tag already: {taken[0]}",
            hint="release another: bigflow release [major|minor|patch|VERSION]",
        )
    remote = _remote(checkout.top, refs) if push else None
    return ReleasePlan(
        top=checkout.top,
        version=str(version),
        previous=str(tags.highest) if tags.highest else None,
        tag=f"{prefix}{_letter(tags.versions or everywhere, prefix)}{version}",
        message=f"{distribution} {version}",
        commit=checkout.commit,
        remote=remote,
        ssh_command=_ssh_command(checkout.top, identity_file) if remote and identity_file else None,
    )


def carry_out(plan: ReleasePlan) -> None:
    """Makes the tag and pushes it. When the push fails, or is interrupted, the tag is removed.

    :raises UserError: with git's words, when it cannot make the tag or push it.
    """
    made = git.run(plan.top, plan.tag_arguments)
    if made.status:
        raise _no_tag_made(plan, made)
    if plan.remote is None:
        return
    pushed = None
    variables = {"GIT_SSH_COMMAND": plan.ssh_command} if plan.ssh_command else {}
    try:
        pushed = git.run(plan.top, plan.push_arguments, variables=variables, limit=_PUSH_LIMIT)
    finally:
        if pushed is None or pushed.status:
            removed = git.run(plan.top, ["tag", "--delete", plan.tag])
            if removed.status:
                raise UserError(
                    f"the push failed, and the tag {plan.tag} cannot be removed: {removed.reason}",
                    hint=f"git tag --delete {plan.tag}",
                )
    if pushed.status:
        raise UserError(
            f"the tag {plan.tag} was not pushed to {plan.remote}, and is removed here:"
            f" {pushed.reason}",
            hint="mend that and release again; with --no-push the tag stays here",
        )


def _refuse_changes(top: Path) -> None:
    changed = read_work_tree(top).changes
    if changed:
        named = ", ".join(map(str, changed[:_NAMED])) + (", ..." if changed[_NAMED:] else "")
        raise UserError(
            f"{top} has changes that are not committed: {named}",
            hint="commit them, or put them aside by `git stash`: a release is a commit",
        )


def _next_version(wanted: str, tags: Tags) -> Version:
    version = bump(tags.highest, cast("Level", wanted)) if is_level(wanted) else _explicit(wanted)
    on_highest = tags.highest in {tags.versions[name] for name in tags.here}
    after = Version(following(tags.highest, 0, "g"))
    now = tags.highest if on_highest and tags.highest else after
    if version <= now:
        raise UserError(
            f"{version} would not sort after {now.public}, which this commit is already",
            hint=f"release {bump(tags.highest, 'patch')} or higher",
        )
    return version


def _explicit(wanted: str) -> Version:
    version = tagged(wanted, "")
    if version is None:
        raise UserError(
            f"{wanted!r} is neither a level nor a version of at least two numbers",
            hint="write major, minor, patch, or a version such as 1.2.0",
        )
    if version.local or version.dev is not None:
        raise UserError(
            f"{version} is no version to release: development and local versions are for builds",
            hint=f"release {version.base_version}, or {version.base_version}rc1",
        )
    return version


def _letter(versions: Mapping[str, Version], prefix: str) -> str:
    """The ``v`` of the highest version's tag, so that the tags of a project are all alike."""
    if not versions:
        return ""
    highest = max(versions, key=lambda name: (versions[name], name))
    return highest[len(prefix)] if highest[len(prefix)] in "vV" else ""


@dataclass(frozen=True)
class _Refs:
    tags: tuple[str, ...]
    push_remote: str | None
    """Where the branch is pushed to, where its configuration says so."""


def _all_refs(top: Path) -> _Refs:
    answer = git.ask(
        top, "for-each-ref", "--format=%(HEAD)%(refname) %(push:remotename)",
        "refs/tags", "refs/heads",
    )  # fmt: skip
    if answer.status:
        raise no_answer(top, answer)
    tags = []
    push_remote = None
    for line in answer.lines:
        ref, _, remote = line[1:].partition(" ")
        if ref.startswith("refs/tags/"):
            tags.append(ref.removeprefix("refs/tags/"))
        elif line.startswith("*"):
            push_remote = remote
    return _Refs(tags=tuple(tags), push_remote=push_remote or None)


def _remote(top: Path, refs: _Refs) -> str:
    if refs.push_remote and refs.push_remote != ".":  # "." is this repository itself
        return refs.push_remote
    answer = git.ask(top, "remote")
    if answer.status:
        raise no_answer(top, answer)
    match answer.lines:
        case []:
            raise UserError(
                f"the repository {top} has no remote to push the tag to",
                hint="add one: git remote add origin URL; or release with --no-push",
            )
        case [only]:
            return only
        case several if "origin" in several:
            return "origin"
        case several:
            raise UserError(
                f"which remote the tag is for cannot be told: {', '.join(several)}",
                hint=f"name it: git config remote.pushDefault {several[0]}",
            )


def _ssh_command(top: Path, identity_file: Path) -> str:
    file = identity_file.expanduser().absolute()
    if not (file.is_file() and os.access(file, os.R_OK)):
        raise UserError(
            f"cannot read the identity file {file}", hint="give the file of a private SSH key"
        )
    # Whatever runs ssh for this user goes on doing so: it may know a proxy.
    configured = git.ask(top, "config", "--get", "core.sshCommand").lines
    ssh = os.environ.get("GIT_SSH_COMMAND") or (configured[0] if configured else "ssh")
    return f"{ssh} -i {shlex.quote(str(file))} -o IdentitiesOnly=yes"


def _no_tag_made(plan: ReleasePlan, answer: git.Answer) -> UserError:
    if "tell me who you are" in answer.complaint or "empty ident" in answer.complaint:
        return UserError(
            f"the tag {plan.tag} cannot be made: git does not know who makes it",
            hint='git config --global user.name "..." && git config --global user.email "..."',
        )
    return UserError(
        f"the tag {plan.tag} cannot be made: {answer.reason}",
        hint="mend that and release again; [tool.bigflow.version] tag-prefix is part of the name",
    )
