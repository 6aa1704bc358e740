"""Project -> setuptools' ``Distribution``, with the metadata of all files."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError, nearest
from bigflow_backend.project.dependencies import project_dependencies
from bigflow_backend.project.legacy import BIGFLOW_KEYWORDS, setuptools_keywords
from bigflow_backend.project.members import local_projects, pinned
from bigflow_backend.project.pyproject import dynamic_table
from bigflow_backend.project.requirements import Requirements, ours
from bigflow_backend.project.setup_script import (
    in_a_line,
    no_bytecode,
    place_below,
    run_setup_script,
)
from bigflow_backend.wheel.conflicts import check_configuration, check_keywords

if TYPE_CHECKING:
    from pathlib import Path

    from setuptools import Distribution

    from bigflow_backend.project.project import Project
    from bigflow_backend.wheel.content import Content

_COMPILED_KEYWORDS = ("ext_modules", "libraries", "scripts", "headers")
_BUILD_COMMANDS = (
    "build",
    "build_py",
    "build_ext",
    "build_scripts",
    "bdist_wheel",
    "install_lib",
)


_UNKNOWN = re.compile(r"Unknown distribution option: '(?P<name>.*)'")


@dataclass(frozen=True)
class Stated:
    """The metadata that a project states in its own files, for whoever writes the wheel's."""

    keywords: Mapping[str, Any]
    """The keywords of ``setup()`` that setuptools knows."""
    requirements: Requirements


@dataclass(frozen=True)
class Loaded:
    """A distribution and its files."""

    distribution: Distribution
    content: Content
    needs_setuptools: bool
    """True if only setuptools' ``bdist_wheel`` can build it: it has extension modules, scripts,
    headers, or build commands of its own."""


def read_stated(project: Project) -> Stated:
    """Return the keywords of ``setup()`` and the requirements.

    :raises UserError: if the setup script fails, or two files state a fact differently.
    """
    passed = project.setup_keywords
    if passed is None:
        passed = run_setup_script(project.setup_script) if project.setup_script else {}
    keywords = setuptools_keywords(project, passed)
    dependencies = project_dependencies(project)
    requirements = dependencies.required if dependencies is not None else Requirements()
    check_keywords(project, keywords, requirements)
    return Stated(keywords, requirements)


def load_distribution(project: Project, content: Content, stated: Stated) -> Loaded:
    """Return the distribution with the stated metadata and the project's configuration.

    The current directory must be the project's, as setuptools reads its configuration there.

    :raises UserError: if setuptools refuses the metadata, or two files state a fact differently.
    """
    from bigflow_backend.wheel.setuptools_commands import resource_commands

    requirements = stated.requirements
    keywords = _setup_keywords(project, content, stated.keywords, requirements)
    distribution = _distribution(project, keywords)
    # The version from git or the environment, whatever [tool.setuptools.dynamic] says.
    distribution.metadata.version = project.version.text
    if not _setuptools_takes_dependencies(project):
        # [project] neither has them nor lists them as dynamic: setuptools would drop them.
        for holder in (distribution, distribution.metadata):
            setattr(holder, "install_requires", list(requirements.specifiers))  # noqa: B010
    _name_projects(distribution, local_projects(project.root, project.pyproject))
    _require_ours(distribution)
    # [project] turns this on, and plugins would then add all files that git tracks.
    distribution.include_package_data = False
    check_configuration(project, distribution, content.packages, requirements)
    own_commands: Any = distribution.cmdclass
    distribution.cmdclass = dict(resource_commands(project, own_commands))
    return Loaded(
        content=content,
        distribution=distribution,
        needs_setuptools=any(getattr(distribution, k, None) for k in _COMPILED_KEYWORDS)
        or any(c in own_commands for c in _BUILD_COMMANDS),
    )


def _setup_keywords(
    project: Project, content: Content, keywords: Mapping[str, Any], requirements: Requirements
) -> dict[str, Any]:
    """Return the keywords for setuptools, for a project that passed ``keywords`` to ``setup()``."""
    source = project.source.relative_to(project.root).as_posix()
    setuptools_reads_them = "dependencies" in {
        *dynamic_table(project.pyproject),
        *project.pyproject.get("project", {}),
    }
    return {
        "zip_safe": False,
        **keywords,
        "name": project.name,
        "version": project.version.text,
        "packages": list(content.packages),
        "package_dir": {} if source == "." else {"": source},
        "install_requires": list(requirements.specifiers)
        if _setuptools_takes_dependencies(project) and not setuptools_reads_them
        else None,
    }


def _setuptools_takes_dependencies(project: Project) -> bool:
    table = project.pyproject.get("project")
    return table is None or "dependencies" in {*table, *table.get("dynamic", [])}


def _name_projects(distribution: Any, projects: Mapping[str, Path]) -> None:
    """Name other projects of the repository by their version: no index has their paths."""
    for holder in (distribution, distribution.metadata):
        if projects and getattr(holder, "install_requires", None):
            holder.install_requires = [pinned(str(r), projects) for r in holder.install_requires]


def _require_ours(distribution: Any) -> None:
    """Replace requirements of ``bigflow``, also those that setuptools reads from its files."""
    for holder in (distribution, distribution.metadata):
        if getattr(holder, "install_requires", None):
            holder.install_requires = [ours(str(r)) for r in holder.install_requires]
        if getattr(holder, "extras_require", None):
            holder.extras_require = {
                extra: [ours(str(r)) for r in lines]
                for extra, lines in holder.extras_require.items()
            }


def _distribution(project: Project, keywords: dict[str, Any]) -> Distribution:
    """Return setuptools' distribution, with the metadata of setup.cfg and pyproject.toml."""
    from setuptools import Distribution

    script = project.setup_script.name if project.setup_script else "pyproject.toml"
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            distribution = Distribution(keywords)
    except _refusals() as error:
        raise _refused(f"{script}: {_culprit(keywords)}", error) from error
    for warning in caught:
        unknown = _UNKNOWN.match(str(warning.message))
        if unknown is not None:
            raise _unknown_keyword(unknown["name"], script)
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    try:
        with no_bytecode():  # [tool.setuptools.cmdclass] imports from the project
            distribution.parse_config_files()
    except _refusals() as error:
        raise _refused("pyproject.toml or setup.cfg", error) from error
    for name, command in distribution.cmdclass.items():
        if not isinstance(command, type):
            raise UserError(
                f"cmdclass[{name!r}] must be a command: got {command!r}",
                hint="pass a class derived from setuptools.Command",
            )
    return distribution


def _unknown_keyword(name: str, script: str) -> UserError:
    from setuptools import Distribution

    known = Distribution()
    near = nearest(name, {*vars(known), *vars(known.metadata), *BIGFLOW_KEYWORDS})
    return UserError(
        f"{script}: setup() does not know the keyword {name!r}",
        hint=f"did you mean {near!r}?" if near else "remove it",
    )


def _refusals() -> tuple[type[Exception], ...]:
    """Return the exceptions that setuptools raises for invalid metadata."""
    import configparser

    from setuptools.errors import BaseError

    # A value of the wrong type raises a TypeError.
    return BaseError, configparser.Error, ValueError, TypeError, OSError, ImportError


def _culprit(keywords: Mapping[str, Any]) -> str:
    """Return the keyword that setuptools refuses; its message may not name it."""
    from setuptools import Distribution

    for name, value in keywords.items():
        try:
            Distribution({name: value})
        except _refusals():  # noqa: PERF203  (a build ends here)
            return name
    return "the keywords of setup()"


def _refused(place: str, error: Exception) -> UserError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return UserError(
        f"{place}: {lines[0] if lines else type(error).__name__}",
        hint=lines[1] if len(lines) > 1 else "fix that entry",
    )


@contextlib.contextmanager
def reported_failures(project: Project, what: str) -> Iterator[None]:
    """Report failures of setuptools, which builds ``what`` in the block.

    :raises UserError: with the first line of the message of setuptools, a compiler, or a command of
        the project.
    """
    from setuptools.errors import BaseError, CCompilerError

    try:
        with _without_notices(), no_bytecode():
            yield
    except UserError:
        raise
    except (BaseError, CCompilerError, OSError) as error:
        raise UserError(
            f"setuptools cannot build {what}: {str(error).splitlines()[0]}",
            hint="see its output above",
        ) from error
    except Exception as error:  # a command of the user may raise anything
        place = place_below(project.root, error)
        if place is None:
            raise
        raise UserError(
            f"{place}: {in_a_line(error)}", hint=f"fix it; it runs in the build of {what}"
        ) from error


@contextlib.contextmanager
def _without_notices() -> Iterator[None]:
    """Suppress warnings of setuptools about itself."""
    with warnings.catch_warnings():
        # Its own build commands call `install`, which warns.
        warnings.filterwarnings("ignore", "setup.py install is deprecated")
        warnings.filterwarnings("ignore", "Editable installation.")
        yield
