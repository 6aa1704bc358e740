"""A project as setuptools sees it: one ``Distribution`` with everything decided."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.project.legacy import modern_keywords
from bigflow_backend.project.requirements import Requirements, read_requirements
from bigflow_backend.project.setup_script import (
    SetupCall,
    in_a_line,
    no_bytecode,
    place_below,
    run_setup_script,
)
from bigflow_backend.project.setuptools_tables import dynamic_table
from bigflow_backend.wheel.conflicts import check_agreement, check_configuration, without_restated

if TYPE_CHECKING:
    from setuptools import Distribution

    from bigflow_backend.project.project import Project
    from bigflow_backend.wheel.content import Content

_OWN_PATH_KEYWORDS = ("ext_modules", "libraries", "scripts", "headers")
_OWN_PATH_COMMANDS = (
    "build",
    "build_py",
    "build_ext",
    "build_scripts",
    "bdist_wheel",
    "install_lib",
)


@dataclass(frozen=True)
class Loaded:
    """A distribution, and what was learnt on the way to it."""

    distribution: Distribution
    project: Project
    requirements: Requirements
    needs_setuptools: bool
    """Whether only setuptools' own ``bdist_wheel`` can build it: extension modules, scripts,
    headers, or build commands of the project's own."""
    setup_files: frozenset[str] = frozenset()
    """The files of the project that its setup script imported or read, by absolute paths."""


def load_distribution(
    project: Project, content: Content, keywords: Mapping[str, Any] | None = None
) -> Loaded:
    """Runs the project's setup script and reads its configuration; nothing is written.

    ``keywords`` are those of its ``setup()``, where the script is running already.
    The current directory must be the project's, as setuptools reads its configuration there.

    :raises UserError: for a setup script that fails, metadata that setuptools refuses, and what
        two files say differently.
    """
    script = project.setup_script
    used: frozenset[str] = frozenset()
    if keywords is None:
        call = run_setup_script(script.path) if script is not None else SetupCall({}, used)
        keywords, used = call.keywords, call.files
    keywords = {**modern_keywords(project.pyproject.get("bigflow-project", {})), **keywords}
    return dataclasses.replace(_load(project, content, keywords), setup_files=used)


def _load(project: Project, content: Content, keywords: Mapping[str, Any]) -> Loaded:
    from bigflow_backend.wheel.setuptools_commands import resource_commands

    requirements = read_requirements(project.requirements)
    check_agreement(project, keywords, requirements)
    keywords = without_restated(project, keywords)
    distribution = _distribution(project, _setup_keywords(project, content, keywords, requirements))
    # The one that git or a variable gives, whatever [tool.setuptools.dynamic] says besides.
    distribution.metadata.version = project.version.text
    if not _setuptools_takes_dependencies(project):
        # Neither given nor dynamic: requirements.txt counts, and setuptools would drop it.
        for holder in (distribution, distribution.metadata):
            setattr(holder, "install_requires", list(requirements.specifiers))  # noqa: B010
    # [project] turns this on, and plugins would then add whatever git tracks.
    distribution.include_package_data = False
    check_configuration(project, distribution, content.packages, requirements)
    own_commands: Any = distribution.cmdclass
    distribution.cmdclass = dict(resource_commands(project, own_commands))
    return Loaded(
        distribution=distribution,
        project=project,
        requirements=requirements,
        needs_setuptools=any(getattr(distribution, k, None) for k in _OWN_PATH_KEYWORDS)
        or any(c in own_commands for c in _OWN_PATH_COMMANDS),
    )


def _setup_keywords(
    project: Project, content: Content, keywords: Mapping[str, Any], requirements: Requirements
) -> dict[str, Any]:
    """The keywords of setuptools' ``setup()`` for a project that passed ``keywords`` to ours."""
    source = project.source.relative_to(project.root).as_posix()
    setuptools_reads_them = "dependencies" in dynamic_table(project.pyproject)
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


def _distribution(project: Project, keywords: dict[str, Any]) -> Distribution:
    """Setuptools' distribution, with what setup.cfg and pyproject.toml say."""
    from setuptools import Distribution

    script = project.setup_script.path.name if project.setup_script else "pyproject.toml"
    try:
        distribution = Distribution(keywords)
    except _refusals() as error:
        raise _refused(f"{script}: {_culprit(keywords)}", error) from error
    try:
        with no_bytecode():  # [tool.setuptools.cmdclass] imports from the project
            distribution.parse_config_files()
    except _refusals() as error:
        raise _refused("pyproject.toml or setup.cfg", error) from error
    for name, command in distribution.cmdclass.items():
        if not isinstance(command, type):
            raise UserError(
                f"cmdclass[{name!r}] is {command!r}, which is no command",
                hint="pass a class derived from setuptools.Command",
            )
    return distribution


def _refusals() -> tuple[type[Exception], ...]:
    """What setuptools raises for metadata that it does not take."""
    import configparser

    from setuptools.errors import BaseError

    # A value of another type than setuptools expects shows itself as a TypeError.
    return BaseError, configparser.Error, ValueError, TypeError, OSError, ImportError


def _culprit(keywords: Mapping[str, Any]) -> str:
    """The keyword that setuptools refuses, which its message may not name."""
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
        hint=lines[1] if len(lines) > 1 else "mend that entry",
    )


@contextlib.contextmanager
def failures_told(project: Project, what: str) -> Iterator[None]:
    """Setuptools builds ``what`` in the block; what fails there is the user's to mend.

    :raises UserError: with the first line of what setuptools, a compiler, or a command of the
        project's own says.
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
            hint="its output above tells more",
        ) from error
    except Exception as error:  # whatever a user's command raises is the user's to mend
        place = place_below(project.root, error)
        if place is None:
            raise
        raise UserError(
            f"{place}: {in_a_line(error)}", hint=f"mend it; it runs in the build of {what}"
        ) from error


@contextlib.contextmanager
def _without_notices() -> Iterator[None]:
    """Leaves out what setuptools says about itself and not about the project."""
    with warnings.catch_warnings():
        # Its commands that build call `install`, and warn of being called.
        warnings.filterwarnings("ignore", "setup.py install is deprecated")
        warnings.filterwarnings("ignore", "Editable installation.")
        yield
