"""A project that reads its own settings, and builds itself: ``bigflow.build.reflect`` of BigFlow.

Jobs of Apache Beam use it for the ``setup.py`` of their workers. In the source tree the result is
that of the project's files. In a pod the project is installed without them: the result is then a
``setup.py`` for a copy of the installed packages.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import namedtuple
from functools import cache
from importlib import metadata
from pathlib import Path

from bigflow.errors import BigflowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from bigflow_backend.project.project import Project

__all__ = [
    "build_egg",
    "build_sdist",
    "build_wheel",
    "get_project_spec",
    "locate_project_path",
    "materialize_setuppy",
]

_PROJECT_FILES = ("setup.py", "project_setup.py", "pyproject.toml")

ProjectSpec = namedtuple(
    "ProjectSpec",
    [
        "project_dir",
        "name",
        "version",
        "packages",
        "requries",
        "docker_repository",
        "resources_dir",
        "test_framework",
    ],
)
"""The settings of a project. ``requries`` is spelled as BigFlow spells it. ``docker_repository`` is
None if it is not known: a pod has it from its image, and the source tree from its files."""


def locate_project_path(project_name: str | Path | None = None) -> Path:
    """Return the directory of the project.

    In a pod it is a new directory with a copy of the installed packages and a ``setup.py``.

    :param project_name: the name of an installed distribution, or a path, which is returned. By
        default it is the project of the calling module.

    :raises BigflowError: if no project is found.
    """
    if isinstance(project_name, Path):
        return project_name
    if project_name:
        copy = _copy_of(project_name)
        if copy is not None:
            return copy
    for file, module in _callers():
        directory = _source_tree(Path(file).resolve())
        if directory is not None:
            return directory
        names = metadata.packages_distributions().get(module.partition(".")[0])
        copy = _copy_of(names[0]) if names else None
        if copy is not None:
            return copy
    raise BigflowError(
        f"project {project_name!r} not found" if project_name else "no project found",
        hint="call it from a module of the project, or give its directory as a Path",
    )


def get_project_spec(project_name: str | Path | None = None) -> ProjectSpec:
    """Return name, version, packages and requirements of the project.

    The arguments are those of :func:`locate_project_path`.
    """
    directory = locate_project_path(project_name)
    if (directory / _INSTALLED).is_file():
        found = metadata.distribution((directory / _INSTALLED).read_text("utf-8"))
        return ProjectSpec(
            project_dir=directory,
            name=found.metadata["Name"].replace("_", "-"),
            version=found.version,
            packages=_packages(directory),
            requries=found.requires or [],
            docker_repository=_repository_of_pod(),
            resources_dir="resources",
            test_framework="pytest",
        )
    from bigflow_backend.ground.errors import UserError
    from bigflow_backend.project.project import read_project
    from bigflow_backend.project.requirements import read_requirements

    try:
        project = read_project(directory)
        return ProjectSpec(
            project_dir=directory,
            name=project.name.replace("_", "-"),
            version=project.version.text,
            packages=_packages(project.source, project.packages),
            requries=list(read_requirements(project.requirements).specifiers),
            docker_repository=_repository_of_files(project),
            resources_dir="resources",
            test_framework=project.settings.test_framework,
        )
    except UserError as error:
        raise BigflowError(error.message, hint=error.hint) from error


def _repository_of_pod() -> str | None:
    """Return the repository in the variable that each pod has: ``repository:tag@digest``."""
    name = os.environ.get("BIGFLOW_IMAGE", "").partition("@")[0]
    return name.rpartition(":")[0] or None


def _repository_of_files(project: Project) -> str | None:
    from bigflow_backend.ground.errors import UserError
    from bigflow_backend.project.workflows import describe_deployment

    try:
        return describe_deployment(project).docker_repository
    except UserError:  # a project that builds no image does not need it
        return None


def materialize_setuppy(project_name: str | Path | None = None, tempdir: str | None = None) -> Path:
    """Return the path of a ``setup.py`` of the project.

    A project without this file gets one in a copy of its sdist.

    :param tempdir: the directory for the copy; by default a new one.
    """
    directory = locate_project_path(project_name)
    if (directory / "setup.py").is_file():
        return directory / "setup.py"
    target = Path(tempdir or tempfile.mkdtemp(prefix="bigflow-"))
    sdist = _hook(directory, "build_sdist", target)
    with tarfile.open(sdist) as archive:
        archive.extractall(target, **_EXTRACTION)  # noqa: S202 - our own archive
    copy = target / sdist.name.removesuffix(".tar.gz")
    script = copy / "setup.py"
    if (copy / "project_setup.py").is_file():
        (copy / "project_setup.py").rename(script)
    else:
        script.write_text("from bigflow_backend import setup\n\nsetup()\n", "utf-8")
    return script


def build_sdist(project_name: str | Path | None = None) -> Path:
    """Build the project's sdist in a new directory, and return its path."""
    return _built("build_sdist", ["sdist", "--formats=gztar"], project_name)


def build_wheel(project_name: str | Path | None = None) -> Path:
    """Build the project's wheel in a new directory, and return its path."""
    return _built("build_wheel", ["bdist_wheel"], project_name)


def build_egg(project_name: str | Path | None = None) -> Path:
    """Report that eggs cannot be built.

    :raises BigflowError: always: https://packaging.python.org/en/latest/discussions/package-formats/
    """
    del project_name
    raise BigflowError("eggs cannot be built", hint="call build_wheel()")


_INSTALLED = ".installed-distribution"
"""The file of a copy that names the distribution."""

_EXTRACTION: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def _callers() -> Iterator[tuple[str, str]]:
    """Yield file and name of the calling modules, without those of this package."""
    frame = sys._getframe(1)  # noqa: SLF001
    while frame is not None:
        spec = frame.f_globals.get("__spec__")  # `python -m` names the module __main__
        name = str(spec.name if spec else frame.f_globals.get("__name__"))
        file = frame.f_globals.get("__file__")
        if file and name.partition(".")[0] != "bigflow":
            yield file, name
        frame = frame.f_back  # type: ignore[assignment]


def _source_tree(file: Path) -> Path | None:
    """Return the nearest directory above a file that is a project."""
    for directory in file.parents:
        if directory.name in {"site-packages", "dist-packages"}:
            return None
        if any((directory / name).is_file() for name in _PROJECT_FILES):
            return directory
    return None


@cache
def _copy_of(name: str) -> Path | None:
    """Return a new directory with the packages of an installed distribution and a ``setup.py``.

    Return None for a distribution that is not installed, or is editable: it has a source tree.
    """
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    files = [file for file in found.files or () if _is_of_package(file.parts)]
    if not files:
        return None
    directory = Path(tempfile.mkdtemp(prefix="bigflow-"))
    for file in files:
        target = directory.joinpath(*file.parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(file.locate()), target)
    keywords = {
        "name": found.metadata["Name"],
        "version": found.version,
        "packages": _packages(directory),
        "package_data": {"": ["*"]},
        "install_requires": found.requires or [],
    }
    lines = "".join(f"    {key}={value!r},\n" for key, value in keywords.items())
    (directory / "setup.py").write_text(
        f"from setuptools import setup\n\nsetup(\n{lines})\n", "utf-8"
    )
    (directory / _INSTALLED).write_text(name, "utf-8")
    return directory


def _is_of_package(parts: Sequence[str]) -> bool:
    top = parts[0]
    return len(parts) > 1 and top.isidentifier() and "__pycache__" not in parts


def _packages(directory: Path, tops: Sequence[str] | None = None) -> list[str]:
    """Return the names of the packages below a directory, sorted."""
    names = (
        ".".join(file.parent.relative_to(directory).parts)
        for file in directory.rglob("__init__.py")
        if file.parent != directory
    )
    return sorted(name for name in names if tops is None or name.partition(".")[0] in tops)


def _built(hook: str, command: list[str], project_name: str | Path | None) -> Path:
    directory = locate_project_path(project_name)
    target = Path(tempfile.mkdtemp(prefix="bigflow-"))
    if not (directory / _INSTALLED).is_file():
        return _hook(directory, hook, target)
    _run([sys.executable, "setup.py", *command, f"--dist-dir={target}"], directory)
    return next(target.iterdir())


def _hook(directory: Path, hook: str, target: Path) -> Path:
    """Call a PEP 517 hook of bigflow-backend in a process of its own, in the project."""
    code = f"import sys, bigflow_backend as b; b.{hook}(sys.argv[1])"
    _run([sys.executable, "-c", code, os.fspath(target)], directory)
    return next(path for path in target.iterdir() if path.suffix in {".gz", ".whl"})


def _run(command: Sequence[str], directory: Path) -> None:
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise BigflowError(f"the build in {directory} failed: {lines[-1]}", hint=lines[0])
