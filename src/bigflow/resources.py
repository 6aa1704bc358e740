"""Find the files of a project's ``resources/``.

In the source tree ``resources/`` is beside the package; in an installed package it is inside. The
search goes up from a module of the project, to the nearest ``resources/`` that has the file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bigflow.errors import BigflowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_RESOURCES = "resources"
_PROJECT_FILES = ("project_setup.py", "pyproject.toml", "setup.py")


def get_resource_absolute_path(
    resource_file_name: str, search_start_file: str | os.PathLike[str] | None = None
) -> Path:
    """Return the path of a file of ``resources/``::

        get_resource_absolute_path("stations.csv", Path(__file__))

    :param resource_file_name: a plain file name: ``resources/`` is flat.
    :param search_start_file: a module of the project; by default the caller's.

    The search does not leave the project, or the installed package.

    :raises BigflowError: for an invalid name, a package in a zip archive, and a missing file; it
        lists the searched paths.
    """
    _check_name(resource_file_name)
    start = Path(search_start_file or _file_of_caller()).absolute()
    archive = next((path for path in start.parents if path.is_file()), None)
    if archive is not None:
        raise BigflowError(
            f"resource {resource_file_name!r} is in a zip archive: {archive}",
            hint=f"install the archive: pip install {archive}",
        )
    tried = []
    for place in _places(start):
        candidate = place / resource_file_name
        if candidate.is_file():
            return candidate
        tried.append(candidate)
    raise BigflowError(
        f"resource {resource_file_name!r} not found for {start}",
        hint="searched: " + (", ".join(map(str, tried)) or "nothing: the file is not in a project"),
    )


def find_file(
    file_name: str, search_start_file: str | os.PathLike[str], max_depth: int = 10
) -> Path:
    """Return the nearest file or directory with this name, going up from ``search_start_file``.

    :raises BigflowError: when the ``max_depth`` directories above the file do not have it.
    """
    start = Path(search_start_file).absolute()
    for directory in start.parents[:max_depth]:
        if (directory / file_name).exists():
            return directory / file_name
    raise BigflowError(
        f"{file_name!r} not found in the {max_depth} directories above {start}",
        hint="check the name and the start of the search",
    )


def find_all_resources(resources_dir: str | os.PathLike[str]) -> Iterator[str]:
    """Return the files of a ``resources/`` directory, sorted, relative to its parent."""
    directory = Path(resources_dir).absolute()
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(directory.parent))


def _check_name(name: object) -> None:
    plain = isinstance(name, str) and name not in {"", ".", ".."} and "\0" not in name
    separators = [s for s in (os.sep, os.altsep) if s]
    if not plain or any(s in str(name) for s in separators):
        raise BigflowError(
            f"{name!r} is not a valid resource name",
            hint="give a plain file name, such as stations.csv: resources/ is flat",
        )


def _file_of_caller() -> str:
    # Importing `inspect` takes 10 ms; a caller that gives search_start_file does not pay them.
    from inspect import currentframe

    frame = currentframe()
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    file = frame.f_globals.get("__file__") if frame is not None else None
    if file is None:
        raise BigflowError(
            "the module that calls get_resource_absolute_path has no file",
            hint='give a file of the project: get_resource_absolute_path("name", Path(__file__))',
        )
    return str(file)


def _places(start: Path) -> Iterator[Path]:
    """Return the possible ``resources`` directories for ``start``, the nearest first."""
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
    """Return True for a directory of many packages: ``resources`` there can be anyone's."""
    return (
        directory.name in {"site-packages", "dist-packages"}
        # `pip install --target` puts the metadata beside the packages (PEP 376).
        or next(directory.glob("*.dist-info"), None) is not None
    )


def _is_environment(directory: Path) -> bool:
    return directory == Path(sys.prefix) or (directory / "pyvenv.cfg").is_file()
