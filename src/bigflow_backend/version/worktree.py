"""The changed and the untracked files of a work tree."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import unreadable
from bigflow_backend.version import git
from bigflow_backend.version.filters import Filters, own_filters
from bigflow_backend.version.model import SET_VERSION
from bigflow_backend.version.repository import git_error

_CHUNK = 1 << 20
_SHA1_DIGITS = 40
_DELETED, _SYMLINK, _SUBMODULE = b"000000", b"120000", b"160000"


@dataclass(frozen=True, order=True)
class Change:
    """A tracked file that differs from HEAD."""

    path: bytes
    """The path, relative to the top of the work tree."""
    mode: bytes
    """The mode in git: ``100644``, ``100755``, ``120000``, or ``000000`` for a deleted file."""
    content: str
    """The git hash of the bytes on disk, or the commit of a submodule. Empty for a deleted file."""

    def __str__(self) -> str:
        return self.path.decode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class WorkTree:
    """The files on disk, as one git process lists them."""

    top: Path
    changes: tuple[Change, ...]
    """The tracked files of the whole repository that differ from HEAD, sorted."""
    others: frozenset[str]
    """Untracked and ignored paths, relative to ``top``. A directory ends with ``/``."""
    skipped_filters: tuple[str, ...] = ()
    """The filters of the repository's own configuration. They did not run."""

    def holds_untracked(self, path: Path) -> bool:
        """Return True if git does not track the file with this absolute path."""
        # A tracked symbolic link can lead to a directory with untracked files.
        return any(self._is_other(os.fspath(p)) for p in (path, path.resolve()))

    def _is_other(self, path: str) -> bool:
        name = os.path.relpath(os.path.normpath(path), self.top)
        parts = name.split("/")
        above = ("/".join(parts[:count]) + "/" for count in range(1, len(parts)))
        return name in self.others or not self.others.isdisjoint(above)


def read_work_tree(top: Path) -> WorkTree:
    """Return the state of the work tree at ``top``.

    It takes three processes, and three for each submodule. git writes neither the index nor
    objects, and runs no filters of the repository's own configuration. The files on disk count,
    staged or not, because the wheel contains them. The whole repository counts, as in the hash of a
    commit.

    :raises UserError: if a submodule differs from the index. No hash of this repository covers
        the files of a submodule.
    """
    filters = own_filters(top, {})
    entries = _status(top, filters, {}, "--untracked-files=all", "--ignored=matching")
    changes = tuple(sorted(_changes(top, entries)))
    _check_submodules(top, {})
    return WorkTree(
        top=top,
        changes=changes,
        others=frozenset(os.fsdecode(e[2:]) for e in entries if e[:2] in {b"? ", b"! "}),
        skipped_filters=filters.names,
    )


def _status(
    top: Path, filters: Filters, variables: Mapping[str, str], *options: str
) -> list[bytes]:
    # For the files of submodules git would start itself, with the filters of their configuration.
    result = git.query(
        top, "status", "--porcelain=v2", "-z", "--no-renames", "--ignore-submodules=dirty",
        *options, configuration=filters.configuration, variables=variables,
    )  # fmt: skip
    if result.status:
        raise git_error(top, result)
    return result.out.split(b"\0")


def _check_submodules(top: Path, variables: Mapping[str, str]) -> None:
    """Check that the tracked files of all submodules are as committed.

    :raises UserError: if one is changed.
    """
    result = git.query(top, "ls-files", "--stage", "-z", variables=variables)
    if result.status:
        raise git_error(top, result)
    for entry in result.out.split(b"\0"):
        status, _, path = entry.partition(b"\t")
        submodule = top / os.fsdecode(path)
        if not status.startswith(_SUBMODULE) or not os.path.lexists(submodule / ".git"):
            continue
        # An empty .git is not a repository; git would take the one around it.
        inside = {"GIT_CEILING_DIRECTORIES": os.fspath(submodule.parent)}
        probe = git.query(submodule, "rev-parse", "--git-dir", variables=inside)
        if "not a git repository" in probe.stderr:
            continue
        filters = own_filters(submodule, inside)
        if any(_status(submodule, filters, inside, "--untracked-files=no")[:-1]):
            raise _changed_submodule(path.decode("utf-8", "backslashreplace"))
        _check_submodules(submodule, inside)


def tree_hash(changed: Sequence[Change]) -> str:
    """Return a hash of the changes, sorted as in :class:`WorkTree`.

    This hash and the hash of the commit identify the content of all tracked files.
    """
    import hashlib

    digest = hashlib.sha256()
    for change in changed:
        for part in (change.path, change.mode, change.content.encode()):
            digest.update(part + b"\0")
    return digest.hexdigest()


def untracked(
    root: Path, paths: Iterable[Path], *, known: WorkTree | None = None
) -> tuple[Path, ...]:
    """Return the untracked and the ignored ``paths``, in their order.

    Relative paths are relative to ``root``, the project. The result is empty if the project is not
    in git: without a repository, in an unpacked sdist, or if git fails. With ``known``, the work
    tree of the version, it takes no process, but the files of submodules are not checked. Without
    it, it takes one process.
    """
    root = root.resolve()
    if known is not None:
        return tuple(path for path in paths if known.holds_untracked(root / path))
    if (root / "PKG-INFO").exists():
        return ()
    try:
        result = git.query(root, "ls-files", "-z", "--recurse-submodules", "--", ":/")
    except UserError:
        return ()
    tracked = {os.path.normpath(f"{root}/{name}") for name in os.fsdecode(result.out).split("\0")}
    ours = (root / ".git").exists() or any(name.startswith(f"{root}/") for name in tracked)
    if result.status or not ours:
        return ()

    def is_tracked(path: Path) -> bool:
        # The second path is behind a tracked symbolic link to a directory.
        return os.path.normpath(path) in tracked or str(path.resolve()) in tracked

    return tuple(path for path in paths if not is_tracked(root / path))


def _changes(top: Path, entries: Sequence[bytes]) -> Iterator[Change]:
    # https://git-scm.com/docs/git-status#_porcelain_format_version_2
    for entry in entries:
        match entry[:1]:
            case b"1":
                _, _, submodule, old_mode, _, mode, old, staged, path = entry.split(b" ", 8)
            case b"u":  # a conflict: "ours" is HEAD
                _, _, submodule, _, old_mode, _, mode, _, old, _, path = entry.split(b" ", 10)
                staged = old
            case _:
                continue
        if b"C" in submodule:
            raise _changed_submodule(path.decode("utf-8", "backslashreplace"))
        if mode == _DELETED:
            content = ""
        elif mode == _SUBMODULE:
            content = staged.decode()
        else:
            algorithm = "sha1" if len(old) == _SHA1_DIGITS else "sha256"
            content = _blob_hash(top / os.fsdecode(path), mode, algorithm)
        # git also lists a change that is staged, then reverted on disk.
        if (mode, content) != (old_mode, old.decode()):
            yield Change(path, mode, content)


def _blob_hash(file: Path, mode: bytes, algorithm: str) -> str:
    """Return the result of ``git hash-object --no-filters``."""
    import hashlib

    digest = hashlib.new(algorithm, usedforsecurity=False)
    try:
        if mode == _SYMLINK:
            target = os.fsencode(file.readlink())
            digest.update(b"blob %d\0" % len(target) + target)
        else:
            with file.open("rb") as stream:
                digest.update(b"blob %d\0" % os.fstat(stream.fileno()).st_size)
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
    except OSError as error:
        raise unreadable(file, error) from error
    return digest.hexdigest()


def _changed_submodule(path: str) -> UserError:
    return UserError(
        f"the submodule {path} has changes that this repository does not record",
        hint=f"commit them in the submodule and run `git add {path}`, or check out the recorded"
        f" commit with `git submodule update`, or {SET_VERSION}",
    )
