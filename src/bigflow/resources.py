"""The files of a project's ``resources/``, wherever the project is installed.

In the source tree ``resources/`` lies beside the package; an installed package holds it. Both
are found by going up from a module of the project, to the nearest one that has the file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bigflow.errors import BigflowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["find_all_resources", "find_file", "get_resource_absolute_path"]

_RESOURCES = "resources"
_PROJECT_FILES = ("project_setup.py", "pyproject.toml", "setup.py")


def get_resource_absolute_path(
    resource_file_name: str, search_start_file: str | os.PathLike[str] | None = None
) -> Path:
    """The path of a file of ``resources/``::

        get_resource_absolute_path("stations.csv", Path(__file__))

    :param resource_file_name: a plain file name, because ``resources/`` is flat.
    :param search_start_file: a module of the project; by default the caller's.

    A package that is imported from a zip archive has no files on disk: then the resource is copied
    to a temporary directory, which is removed when the process ends.

    :raises BigflowError: for a name that is none, and when there is no such file; it lists the
        places where it looked. It looks neither above the project nor, for an installed package,
        outside of it.
    """
    _check_name(resource_file_name)
    start = Path(search_start_file or _file_of_caller()).absolute()
    archive = next((path for path in start.parents if path.is_file()), None)
    tried = []
    for place in _places(start) if archive is None else _places_in_archive(start, archive):
        candidate = place / resource_file_name
        found = _copy_from_archive(archive, candidate) if archive else candidate
        if found is not None and found.is_file():
            return found
        tried.append(candidate)
    raise BigflowError(
        f"there is no resource {resource_file_name!r} for {start}",
        hint="looked for " + (", ".join(map(str, tried)) or "nothing: the file is in no project"),
    )


def find_file(
    file_name: str, search_start_file: str | os.PathLike[str], max_depth: int = 10
) -> Path:
    """The nearest file or directory of that name, going up from ``search_start_file``.

    :raises BigflowError: when the ``max_depth`` directories above the file hold none.
    """
    start = Path(search_start_file).absolute()
    for directory in start.parents[:max_depth]:
        if (directory / file_name).exists():
            return directory / file_name
    raise BigflowError(
        f"there is no {file_name!r} in the {max_depth} directories above {start}",
        hint="check the name and where the search starts",
    )


def find_all_resources(resources_dir: str | os.PathLike[str]) -> Iterator[str]:
    """The files of a ``resources/`` directory, sorted, as paths relative to its parent."""
    directory = Path(resources_dir).absolute()
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(directory.parent))


def _check_name(name: object) -> None:
    plain = isinstance(name, str) and name not in {"", ".", ".."} and "\0" not in name
    separators = [s for s in (os.sep, os.altsep) if s]
    if not plain or any(s in str(name) for s in separators):
        raise BigflowError(
            f"{name!r} is not the name of a resource",
            hint="resources/ is flat: give a plain file name",
        )


def _file_of_caller() -> str:
    # sys._getframe() behind its documented door; this costs an import of 10 ms, giving
    # search_start_file costs nothing.
    from inspect import currentframe

    frame = currentframe()
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    file = frame.f_globals.get("__file__") if frame is not None else None
    if file is None:
        raise BigflowError(
            "the module that asks for a resource has no file",
            hint="give the second argument: a file of the project",
        )
    return str(file)


def _places(start: Path) -> Iterator[Path]:
    """The ``resources`` directories that ``start`` may mean, the nearest first."""
    for directory in (start, *start.parents) if start.is_dir() else start.parents:
        if _holds_installed_packages(directory):
            return
        is_project = any((directory / name).is_file() for name in _PROJECT_FILES)
        if not is_project and _is_environment(directory):
            return
        yield directory / _RESOURCES
        if is_project:
            return


def _holds_installed_packages(directory: Path) -> bool:
    """Whether others' packages lie here: a ``resources`` among them is no one's we know."""
    return (
        directory.name in {"site-packages", "dist-packages"}
        # `pip install --target`: PEP 376, the metadata of what is installed lies beside it.
        or next(directory.glob("*.dist-info"), None) is not None
    )


def _is_environment(directory: Path) -> bool:
    return directory == Path(sys.prefix) or (directory / "pyvenv.cfg").is_file()


def _places_in_archive(start: Path, archive: Path) -> Iterator[Path]:
    for directory in start.parents:
        if directory == archive.parent:
            return
        yield directory / _RESOURCES


_copies: dict[Path, Path] = {}


def _copy_from_archive(archive: Path, path: Path) -> Path | None:
    """A copy of the member at ``path`` under its own name, one for the life of the process."""
    import atexit
    import shutil
    import tempfile
    import zipfile

    if path not in _copies:
        with zipfile.ZipFile(archive) as opened:
            try:
                content = opened.read(path.relative_to(archive).as_posix())
            except KeyError:
                return None
        directory = Path(tempfile.mkdtemp(prefix="bigflow-"))
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        (directory / path.name).write_bytes(content)
        _copies[path] = directory / path.name
    return _copies[path]
