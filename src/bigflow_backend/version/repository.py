"""The commit of a project, the tags before it, and the distance to a tag."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bigflow_backend.ground.errors import UserError
from bigflow_backend.version import git
from bigflow_backend.version.model import SET_VERSION
from bigflow_backend.version.scheme import Version, tagged

LITERAL_PATHS = {"GIT_LITERAL_PATHSPECS": "1"}
"""Variables with which git takes ``*`` and ``:`` in a path as they are."""
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SAFE_DIRECTORY = re.compile(r"git config --global --add safe\.directory .+")


class OutsideGitError(UserError):
    """The project has no commit in git. Another source may have the version."""


@dataclass(frozen=True)
class Checkout:
    """The repository of a project, at one commit."""

    top: Path
    """The top directory of the work tree. The project can be a subdirectory."""
    commit: str
    shallow: bool
    """True if the history is incomplete: tags and distances are then unknown."""


@dataclass(frozen=True)
class Tags:
    """The tags that are reachable from a commit."""

    versions: dict[str, Version]
    """The version of each version tag, by the name of the tag."""
    here: frozenset[str]
    """The version tags on the commit itself."""
    skipped: tuple[str, ...]
    """The tags without a version."""

    @property
    def highest(self) -> Version | None:
        return max(self.versions.values(), default=None)

    def naming(self, version: Version) -> list[str]:
        """Return the sorted tags of ``version``: ``1.2.0`` and ``v1.2.0`` can both exist."""
        return sorted(name for name, named in self.versions.items() if named == version)


def find_checkout(root: Path, revision: str | None = None) -> Checkout:
    """Return the repository of ``root``, at HEAD or at a revision. It takes one process.

    Files of the project that look like a bare repository are not used as one.

    ``revision`` is a commit in the syntax of git: a branch, a tag, a hash.

    :raises OutsideGitError: if ``root`` is not in a repository, or HEAD does not exist or has no
        file of ``root``. For example, a repository of the home
        directory does not have the versions of the projects in it.
    :raises UserError: if git fails, or ``revision`` is not a commit.
    """
    if not git.has_repository(root):
        raise OutsideGitError(f"{root} is not in a git repository", hint=_COMMIT_IT)
    if revision is not None and (not revision or revision.startswith("-")):
        raise _unknown_revision(revision, root)
    commit = f"{revision or 'HEAD'}^{{commit}}"
    result = git.query(
        root, "rev-parse", "--absolute-git-dir", "--is-shallow-repository", "--show-toplevel",
        commit, *([] if revision else ["HEAD:./"]),
    )  # fmt: skip
    git_directory, *lines = result.lines or [""]
    # Git before 2.38 does not know safe.bareRepository.
    if "safe.bareRepository" in result.stderr or Path(git_directory) in (root, *root.parents):
        raise UserError(
            f"{root} is inside files of a git repository, which are not its version",
            hint=f"remove HEAD, objects and refs there, or {SET_VERSION}",
        )
    match lines:
        case [shallow, top, found, *rest] if _HASH.fullmatch(found):
            if revision and rest:  # a range such as `main..topic`
                raise _unknown_revision(revision, root)
            if not revision and result.status != 0:
                raise OutsideGitError(
                    f"no file of {root} is committed in the git repository {top}",
                    hint=_COMMIT_IT,
                )
            return Checkout(top=Path(top), commit=found, shallow=shallow == "true")
        case [_, _, *_] if revision:
            raise _unknown_revision(revision, root)
        case [_, top, *_]:
            raise OutsideGitError(f"the git repository {top} has no commit yet", hint=_COMMIT_IT)
        case _ if "not a git repository" in result.stderr:
            # .git is empty, or it is the file of a work tree whose repository is missing, as in
            # containers.
            raise OutsideGitError(
                f"{root} is not in a git repository: {result.reason}", hint=_COMMIT_IT
            )
        case _:
            raise git_error(root, result)


def find_tags(checkout: Checkout, prefix: str) -> Tags:
    """Return the tags that are reachable from the commit. It takes one process.

    Tags without ``prefix`` have no version.
    """
    result = git.query(
        checkout.top, "for-each-ref", f"--merged={checkout.commit}",
        "--format=%(objectname) %(*objectname) %(refname:strip=2)", "refs/tags",
    )  # fmt: skip
    if result.status:
        raise git_error(checkout.top, result)
    versions: dict[str, Version] = {}
    here = set()
    skipped = []
    for line in result.lines:
        own, peeled, name = line.split(" ")  # a lightweight tag has an empty `peeled`
        version = tagged(name, prefix)
        if version is not None:
            versions[name] = version
            if checkout.commit in {own, peeled}:
                here.add(name)
        else:
            skipped.append(name)
    return Tags(versions=versions, here=frozenset(here), skipped=tuple(skipped))


def tag_names(top: Path) -> list[str]:
    """Return the names of all tags, on any commit. It takes one process."""
    result = git.query(top, "for-each-ref", "--format=%(refname:strip=2)", "refs/tags")
    if result.status:
        raise git_error(top, result)
    return result.lines


def distance(checkout: Checkout, since: Sequence[str], paths: Sequence[str] = ()) -> int:
    """Return the number of commits after the tags ``since``. It takes one process.

    With ``paths``, which are relative to the top, only commits that touch them count.
    """
    result = git.query(
        checkout.top, "rev-list", "--count", checkout.commit,
        *(f"^refs/tags/{tag}" for tag in since), "--", *paths,
        variables=LITERAL_PATHS,
    )  # fmt: skip
    if result.status:
        raise git_error(checkout.top, result)
    return int(result.out)


_COMMIT_IT = f"commit the project with git, build from its sdist or `git archive`, or {SET_VERSION}"


def git_error(directory: Path, result: git.Result) -> UserError:
    """Return the error of a git process that failed, with a hint."""
    if "dubious ownership" in result.stderr:
        command = _SAFE_DIRECTORY.search(result.stderr)
        return UserError(
            f"git does not trust the repository of {directory}: another user owns it",
            hint=(command.group() if command else "add it to git's safe.directory")
            + f", or {SET_VERSION}",
        )
    return UserError(
        f"git failed in {directory}: {result.reason or f'exit status {result.status}'}",
        hint=f"fix the repository, or {SET_VERSION}",
    )


def _unknown_revision(revision: str, root: Path) -> UserError:
    return UserError(
        f"{revision!r} is not a commit in the git repository of {root}",
        hint="write a branch, a tag or a hash; `git fetch --tags` gets the tags of the remote",
    )
