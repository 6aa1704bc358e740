"""What of a work tree is not in its commit: changed files, and files that git does not track."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bigflow_backend.ground.errors import UserError
from bigflow_backend.version import git
from bigflow_backend.version.repository import no_answer

_CHUNK = 1 << 20
_SHA1_DIGITS = 40
_DELETED, _SYMLINK, _SUBMODULE = b"000000", b"120000", b"160000"


@dataclass(frozen=True, order=True)
class Change:
    """A tracked file that is not as HEAD has it."""

    path: bytes
    """Relative to the top of the work tree."""
    mode: bytes
    """As git writes it: ``100644``, ``100755``, ``120000``; ``000000`` for a deleted file."""
    content: str
    """The git hash of the bytes on disk, or of a submodule's commit; empty for a deleted file."""

    def __str__(self) -> str:
        return self.path.decode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class WorkTree:
    """What one question to git tells of the files on disk."""

    top: Path
    changes: tuple[Change, ...]
    """The tracked files that differ from HEAD, in the whole repository, sorted."""
    others: frozenset[str]
    """What git does not track or ignores, relative to ``top``; a directory ends with ``/``."""

    def holds_untracked(self, path: Path) -> bool:
        """Whether git does not track this file, which is given by its absolute path."""
        # A symbolic link to a directory may be tracked, and the file that it leads to not.
        return any(self._is_other(os.fspath(p)) for p in (path, path.resolve()))

    def _is_other(self, path: str) -> bool:
        name = os.path.relpath(os.path.normpath(path), self.top)
        parts = name.split("/")
        above = ("/".join(parts[:count]) + "/" for count in range(1, len(parts)))
        return name in self.others or not self.others.isdisjoint(above)


def read_work_tree(top: Path) -> WorkTree:
    """The state of the work tree at ``top``. Nothing is written, neither the index nor an object.

    What is on disk counts as changed, staged or not: it is what gets packaged. The whole repository
    counts, as it does for the commit's hash. One process.

    :raises UserError: for a submodule that differs from what is staged: no hash of this
        repository covers what is in it.
    """
    answer = git.ask(
        top, "status", "--porcelain=v2", "-z", "--untracked-files=all", "--ignored=matching",
        "--no-renames", "--ignore-submodules=untracked",
    )  # fmt: skip
    if answer.status:
        raise no_answer(top, answer)
    entries = answer.out.split(b"\0")
    return WorkTree(
        top=top,
        changes=tuple(sorted(_changes(top, entries))),
        others=frozenset(os.fsdecode(e[2:]) for e in entries if e[:2] in {b"? ", b"! "}),
    )


def tree_hash(changed: Sequence[Change]) -> str:
    """A hash of the changes, sorted as in :class:`WorkTree`; together with the commit's it
    stands for the content of all tracked files."""
    digest = hashlib.sha256()
    for change in changed:
        for part in (change.path, change.mode, change.content.encode()):
            digest.update(part + b"\0")
    return digest.hexdigest()


def untracked(
    root: Path, paths: Iterable[Path], *, known: WorkTree | None = None
) -> tuple[Path, ...]:
    """Those of ``paths`` that git does not track, ignored ones too, in the order given.

    Relative paths are relative to ``root``, the project. Empty where git does not keep the
    project (no repository, an unpacked sdist, no answer): there it has nothing to say. With the
    work tree that gave the version no process is needed, else one. (What is in a submodule is only
    seen by that one.)
    """
    root = root.resolve()
    if known is not None:
        return tuple(path for path in paths if known.holds_untracked(root / path))
    if (root / "PKG-INFO").exists():
        return ()
    try:
        answer = git.ask(root, "ls-files", "-z", "--recurse-submodules", "--", ":/")
    except UserError:
        return ()
    tracked = {os.path.normpath(f"{root}/{name}") for name in os.fsdecode(answer.out).split("\0")}
    ours = (root / ".git").exists() or any(name.startswith(f"{root}/") for name in tracked)
    if answer.status or not ours:
        return ()

    def is_tracked(path: Path) -> bool:
        # The file itself, or the one that a tracked symbolic link to a directory leads to.
        return os.path.normpath(path) in tracked or str(path.resolve()) in tracked

    return tuple(path for path in paths if not is_tracked(root / path))


def _changes(top: Path, entries: Sequence[bytes]) -> Iterator[Change]:
    # https://git-scm.com/docs/git-status#_porcelain_format_version_2
    for entry in entries:
        match entry[:1]:
            case b"1":
                _, _, submodule, old_mode, _, mode, old, staged, path = entry.split(b" ", 8)
            case b"u":  # in conflict: "ours" is HEAD's
                _, _, submodule, _, old_mode, _, mode, _, old, _, path = entry.split(b" ", 10)
                staged = old
            case _:
                continue
        if b"C" in submodule or b"M" in submodule:
            raise _changed_submodule(path.decode("utf-8", "backslashreplace"))
        if mode == _DELETED:
            content = ""
        elif mode == _SUBMODULE:
            content = staged.decode()
        else:
            algorithm = "sha1" if len(old) == _SHA1_DIGITS else "sha256"
            content = _blob_hash(top / os.fsdecode(path), mode, algorithm)
        # Staged and then taken back in the work tree: listed, yet nothing has changed on disk.
        if (mode, content) != (old_mode, old.decode()):
            yield Change(path, mode, content)


def _blob_hash(file: Path, mode: bytes, algorithm: str) -> str:
    """What ``git hash-object --no-filters`` says."""
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
        raise UserError(
            f"cannot read {file}, which git tracks: {error.strerror}",
            hint="check the file and its rights",
        ) from error
    return digest.hexdigest()


def _changed_submodule(path: str) -> UserError:
    return UserError(
        f"the submodule {path} has changes that this repository does not record",
        hint=f"commit them inside it and `git add {path}`, or go back by `git submodule update`,"
        " or set BIGFLOW_VERSION to the version, such as 1.2.0",
    )
