"""The build context: the files of the project that the engine gets, as a tar archive."""

from __future__ import annotations

import filecmp
import os
import stat
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import check_levels, has_file, open_regular, read_bounded
from bigflow_backend.ground.limits import PROJECT_FILE
from bigflow_backend.ground.settings.places import place_of

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project

# Never added with their directory. A user who wants one in the image names it in `context`.
_NEVER_BY_ACCIDENT = {".git", ".env", ".dags", ".image", "__pycache__", "deployment_config.py"}
_DISTRIBUTIONS = (".whl", ".tar.gz")


def context_files(
    project: Project,
    wheel: Path,
    *,
    dockerfile: Path,
    find_links: Sequence[Path],
    additions: Sequence[str],
) -> dict[str, Path]:
    """Return the files of the context by their names in it.

    They are the Dockerfile, ``dist/`` with the wheel, ``resources/``, ``wheels/`` with the
    distributions found in ``find_links``, and ``additions``. ``.dockerignore`` excludes
    files of the project: of ``resources/`` and the additions.

    :raises UserError: for a path that is missing, outside the project, or not a regular file.
    """
    ignored = _ignored(project.root)
    files = {
        name: _regular(project.root, path)
        for start in ("resources", *additions)
        for name, path in _project_files(project.root, start)
        if not ignored(name)
    }
    files |= _distributions(project.root, find_links)
    files[f"dist/{wheel.name}"] = wheel
    files["Dockerfile"] = dockerfile
    return files


def write_context(files: Mapping[str, Path], output: IO[bytes], *, epoch: int) -> None:
    """Write the context as a tar archive: the same files give the same bytes.

    Owner, permissions, order and times are normalised. ``epoch`` is the time of every file, which
    ``COPY`` keeps. ``resources/`` and ``wheels/`` are in the archive even if they are empty, since
    COPY fails without its source.

    :raises UserError: if a file cannot be read.
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
            with open_regular(files[name]) as content:
                status = os.fstat(content.fileno())
                member.size = status.st_size
                member.mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
                archive.addfile(member, content)


def _project_files(root: Path, start: str) -> Iterator[tuple[str, Path]]:
    """Yield the names in the context, and the paths, of the files at or below ``start``."""
    relative = Path(os.path.normpath(start))
    path = root / relative
    if relative.is_absolute() or ".." in relative.parts:
        raise UserError(
            f"{place_of('image.context')} names {start!r}, outside the project",
            hint="name paths in the project's directory; for wheels, use find-links",
        )
    if path.is_dir():
        yield from _directory_files(root, path)
    elif path.exists():
        yield str(relative), path
    elif start != "resources":
        raise UserError(
            f"{place_of('image.context')} names {start!r}, which does not exist",
            hint="correct the path, or remove it",
        )


def _directory_files(root: Path, directory: Path) -> Iterator[tuple[str, Path]]:
    for parent, directories, names in os.walk(directory, onerror=_raise):
        check_levels(Path(parent), directory)
        directories[:] = sorted(set(directories) - _NEVER_BY_ACCIDENT)
        # os.walk lists a link to a directory as a directory, and does not enter it.
        links = [name for name in directories if Path(parent, name).is_symlink()]
        for name in sorted({*names, *links} - _NEVER_BY_ACCIDENT):
            path = Path(parent, name)
            yield str(path.relative_to(root)), path


def _regular(root: Path, path: Path) -> Path:
    if path.is_file():
        return path
    kind = "a link to a directory" if path.is_dir() else "not a regular file"
    raise UserError(
        f"the image cannot have {path.relative_to(root)}: it is {kind}",
        hint="replace it by a file, or exclude it in .dockerignore",
    )


def _raise(error: OSError) -> None:
    raise UserError(
        f"cannot read {error.filename} for the image: {error.strerror}",
        hint="check the directory and its permissions",
    ) from error


def _distributions(root: Path, find_links: Sequence[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for entry in find_links:
        directory = root / entry
        if not directory.is_dir():
            raise UserError(
                f"find-links names {entry}, which is not a directory",
                hint="name a directory of wheels",
            )
        files = [p for p in sorted(directory.iterdir()) if p.name.endswith(_DISTRIBUTIONS)]
        if not files:
            raise UserError(
                f"find-links names {entry}, which has no wheels",
                hint="put the wheels there, or remove the directory from find-links",
            )
        for path in files:
            has_file(path)
            other = found.setdefault(f"wheels/{path.name}", path)
            if not filecmp.cmp(other, path, shallow=False):
                raise UserError(
                    f"find-links has two different files {path.name}, in {other.parent} and "
                    f"{path.parent}",
                    hint="remove one of them",
                )
    return found


def _ignored(root: Path) -> Callable[[str], bool]:
    path = root / ".dockerignore"
    if not has_file(path):
        return lambda _name: False
    from docker.utils.build import PatternMatcher

    text = read_bounded(path, PROJECT_FILE).decode("utf-8-sig", "replace")
    lines = [line.strip() for line in text.splitlines()]
    matcher = PatternMatcher([line for line in lines if line and not line.startswith("#")])
    # The stub asks for a PathLike, which the function cannot take.
    return lambda name: bool(matcher.matches(name))  # type: ignore[arg-type]
