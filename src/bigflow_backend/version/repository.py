"""What a git repository says of a project: its commit and the tags that lead to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bigflow_backend.ground.errors import UserError
from bigflow_backend.version import git
from bigflow_backend.version.scheme import Version, tagged

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SAFE_DIRECTORY = re.compile(r"git config --global --add safe\.directory .+")


class OutsideGitError(UserError):
    """Git has no commit of this project: another source may know the version."""


@dataclass(frozen=True)
class Checkout:
    """The repository around a project, at one commit."""

    top: Path
    """The top of the work tree; the project may lie below it."""
    commit: str
    shallow: bool
    """Whether its history is cut off, so that tags and distances are unknown."""


@dataclass(frozen=True)
class Tags:
    """The tags that are reachable from a commit."""

    versions: dict[str, Version]
    """The version of each tag that names one."""
    here: frozenset[str]
    """Those of them that are on the commit itself."""
    passed_over: tuple[str, ...]
    """The tags that name no version."""

    @property
    def highest(self) -> Version | None:
        return max(self.versions.values(), default=None)

    def naming(self, version: Version) -> list[str]:
        """The tags that name ``version``, sorted: ``1.2.0`` and ``v1.2.0`` may both be there."""
        return sorted(name for name, named in self.versions.items() if named == version)


def find_checkout(root: Path, revision: str | None = None) -> Checkout:
    """The repository around ``root``, at its HEAD or at a revision.

    One process. ``revision`` is whatever git takes for a commit: a branch, a tag, a hash.

    :raises OutsideGitError: when ``root`` is in no repository, when that has no commit yet, or
        when its HEAD has no file of ``root``: a repository that happens to be around a directory
        (of the home directory, say) knows nothing of that directory's version.
    :raises UserError: when git cannot tell, or does not know ``revision``.
    """
    if not any((directory / ".git").exists() for directory in (root, *root.parents)):
        raise OutsideGitError(f"no git repository holds {root}", hint=_COMMIT_IT)
    if revision is not None and (not revision or revision.startswith("-")):
        raise _unknown_revision(revision, root)
    commit = f"{revision or 'HEAD'}^{{commit}}"
    answer = git.ask(
        root, "rev-parse", "--is-shallow-repository", "--show-toplevel", commit,
        *([] if revision else ["HEAD:./"]),
    )  # fmt: skip
    match answer.lines:
        case [shallow, top, found, *rest] if _HASH.fullmatch(found):
            if revision and rest:  # a range, `main..topic`
                raise _unknown_revision(revision, root)
            if not revision and answer.status != 0:
                raise OutsideGitError(
                    f"{root} is inside the git repository {top}, but no file of it is committed",
                    hint=_COMMIT_IT,
                )
            return Checkout(top=Path(top), commit=found, shallow=shallow == "true")
        case [_, _, *_] if revision:
            raise _unknown_revision(revision, root)
        case [_, top, *_]:
            raise OutsideGitError(f"the git repository {top} has no commit yet", hint=_COMMIT_IT)
        case _ if "not a git repository" in answer.complaint:
            # A .git that is empty, or a work tree's file that points to nowhere, as in containers.
            raise OutsideGitError(
                f"no git repository holds {root}: {answer.reason}", hint=_COMMIT_IT
            )
        case _:
            raise no_answer(root, answer)


def find_tags(checkout: Checkout, prefix: str) -> Tags:
    """The tags reachable from the commit; those without ``prefix`` do not count. One process."""
    answer = git.ask(
        checkout.top, "for-each-ref", f"--merged={checkout.commit}",
        "--format=%(objectname) %(*objectname) %(refname:strip=2)", "refs/tags",
    )  # fmt: skip
    if answer.status:
        raise no_answer(checkout.top, answer)
    versions: dict[str, Version] = {}
    here = set()
    passed_over = []
    for line in answer.lines:
        own, peeled, name = line.split(" ")  # `peeled` is empty for a lightweight tag
        version = tagged(name, prefix)
        if version is not None:
            versions[name] = version
            if checkout.commit in {own, peeled}:
                here.add(name)
        else:
            passed_over.append(name)
    return Tags(versions=versions, here=frozenset(here), passed_over=tuple(passed_over))


def distance(checkout: Checkout, since: Sequence[str]) -> int:
    """How many commits lie between the tags ``since`` and the commit. One process."""
    answer = git.ask(
        checkout.top, "rev-list", "--count", checkout.commit,
        *(f"^refs/tags/{tag}" for tag in since), "--",
    )  # fmt: skip
    if answer.status:
        raise no_answer(checkout.top, answer)
    return int(answer.out)


_COMMIT_IT = (
    "commit the project with git, build from its sdist or `git archive`,"
    " or set BIGFLOW_VERSION to the version, such as 1.2.0"
)


def no_answer(directory: Path, answer: git.Answer) -> UserError:
    """Why git could not answer, and the ways out."""
    if "dubious ownership" in answer.complaint:
        command = _SAFE_DIRECTORY.search(answer.complaint)
        return UserError(
            f"git does not trust the repository of {directory}: another user owns it",
            hint=(command.group() if command else "add it to git's safe.directory")
            + ", or set BIGFLOW_VERSION to the version, such as 1.2.0",
        )
    return UserError(
        f"git fails in {directory}: {answer.reason or f'exit status {answer.status}'}",
        hint="mend the repository, or set BIGFLOW_VERSION to the version, such as 1.2.0",
    )


def _unknown_revision(revision: str, root: Path) -> UserError:
    return UserError(
        f"{revision!r} names no commit in the git repository of {root}",
        hint="give one branch, tag or hash; `git fetch --tags` gets those of the remote",
    )
