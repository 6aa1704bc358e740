"""One frozen description of a project, read from its files."""

from __future__ import annotations

import dataclasses
import keyword
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.project.settings import Settings, read_table
from bigflow_backend.project.setup_source import SetupScript, read_setup_script
from bigflow_backend.project.setuptools_tables import VERSION_KEY, dynamic_version

if TYPE_CHECKING:
    from bigflow_backend.version import ProjectVersion

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BACKENDS = ("bigflow_backend", "bigflow.build.meta")
"""The build backends of a project: ours, and the name that BigFlow's had."""

_TABLES = ("build-system", "project", "bigflow-project", "tool")

# https://packaging.python.org/en/latest/specifications/name-normalization/#name-format
_NAME = re.compile(r"[A-Z0-9]|[A-Z0-9][A-Z0-9._-]*[A-Z0-9]", re.IGNORECASE)


@dataclass(frozen=True)
class Project:
    """A project on disk. Paths are absolute; those of optional files may not exist."""

    root: Path
    name: str
    """The distribution's name, as the project writes it."""
    package: str
    """The main package: pipelines and workflows, named by ``PROJECT_NAME``."""
    packages: tuple[str, ...]
    """The top-level packages of the distribution, the main one first."""
    source: Path
    """The directory that holds the packages: the root, or what ``source-directory`` names."""
    setup_script: SetupScript | None
    pyproject: Mapping[str, Any]
    """The parsed pyproject.toml; empty when there is none."""
    settings: Settings
    output: Path
    """The directory that ``dist/``, ``.image/`` and ``.dags/`` are made in: the root, or one beside
    it from which a finished build is moved into place."""

    @property
    def static_version(self) -> tuple[str, str] | None:
        """The version that the project's own files state, and the place that states it."""
        for table in ("project", "bigflow-project"):
            version = self.pyproject.get(table, {}).get("version")
            if version is not None:
                return str(version), f"pyproject.toml [{table}] version"
        if self.setup_script is not None and self.setup_script.version is not None:
            return self.setup_script.version, f"{self.setup_script.path.name} version"
        if "version" in self.pyproject.get("project", {}).get("dynamic", []):
            version = dynamic_version(self.root, self.source, self.pyproject)
            if version is not None:
                return version, VERSION_KEY
        return None

    @cached_property
    def version(self) -> ProjectVersion:
        """The version that wheel, image and DAGs carry.

        :raises UserError: when it cannot be told, with the ways out.
        """
        from bigflow_backend.version import project_version

        return project_version(
            self.root,
            distribution=self.name,
            static=self.static_version,
            settings=self.settings.version,
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

    @property
    def dist(self) -> Path:
        return self.output / "dist"

    @property
    def images(self) -> Path:
        return self.output / ".image"

    @property
    def dags(self) -> Path:
        return self.output / ".dags"


def find_project(start: Path) -> Project:
    """The project that ``start`` lies in: the nearest directory upwards that holds one.

    :raises UserError: when there is none.
    """
    start = start.resolve()
    for directory in (start, *start.parents):
        if _is_project(directory):
            return read_project(directory)
    raise UserError(
        f"no project here: {start} holds no project_setup.py, nor does a directory above it",
        hint='change to the project, or start one: see "A project of your own" in the README',
    )


def read_project(root: Path) -> Project:
    """The project in the directory ``root``.

    None of its files is run, but for a setup script that computes its name or version: only
    running it tells them, and it runs in a child.

    :raises UserError: for files that cannot be read, settings that are wrong, or a project that
        names no main package.
    """
    root = root.resolve()
    pyproject = _read_pyproject(root / "pyproject.toml")
    script = _read_setup_script(root, pyproject)
    settings = read_table(
        Settings,
        pyproject.get("tool", {}).get("bigflow", {}),
        key="tool.bigflow",
        source="pyproject.toml",
    )
    source = _source_directory(root, settings)
    packages = _packages(root, source, script, settings, pyproject)
    name = _stated_name(script, pyproject) or packages[0]
    _check_name(name)
    return Project(
        root=root,
        name=name,
        package=packages[0],
        packages=packages,
        source=source,
        setup_script=script,
        pyproject=pyproject,
        settings=settings,
        output=root,
    )


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} is no name of a distribution",
            hint="use letters, digits, '-', '_' and '.', with a letter or a digit at both ends",
        )


def _stated_name(script: SetupScript | None, pyproject: Mapping[str, Any]) -> str | None:
    """The distribution's name, where the project's files state one."""
    tables = (pyproject.get(t, {}).get("name") for t in ("project", "bigflow-project"))
    return next((str(n) for n in (*tables, script and script.name) if n), None)


def _is_project(directory: Path) -> bool:
    if (directory / "project_setup.py").is_file():
        return True
    # BigFlow's name of it, which setuptools' projects have, too.
    if (directory / "setup.py").is_file():
        script = read_setup_script(directory)
        if script is not None and script.imports_bigflow:
            return True
    pyproject = _read_pyproject(directory / "pyproject.toml")
    return (
        "bigflow" in pyproject.get("tool", {})
        or "bigflow-project" in pyproject
        or pyproject.get("build-system", {}).get("build-backend") in BACKENDS
    )


def _read_pyproject(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    try:
        parsed: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"pyproject.toml is not TOML: {error}", hint="mend that line") from error
    for name in _TABLES:
        if not isinstance(parsed.get(name, {}), dict):
            raise UserError(
                f"pyproject.toml: {name} must be a table, not {parsed[name]!r}",
                hint=f"write it as [{name}], with its keys below",
            )
    dynamic = parsed.get("project", {}).get("dynamic", [])
    if not isinstance(dynamic, list):
        raise UserError(
            f"pyproject.toml: [project] dynamic must be a list of strings, not {dynamic!r}",
            hint='write it as dynamic = ["version"]',
        )
    return parsed


def _read_setup_script(root: Path, pyproject: Mapping[str, Any]) -> SetupScript | None:
    """The setup script; it is run, in a child, only where that alone tells name or version."""
    script = read_setup_script(root)
    if script is None or not script.computes:
        return script
    tables = [pyproject.get(name, {}) for name in ("project", "bigflow-project")]
    if all(any(table.get(key) is not None for table in tables) for key in ("name", "version")):
        return script
    from bigflow_backend.project.setup_script import computed_keywords

    computed = computed_keywords(script.path)
    return dataclasses.replace(
        script, name=computed.get("name"), version=computed.get("version"), computes=False
    )


def _source_directory(root: Path, settings: Settings) -> Path:
    source = (root / settings.source_directory).resolve()
    if not source.is_relative_to(root) or not source.is_dir():
        raise UserError(
            "pyproject.toml: tool.bigflow.source-directory is "
            f"{settings.source_directory!r}, which is no directory of the project",
            hint='write the directory that holds the packages, such as "src"',
        )
    return source


def _packages(
    root: Path,
    source: Path,
    script: SetupScript | None,
    settings: Settings,
    pyproject: Mapping[str, Any],
) -> tuple[str, ...]:
    """The top-level packages, the main one first."""
    stated = {
        place: name
        for place, name in (
            (
                f"PROJECT_NAME in {script.path.name}" if script else "",
                script and script.project_name,
            ),
            ("[tool.bigflow] package in pyproject.toml", settings.package),
        )
        if name
    }
    if len(set(stated.values())) > 1:
        both = ", ".join(f"{name!r} by {place}" for place, name in stated.items())
        raise UserError(f"the main package is named twice: {both}", hint="keep one of the two")
    implied = _stated_name(script, pyproject)
    main = next(iter(stated.values()), None) or next(iter(settings.packages), None)
    main = main or (implied.replace("-", "_") if implied else None)
    if not main:
        raise UserError(
            "nothing names the main package",
            hint='write PROJECT_NAME = "..." into project_setup.py',
        )
    packages = (main, *(p for p in settings.packages if p != main))
    for package in packages:
        _check_package(root, source, package)
    return packages


def _check_package(root: Path, source: Path, package: str) -> None:
    if not package.isidentifier() or keyword.iskeyword(package):
        raise UserError(
            f"{package!r} is no name of a top-level package",
            hint="name the directory that holds __init__.py, such as project_package",
        )
    if (source / package / "__init__.py").is_file():
        return
    if (root / "src" / package / "__init__.py").is_file():
        raise UserError(
            f"the package {package!r} lies in src/, and pyproject.toml does not say so",
            hint='write source-directory = "src" into [tool.bigflow]',
        )
    if (source / package).is_dir():
        raise UserError(
            f"the package {package}/ has no __init__.py",
            hint=f"create {(source / package / '__init__.py').relative_to(root)}; it may be empty",
        )
    there = sorted(p.parent.name for p in source.glob("*/__init__.py") if p.parent.name != "test")
    raise UserError(
        f"there is no package {package!r} in {source}",
        hint="packages there: " + (", ".join(there) or "none; create one with an __init__.py"),
    )


def _unreadable(path: Path, error: OSError | UnicodeDecodeError) -> UserError:
    reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
    return UserError(f"cannot read {path}: {reason}", hint="check the file and its rights")
