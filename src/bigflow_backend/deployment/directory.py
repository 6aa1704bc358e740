"""A DAGs folder that is a directory.

``<package>`` is a link to ``.bigflow/live/<package>/<id>/``, so one rename replaces all files.
``.bigflow/.airflowignore`` hides these directories from Airflow, which follows the link. Its only
line is valid as a pattern of Airflow 2 (a regular expression) and of Airflow 3 (a glob). On a file
system without links, the files are replaced one by one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from bigflow_backend.ground.directories import remove_tree
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import cannot_write, read_bounded
from bigflow_backend.ground.limits import MANIFEST

_LIVE = ".bigflow/live"
_CACHE = "__pycache__"


class DirectoryFolder:
    """A directory, such as a volume that Airflow mounts."""

    def __init__(self, root: Path) -> None:
        """
        :raises UserError: if it is not a directory.
        """
        if not root.is_dir():
            raise UserError(
                f"the DAGs folder {root} is not a directory",
                hint=f"create it, or correct dags_bucket or --dags-folder: mkdir -p {root}",
            )
        self._root = root

    @property
    def url(self) -> str:
        return str(self._root)

    def read(self, path: str, limit: int) -> bytes | None:
        file = self._root / path
        return read_bounded(file, limit) if os.path.lexists(file) else None

    def write(self, path: str, content: bytes) -> None:
        file = self._root / path
        new = file.with_name(f".{file.name}.new")
        with self._reported():
            file.parent.mkdir(parents=True, exist_ok=True)
            new.unlink(missing_ok=True)
            try:
                _write(new, content)
                new.replace(file)
            except OSError:
                new.unlink(missing_ok=True)
                raise

    def remove(self, path: str) -> None:
        with self._reported():
            (self._root / path).unlink(missing_ok=True)

    def names(self, directory: str) -> list[str]:
        with self._reported():
            try:
                entries = list(os.scandir(self._root / directory))
            except (FileNotFoundError, NotADirectoryError):
                return []
            return sorted(e.name for e in entries if e.is_file() or e.is_symlink())

    def place(
        self, package: str, deployment_id: str, texts: Mapping[str, str], *, old: Collection[str]
    ) -> None:
        link = self._root / package
        before = self._target(package)
        target = self._root / _LIVE / package / deployment_id
        if before in {link, target}:  # no link; or complete, unless somebody has removed a file
            self._place_files(package, texts)
            return
        self.write(".bigflow/.airflowignore", b"live\n")
        new = link.with_name(f".{package}.new")
        with self._reported():
            try:
                if target.exists():
                    remove_tree(target)
                target.mkdir(parents=True)
                for name, text in texts.items():
                    _write(target / name, text.encode())
                if before is not None and before.is_dir():
                    _copy_others(before, target, {*old, *texts, _CACHE})
                _sync(target)
                new.unlink(missing_ok=True)
            except OSError:
                with contextlib.suppress(OSError):
                    remove_tree(target)
                raise
            if not _linked(new, target):
                remove_tree(target)
                self._place_files(package, texts)
                return
            new.replace(link)
            _sync(self._root)

    def clear(self, package: str, deployment_id: str, *, old: Collection[str]) -> None:
        if (self._root / package).is_symlink():
            with self._reported():
                for other in (self._root / _LIVE / package).iterdir():
                    if other.name != deployment_id:
                        remove_tree(other)
            return
        for name in old:
            self.remove(f"{package}/{name}")

    def _place_files(self, package: str, texts: Mapping[str, str]) -> None:
        for name, text in texts.items():
            content = text.encode()
            if self.read(f"{package}/{name}", MANIFEST) != content:
                self.write(f"{package}/{name}", content)

    def _target(self, package: str) -> Path | None:
        """Return the directory of the live files: the project's own, or where its link leads.

        :raises UserError: if something else has that name.
        """
        link = self._root / package
        if not os.path.lexists(link):
            return None
        if not link.is_symlink() and link.is_dir():
            return link
        live = self._root / _LIVE / package
        if not link.is_symlink() or (self._root / link.readlink()).parent != live:
            raise UserError(
                f"{link} is not the directory of this project's deployments",
                hint="move it out of the DAGs folder, and deploy again",
            )
        return self._root / link.readlink()

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise cannot_write(self._root, error) from error


def _copy_others(before: Path, target: Path, ours: Collection[str]) -> None:
    """Copy the files that other people have put beside those of the project."""
    for entry in before.iterdir():
        if entry.name in ours:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, target / entry.name, symlinks=True)
        else:
            shutil.copy2(entry, target / entry.name, follow_symlinks=False)


def _linked(link: Path, target: Path) -> bool:
    """Make a relative link to the target. Return False if the file system has no links."""
    try:
        link.symlink_to(os.path.relpath(target, link.parent))
    except OSError as error:
        if error.errno in {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EOPNOTSUPP}:
            return False
        raise
    return True


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
