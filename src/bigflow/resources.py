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
    """Return the path of a file of ``resources/``.

    For example:

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
    for place in dict.fromkeys(_places(start)):
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

    :param file_name: the name, or a path that is relative to one of the directories.
    :param search_start_file: the file below which nothing is searched.
    :param max_depth: the number of directories to search.

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
    """Yield the files of a ``resources/`` directory, sorted, relative to its parent."""
    directory = Path(resources_dir).absolute()
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(directory.parent))


def find_setup(
    search_start_file: str | os.PathLike[str], retries_left: int = 10, sleep_time: float = 5
) -> Path:
    """Return the nearest ``setup.py``, going up from a file.

    A name of BigFlow 1.x. ``bigflow.build.reflect.materialize_setuppy`` also works in a pod.

    :param retries_left: how often to look again; ``sleep_time`` seconds are between two looks.

    :raises BigflowError: when the directories above the file do not have it.
    """
    from time import sleep

    try:
        return find_file("setup.py", search_start_file)
    except ValueError:
        if not retries_left:
            raise
    sleep(sleep_time)
    return find_setup(search_start_file, retries_left - 1, sleep_time)


def find_or_create_setup_for_main_project_package(
    project_name: str | None = None, search_start_file: object = None
) -> Path:
    """Call ``bigflow.build.reflect.materialize_setuppy``. A name of BigFlow 1.x."""
    from bigflow.build.reflect import materialize_setuppy

    del search_start_file
    return materialize_setuppy(project_name)


def create_setup_body(project_name: str) -> str:
    """Return the text of a ``setup.py`` for one package. A name of BigFlow 1.x."""
    include = [project_name, f"{project_name}.*"]
    return f"""\
import setuptools

setuptools.setup(
    name={project_name!r},
    version="0.1.0",
    packages=setuptools.find_packages(include={include!r}),
)
"""


def create_file_if_not_exists(file_path: Path, body: str) -> Path:
    """Write a file that does not exist, and return its path. A name of BigFlow 1.x."""
    if not os.path.exists(file_path):
        Path(file_path).write_text(body, encoding="utf-8")
    return file_path


def read_requirements(
    requirements_path: str | os.PathLike[str], recompile_check: bool = True
) -> list[str]:
    """Return the requirements of a file, and of the files that it includes. A name of BigFlow 1.x.

    It needs ``bigflow-backend[build]``.
    """
    from bigflow_backend.project.requirements import read_requirements as read

    del recompile_check
    return list(read(Path(requirements_path)).specifiers)


def resolve(path: Path) -> str:
    """Return the absolute path as text. A name of BigFlow 1.x."""
    return str(path.absolute())


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
            yield from _of_distribution(directory, start)
            return
        is_project = any((directory / name).is_file() for name in _PROJECT_FILES)
        if not is_project and _is_environment(directory):
            return
        yield directory / _RESOURCES
        if is_project:
            return


def _of_distribution(site: Path, start: Path) -> Iterator[Path]:
    """Yield the ``resources`` directories of the distribution that installed ``start``.

    A distribution of several packages has its resources in one of them. RECORD lists its files:
    https://packaging.python.org/en/latest/specifications/recording-installed-packages/
    """
    package = start.relative_to(site).parts[0]
    for record in sorted(site.glob("*.dist-info/RECORD")):
        names = record.read_text("utf-8", errors="replace").splitlines()
        if any(name.startswith(f"{package}/__init__.py,") for name in names):
            tops = dict.fromkeys(name.strip('"').partition("/")[0] for name in names)
            yield from (site / top / _RESOURCES for top in tops if top.isidentifier())


def _holds_installed_packages(directory: Path) -> bool:
    """Return True for a directory of many packages: ``resources`` there can be anyone's."""
    return (
        directory.name in {"site-packages", "dist-packages"}
        # `pip install --target` puts the metadata beside the packages (PEP 376).
        or next(directory.glob("*.dist-info"), None) is not None
    )


def _is_environment(directory: Path) -> bool:
    return directory == Path(sys.prefix) or (directory / "pyvenv.cfg").is_file()
