"""Files of a project -> :class:`Project`."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.project.pyproject import (
    BACKENDS,
    VERSION_KEY,
    dynamic_version,
    read_pyproject,
)
from bigflow_backend.project.settings import Settings, read_table
from bigflow_backend.project.setup_script import (
    SetupScript,
    name_and_version,
    read_setup_script,
    strings,
)

if TYPE_CHECKING:
    from bigflow_backend.version import ProjectVersion

# https://packaging.python.org/en/latest/specifications/name-normalization/#name-format
_NAME = re.compile(r"[A-Z0-9]|[A-Z0-9][A-Z0-9._-]*[A-Z0-9]", re.IGNORECASE)


@dataclass(frozen=True)
class Project:
    """A project on disk. Paths are absolute. Optional files may not exist."""

    root: Path
    name: str
    """The name of the distribution, as the project writes it."""
    package: str
    """The main package, with the workflows: ``PROJECT_NAME``."""
    packages: tuple[str, ...]
    """The top-level packages of the distribution. The main package is the first."""
    source: Path
    """The directory with the packages: the root, or ``source-directory``."""
    setup_script: Path | None
    setup_version: str | None
    """The version that the setup script passes to ``setup()``."""
    setup_keywords: Mapping[str, Any] | None
    """All keywords of ``setup()`` if the script ran in this process, else None."""
    pyproject: Mapping[str, Any]
    """The parsed pyproject.toml; empty without the file."""
    settings: Settings

    @property
    def static_version(self) -> tuple[str, str] | None:
        """The version in the project's own files, and the name of the place."""
        for table in ("project", "bigflow-project"):
            version = self.pyproject.get(table, {}).get("version")
            if version is not None:
                return str(version), f"pyproject.toml [{table}] version"
        if self.setup_script is not None and self.setup_version is not None:
            return self.setup_version, f"{self.setup_script.name} version"
        if "version" in self.pyproject.get("project", {}).get("dynamic", []):
            version = dynamic_version(self.root, self.source, self.pyproject)
            if version is not None:
                return version, VERSION_KEY
        return None

    @cached_property
    def version(self) -> ProjectVersion:
        """The version of the wheel, the image and the DAGs.

        :raises UserError: if there is no version.
        """
        from bigflow_backend.version import project_version

        return project_version(
            self.root,
            distribution=self.name,
            static=self.static_version,
            tag_prefix=self.settings.version.tag_prefix,
        )

    @property
    def resources(self) -> Path:
        return self.root / "resources"

    @property
    def requirements(self) -> Path:
        return self.resources / "requirements.txt"

    @property
    def tests(self) -> Path:
        return self.root / "test"

    @property
    def dockerfile(self) -> Path:
        return self.root / "Dockerfile"

    @property
    def deployment_config(self) -> Path:
        return self.root / "deployment_config.py"


def find_project(start: Path) -> Project:
    """Return the project in ``start``, or in the nearest directory above it that has one.

    :raises UserError: if there is no project, or as :func:`read_project`.
    """
    return read_project(find_root(start))


def find_root(start: Path) -> Path:
    """Return the directory of the project in ``start``, or in the nearest directory above it.

    :raises UserError: if there is no project.
    """
    start = start.resolve()
    for directory in (start, *start.parents):
        if _is_project(directory):
            return directory
    raise UserError(
        f"no project found: neither {start} nor a directory above it has a project_setup.py",
        hint='change to a project, or create one: see "A project of your own" in the README',
    )


def read_project(root: Path, setup_keywords: Mapping[str, Any] | None = None) -> Project:
    """Return the project in the directory ``root``.

    ``setup_keywords`` are those of the script's call of ``setup()``, if it has run. Otherwise a
    child process runs it, unless its source or pyproject.toml states name and version.

    :raises UserError: if a file cannot be read, a setting is wrong, or no main package is named.
    """
    root = root.resolve()
    pyproject = read_pyproject(root)
    script = read_setup_script(root)
    settings = read_table(
        Settings,
        pyproject.get("tool", {}).get("bigflow", {}),
        key="tool.bigflow",
        source="pyproject.toml",
    )
    from_setup = _name_and_version(script, pyproject, setup_keywords)
    name = _stated_name(pyproject) or from_setup.get("name")
    source = _source_directory(root, settings)
    packages = _packages(root, source, script, settings, name)
    name = name or packages[0]
    _check_name(name)
    return Project(
        root=root,
        name=name,
        package=packages[0],
        packages=packages,
        source=source,
        setup_script=script.path if script is not None else None,
        setup_version=from_setup.get("version"),
        setup_keywords=setup_keywords,
        pyproject=pyproject,
        settings=settings,
    )


def _name_and_version(
    script: SetupScript | None,
    pyproject: Mapping[str, Any],
    setup_keywords: Mapping[str, Any] | None,
) -> dict[str, str]:
    """Return the name and the version from the setup script, as far as they are needed."""
    if setup_keywords is not None:
        return strings(setup_keywords)
    if script is None or not script.imports_bigflow:
        return {}
    if script.stated is not None:
        return dict(script.stated)
    tables = [pyproject.get(name, {}) for name in ("project", "bigflow-project")]
    if all(any(table.get(key) is not None for table in tables) for key in ("name", "version")):
        return {}
    return name_and_version(script.path)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} is not a valid distribution name",
            hint="use letters, digits, '-', '_' and '.'; begin and end with a letter or a digit",
        )


def _stated_name(pyproject: Mapping[str, Any]) -> str | None:
    names = (pyproject.get(table, {}).get("name") for table in ("project", "bigflow-project"))
    return next((str(name) for name in names if name), None)


def _is_project(directory: Path) -> bool:
    if (directory / "project_setup.py").is_file():
        return True
    # BigFlow 1.x names the script setup.py, as projects of setuptools do.
    if (directory / "setup.py").is_file():
        script = read_setup_script(directory)
        if script is not None and script.imports_bigflow:
            return True
    pyproject = read_pyproject(directory)
    return (
        "bigflow" in pyproject.get("tool", {})
        or "bigflow-project" in pyproject
        or pyproject.get("build-system", {}).get("build-backend") in BACKENDS
    )


def _source_directory(root: Path, settings: Settings) -> Path:
    source = (root / settings.source_directory).resolve()
    if not source.is_relative_to(root) or not source.is_dir():
        raise UserError(
            "pyproject.toml: tool.bigflow.source-directory must be a directory of the project: "
            f"got {settings.source_directory!r}",
            hint='write the directory with the packages, such as "src"',
        )
    return source


def _packages(
    root: Path, source: Path, script: SetupScript | None, settings: Settings, name: str | None
) -> tuple[str, ...]:
    """Return the top-level packages, the main package first."""
    stated = {}
    if script is not None and script.project_name:
        stated[f"PROJECT_NAME in {script.path.name}"] = script.project_name
    if settings.package:
        stated["[tool.bigflow] package in pyproject.toml"] = settings.package
    if len(set(stated.values())) > 1:
        both = ", ".join(f"{name!r} by {place}" for place, name in stated.items())
        raise UserError(f"the main package is named twice: {both}", hint="keep one of the two")
    main = next(iter(stated.values()), None) or next(iter(settings.packages), None)
    main = main or (name.replace("-", "_") if name else None)
    if not main:
        raise UserError(
            "the main package is not named",
            hint='write PROJECT_NAME = "..." into project_setup.py',
        )
    packages = (main, *(p for p in settings.packages if p != main))
    for package in packages:
        _check_package(root, source, package)
    return packages


def _check_package(root: Path, source: Path, package: str) -> None:
    if not package.isidentifier() or keyword.iskeyword(package):
        raise UserError(
            f"{package!r} is not a valid name of a top-level package",
            hint="write the name of the directory with __init__.py, such as project_package",
        )
    if (source / package / "__init__.py").is_file():
        return
    if (root / "src" / package / "__init__.py").is_file():
        raise UserError(
            f"the package {package!r} is in src/, and pyproject.toml does not say so",
            hint='write source-directory = "src" into [tool.bigflow]',
        )
    if (source / package).is_dir():
        raise UserError(
            f"the package {package}/ has no __init__.py",
            hint=f"create {(source / package / '__init__.py').relative_to(root)}; it may be empty",
        )
    found = sorted(p.parent.name for p in source.glob("*/__init__.py") if p.parent.name != "test")
    raise UserError(
        f"{source} has no package {package!r}",
        hint="its packages are: " + (", ".join(found) or "none; create one with an __init__.py"),
    )
