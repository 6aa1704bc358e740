"""The next release: plan a tag, then create and push it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from bigflow_backend.ground.errors import UserError
from bigflow_backend.version import git
from bigflow_backend.version.history import check_full_history
from bigflow_backend.version.repository import Tags, find_checkout, find_tags, git_error
from bigflow_backend.version.scheme import Level, Version, bump, following, is_level, tagged
from bigflow_backend.version.sources import from_outside_git
from bigflow_backend.version.worktree import read_work_tree

_LISTED = 5
"""The number of changed files that the message lists."""
_PUSH_LIMIT = 600.0
"""Seconds for a push, with the hooks of both sides."""


@dataclass(frozen=True)
class ReleasePlan:
    """A release that passed all checks. Nothing is created yet."""

    top: Path
    """The top directory of the work tree."""
    version: str
    previous: str | None
    """The highest version among the tags before the commit."""
    tag: str
    message: str
    """The message of the tag."""
    commit: str
    """The full hash of the commit to tag."""
    remote: str | None
    """The remote for the tag, or None if the tag is not pushed."""
    ssh_command: str | None
    """The ssh command of git, if the user named an identity file."""

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands of the release, as a user would type them."""
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
        # Push this tag only: the configuration may have push.followTags or push.recurseSubmodules.
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
    """Return the next release of the project in ``root``, without changing anything.

    ``wanted`` is a level (major, minor, patch) or a version. The tag has a ``v`` if the tag before
    it has one. The remote is the one of ``git push``: the ``pushRemote`` of the branch,
    ``remote.pushDefault``, the remote of the upstream branch, the only remote, ``origin``.

    :raises UserError: if the version does not come from git, the work tree has changes, or the
        repository has no remote. Also if the version already has a tag, or is not higher than
        this commit's version.
    """
    root = root.resolve()
    elsewhere = from_outside_git(root, distribution=distribution, static=static)
    if elsewhere is not None:
        raise UserError(
            f"a tag does not change the version: {elsewhere.source} sets it to {elsewhere.text}",
            hint="change the version there, or remove it there, so that it comes from git",
        )
    checkout = find_checkout(root)
    check_full_history(checkout)
    _check_committed(checkout.top)
    tags = find_tags(checkout, tag_prefix)
    refs = _all_refs(checkout.top)
    version = _next_version(wanted, tags)
    prefix = tag_prefix
    everywhere = {name: v for name in refs.tags if (v := tagged(name, prefix))}
    taken = sorted(name for name in everywhere if everywhere[name] == version)
    if taken:
        raise UserError(
            f"the version {version} already has a tag: {taken[0]}",
            hint="release another version: bigflow release [major|minor|patch|VERSION]",
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
    """Create the tag and push it. If the push fails or is interrupted, remove the tag.

    :raises UserError: if git cannot create or push the tag, with the message of git.
    """
    created = git.run(plan.top, plan.tag_arguments)
    if created.status:
        raise _tag_error(plan, created)
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
                    f"the push failed, and git cannot remove the tag {plan.tag}: {removed.reason}",
                    hint=f"git tag --delete {plan.tag}",
                )
    if pushed.status:
        raise UserError(
            f"the tag {plan.tag} was not pushed to {plan.remote}, and was removed here:"
            f" {pushed.reason}",
            hint="fix that and run `bigflow release` again; with --no-push the tag stays local",
        )


def _check_committed(top: Path) -> None:
    changed = read_work_tree(top).changes
    if changed:
        named = ", ".join(map(str, changed[:_LISTED])) + (", ..." if changed[_LISTED:] else "")
        raise UserError(
            f"{top} has changes that are not committed: {named}",
            hint="commit them, or save them for later: git stash",
        )


def _next_version(wanted: str, tags: Tags) -> Version:
    version = bump(tags.highest, cast("Level", wanted)) if is_level(wanted) else _explicit(wanted)
    on_highest = tags.highest in {tags.versions[name] for name in tags.here}
    after = Version(following(tags.highest, 0, "g"))
    now = tags.highest if on_highest and tags.highest else after
    if version <= now:
        raise UserError(
            f"{version} is not higher than this commit's version, {now.public}",
            hint=f"bigflow release {bump(tags.highest, 'patch')}, or a higher version",
        )
    return version


def _explicit(wanted: str) -> Version:
    version = tagged(wanted, "")
    if version is None:
        raise UserError(
            f"a release must be major, minor, patch, or a version of two or more numbers:"
            f" got {wanted!r}",
            hint="bigflow release minor, or bigflow release 1.2.0",
        )
    if version.local or version.dev is not None:
        raise UserError(
            f"{version} is a development or local version: it cannot be released",
            hint=f"bigflow release {version.base_version}",
        )
    return version


def _letter(versions: Mapping[str, Version], prefix: str) -> str:
    """Return the ``v`` of the highest version's tag, so that all tags look the same."""
    if not versions:
        return ""
    highest = max(versions, key=lambda name: (versions[name], name))
    return highest[len(prefix)] if highest[len(prefix)] in "vV" else ""


@dataclass(frozen=True)
class _Refs:
    tags: tuple[str, ...]
    push_remote: str | None
    """The remote in the configuration of the branch."""


def _all_refs(top: Path) -> _Refs:
    result = git.query(
        top, "for-each-ref", "--format=%(HEAD)%(refname) %(push:remotename)",
        "refs/tags", "refs/heads",
    )  # fmt: skip
    if result.status:
        raise git_error(top, result)
    tags = []
    push_remote = None
    for line in result.lines:
        ref, _, remote = line[1:].partition(" ")
        if ref.startswith("refs/tags/"):
            tags.append(ref.removeprefix("refs/tags/"))
        elif line.startswith("*"):
            push_remote = remote
    return _Refs(tags=tuple(tags), push_remote=push_remote or None)


def _remote(top: Path, refs: _Refs) -> str:
    if refs.push_remote and refs.push_remote != ".":  # "." is this repository
        return refs.push_remote
    result = git.query(top, "remote")
    if result.status:
        raise git_error(top, result)
    match result.lines:
        case []:
            raise UserError(
                f"the repository {top} has no remote to push the tag to",
                hint="git remote add origin URL, or bigflow release --no-push",
            )
        case [only]:
            return only
        case several if "origin" in several:
            return "origin"
        case several:
            raise UserError(
                f"the repository {top} has several remotes and no default: {', '.join(several)}",
                hint=f"choose one: git config remote.pushDefault {several[0]}",
            )


def _ssh_command(top: Path, identity_file: Path) -> str:
    file = identity_file.expanduser().absolute()
    if not (file.is_file() and os.access(file, os.R_OK)):
        raise UserError(
            f"cannot read the identity file {file}",
            hint="name the file of a private SSH key, for example ~/.ssh/id_ed25519",
        )
    # The user's own ssh command may use a proxy, so extend it.
    configured = git.query(top, "config", "--get", "core.sshCommand").lines
    ssh = os.environ.get("GIT_SSH_COMMAND") or (configured[0] if configured else "ssh")
    return f"{ssh} -i {shlex.quote(str(file))} -o IdentitiesOnly=yes"


def _tag_error(plan: ReleasePlan, result: git.Result) -> UserError:
    if "who you are" in result.stderr or "empty ident" in result.stderr:
        return UserError(
            f"cannot create the tag {plan.tag}: git has no name and e-mail address for it",
            hint='git config --global user.name "..." && git config --global user.email "..."',
        )
    return UserError(
        f"cannot create the tag {plan.tag}: {result.reason}",
        hint="fix that and run `bigflow release` again; the tag begins with tag-prefix of"
        " [tool.bigflow.version]",
    )
