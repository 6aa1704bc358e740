"""The build context: what of the project the engine gets to see, and nothing else."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bigflow_backend.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bigflow_backend.project import Project

__all__ = ["context_files", "write_context"]

# What a directory never brings along. Whoever wants one of these in an image names it in `context`.
_NEVER_BY_ACCIDENT = {".git", ".env", ".dags", ".image", "__pycache__", "deployment_config.py"}
_DISTRIBUTIONS = (".whl", ".tar.gz")


def context_files(
    project: Project, wheel: Path, *, find_links: Sequence[Path], additions: Sequence[str]
) -> dict[str, Path]:
    """The files of the context by their names in it.

    They are the Dockerfile, ``dist/`` with the wheel, ``resources/``, ``wheels/`` with the
    distributions found in ``find_links``, and ``additions``. ``.dockerignore`` takes away from
    what is the project's own: ``resources/`` and the additions.

    :raises UserError: for a path that is missing, outside the project, or no regular file.
    """
    ignored = _ignored(project.root)
    files = {
        name: path
        for start in ("resources", *additions)
        for name, path in _project_files(project.root, start, named=start in additions)
        if not ignored(name)
    }
    files |= _distributions(project.root, find_links)
    files[f"dist/{wheel.name}"] = wheel
    files["Dockerfile"] = project.dockerfile
    return files


def write_context(files: Mapping[str, Path], output: IO[bytes], *, epoch: int) -> None:
    """Writes the context as a tar archive: the same files give the same bytes.

    Owner, rights, order and times are normalised; ``epoch`` is the time of every file, which
    ``COPY`` keeps. ``resources/`` and ``wheels/`` are there even when they are empty, since COPY
    fails where its source is missing.

    :raises UserError: when a file cannot be read.
    """
    directories = {"resources", "wheels"}
    for name in files:
        directories.update(str(p) for p in Path(name).parents if p != Path())
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(directories | files.keys()):
            member = tarfile.TarInfo(name)
            member.mtime = epoch
            if name in directories:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(member)
                continue
            content = _read(files[name])
            executable = files[name].stat().st_mode & stat.S_IXUSR
            member.size, member.mode = len(content), 0o755 if executable else 0o644
            archive.addfile(member, io.BytesIO(content))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            f"cannot read {path} for the image: {error.strerror}",
            hint="check the file and its rights",
        ) from error


def _project_files(root: Path, start: str, *, named: bool) -> Iterator[tuple[str, Path]]:
    path = root / start
    relative = Path(os.path.normpath(start))
    if relative.is_absolute() or ".." in relative.parts:
        raise UserError(
            f"pyproject.toml: tool.bigflow.image.context names {start!r}, outside the project",
            hint="name paths below the project's directory; wheels come by find-links",
        )
    if path.is_dir():
        yield from _directory_files(root, path)
    elif path.exists():
        yield str(relative), _regular(root, path)
    elif named:
        raise UserError(
            f"pyproject.toml: tool.bigflow.image.context names {start!r}, which does not exist",
            hint="correct the path, or leave it out",
        )


def _directory_files(root: Path, directory: Path) -> Iterator[tuple[str, Path]]:
    for parent, directories, names in os.walk(directory, onerror=_raise):
        directories[:] = sorted(set(directories) - _NEVER_BY_ACCIDENT)
        for name in sorted(set(names) - _NEVER_BY_ACCIDENT):
            path = Path(parent, name)
            yield str(path.relative_to(root)), _regular(root, path)
        for name in directories:
            if Path(parent, name).is_symlink():
                link = Path(parent, name).relative_to(root)
                raise UserError(
                    f"{link} is a link to a directory, which the image would not have",
                    hint="put the directory itself there",
                )


def _regular(root: Path, path: Path) -> Path:
    if not path.is_file():
        raise UserError(
            f"{path.relative_to(root)} is neither a file nor a directory",
            hint="remove it, or name it in .dockerignore",
        )
    return path


def _raise(error: OSError) -> None:
    raise UserError(
        f"cannot read {error.filename} for the image: {error.strerror}",
        hint="check the directory and its rights",
    ) from error


def _distributions(root: Path, find_links: Sequence[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for entry in find_links:
        directory = root / entry
        if not directory.is_dir():
            raise UserError(
                f"find-links names {entry}, which is no directory",
                hint="name a directory that holds wheels",
            )
        files = [p for p in sorted(directory.iterdir()) if p.name.endswith(_DISTRIBUTIONS)]
        if not files:
            raise UserError(
                f"find-links names {entry}, which holds no wheel",
                hint="put the wheels there, or leave the directory out",
            )
        for path in files:
            other = found.setdefault(f"wheels/{path.name}", path)
            if _read(other) != _read(path):
                raise UserError(
                    f"find-links holds two different files {path.name}, in {other.parent} and "
                    f"{path.parent}",
                    hint="remove one of them",
                )
    return found


def _ignored(root: Path) -> Callable[[str], bool]:
    path = root / ".dockerignore"
    if not path.is_file():
        return lambda _name: False
    from docker.utils.build import PatternMatcher

    lines = (line.strip() for line in _read(path).decode("utf-8-sig", "replace").splitlines())
    matcher = PatternMatcher([line for line in lines if line and not line.startswith("#")])
    return lambda name: bool(matcher.matches(name))
