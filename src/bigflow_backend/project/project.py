"""Files of a project -> :class:`Project`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import has_file
from bigflow_backend.ground.settings.places import place_of
from bigflow_backend.ground.settings.values import read_table
from bigflow_backend.project.legacy import (
    Statement,
    project_keywords,
    read_statements,
    with_statements,
)
from bigflow_backend.project.members import required_projects
from bigflow_backend.project.packages import project_packages
from bigflow_backend.project.pyproject import (
    BACKENDS,
    LEGACY_BACKEND,
    VERSION_KEY,
    dynamic_version,
    read_pyproject,
)
from bigflow_backend.project.settings import Settings
from bigflow_backend.project.settings_sources import with_surroundings
from bigflow_backend.project.setup_script import (
    SetupScript,
    keywords_from_child,
    read_setup_script,
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
    packages: tuple[str, ...]
    """The top-level packages of the distribution. The main package is the first."""
    source: Path
    """The directory with the packages: the root, or ``source-directory``."""
    is_legacy: bool
    """True for the forms of BigFlow 1.x: ``bigflow.build`` in the setup script, or the table
    ``[bigflow-project]``. All top-level packages then belong to the distribution."""
    setup_script: Path | None
    setup_keywords: Mapping[str, Any] | None
    """All keywords of ``setup()`` if the script ran in this process, else None."""
    statements: Mapping[str, Statement]
    """The keywords of ``setup()`` and ``[bigflow-project]`` that setuptools does not know, and
    ``name`` and ``version``."""
    pyproject: Mapping[str, Any]
    """The parsed pyproject.toml; empty without the file."""
    settings: Settings
    in_hook: bool = False
    """True in a hook of PEP 517. PEP 621 forbids it to change the version of ``[project]``."""
    release: ProjectVersion | None = None
    """The version of a wheel that was built before; None to compute it."""

    @property
    def package(self) -> str:
        """The main package, which has the resources: ``PROJECT_NAME``."""
        return self.packages[0]

    @property
    def static_version(self) -> tuple[str, str] | None:
        """The version in the project's own files, and the name of the place."""
        version = self.pyproject.get("project", {}).get("version")
        if version is not None:
            return str(version), "pyproject.toml [project] version"
        stated = self.statements.get("version")
        if stated is not None:
            return stated.value, stated.place
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
        return self.release or self._version(keep_static=self.in_hook)

    def version_at(self, revision: str) -> ProjectVersion:
        """Return the version of a commit.

        :raises UserError: if there is no version, or no such commit.
        """
        return self._version(revision=revision)

    def _version(self, **choices: Any) -> ProjectVersion:
        from bigflow_backend.version import project_version

        return project_version(
            self.root,
            distribution=self.name,
            static=self.static_version,
            tag_prefix=self.settings.version.tag_prefix,
            paths=self.version_paths,
            **choices,
        )

    @cached_property
    def version_paths(self) -> tuple[str, ...]:
        """The paths, relative to the project, whose commits count for its version; or none.

        They include the projects of the repository that this one needs.
        """
        stated = self.settings.version.paths
        if not stated:
            return ()
        needed = required_projects(self.root, self.pyproject)
        return (*stated, *sorted(os.path.relpath(path, self.root) for path in needed))

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the project's files that a build prints as warnings.

        :raises UserError: if the requirements are not valid.
        """
        from bigflow_backend.project.notes import project_notes

        return project_notes(self)

    @property
    def resources(self) -> Path:
        return self.root / "resources"

    @property
    def requirements(self) -> Path:
        return self.resources / "requirements.txt"

    @property
    def tests(self) -> Path:
        """``test/``, or ``tests/`` if only that exists."""
        directory = self.root / "test"
        other = self.root / "tests"
        return other if other.is_dir() and not directory.is_dir() else directory

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
    root = project_root(start)
    if root is not None:
        return root
    raise UserError(
        f"no project found: neither {start.resolve()} nor a directory above it has"
        " a project_setup.py, a setup.py that imports bigflow, or a pyproject.toml with"
        " [tool.bigflow]",
        hint="change to a project; or create one with `bigflow start-project NAME`; or prepare the"
        " code in this directory with `bigflow init`",
    )


def project_root(start: Path) -> Path | None:
    """Return the directory that :func:`find_root` finds, or None if there is no project."""
    start = start.resolve()
    return next((d for d in (start, *start.parents) if is_project(d)), None)


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
    statements = read_statements(
        root,
        script.path.name if script is not None else "",
        _keywords(script, setup_keywords),
        pyproject.get("bigflow-project", {}),
    )
    is_legacy = _is_legacy(script, pyproject)
    tool_table = pyproject.get("tool", {}).get("bigflow", {})
    settings = with_statements(settings, statements, tool_table, is_legacy=is_legacy)
    settings = with_surroundings(settings, tool_table)
    stated_name = statements.get("name")
    name: str | None = stated_name.value if stated_name is not None else None
    name = pyproject.get("project", {}).get("name") or name
    source = _source_directory(root, settings)
    packages = project_packages(
        root,
        source,
        script=script,
        settings=settings,
        statements=statements,
        name=name,
        is_legacy=is_legacy,
    )
    name = name or packages[0]
    check_name(name)
    return Project(
        root=root,
        name=name,
        packages=packages,
        source=source,
        is_legacy=is_legacy,
        setup_script=script.path if script is not None else None,
        setup_keywords=setup_keywords,
        statements=statements,
        pyproject=pyproject,
        settings=settings,
    )


def _keywords(
    script: SetupScript | None, setup_keywords: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    """Return the keywords of ``setup()`` that concern more than the metadata of the wheel."""
    if setup_keywords is not None:
        return project_keywords(setup_keywords)
    if script is None or not script.imports_bigflow:
        return {}
    return script.stated if script.stated is not None else keywords_from_child(script.path)


def _is_legacy(script: SetupScript | None, pyproject: Mapping[str, Any]) -> bool:
    if "bigflow-project" in pyproject or (script is not None and script.is_legacy):
        return True
    backend = pyproject.get("build-system", {}).get("build-backend")
    return script is None and backend == LEGACY_BACKEND


def check_name(name: str) -> None:
    """Check the name of a distribution.

    :raises UserError: if packaging tools would refuse it.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} is not a valid distribution name",
            hint="use letters, digits, '-', '_' and '.'; begin and end with a letter or a digit",
        )


def is_project(directory: Path) -> bool:
    """Return True if a file of the directory makes it a project.

    :raises UserError: if the file cannot be read.
    """
    if has_file(directory / "project_setup.py"):
        return True
    # BigFlow 1.x names the script setup.py, as projects of setuptools do.
    if has_file(directory / "setup.py"):
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
            f"{place_of('source-directory')} must be a directory of the project: got"
            f" {settings.source_directory!r}",
            hint='write the directory with the packages, such as "src"',
        )
    return source
