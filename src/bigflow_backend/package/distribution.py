"""A project as setuptools sees it: one ``Distribution`` with everything decided."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bigflow_backend.bigflow_project import modern_keywords
from bigflow_backend.errors import UserError
from bigflow_backend.package.agreement import check_agreement
from bigflow_backend.package.requirements import Requirements, read_requirements
from bigflow_backend.setup_script import run_setup_script

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from setuptools import Distribution

    from bigflow_backend.package.content import Content
    from bigflow_backend.project import Project

__all__ = ["Loaded", "load_distribution", "without_notices"]

_REFUSED = {
    "data_files": "move the files to resources/",
    "package_data": "move the files to resources/",
    "include_package_data": "move the files to resources/",
    "py_modules": "move the modules into the package",
    "package_dir": "name the directory in [tool.bigflow] source-directory",
    "packages": "name the top-level packages in [tool.bigflow] packages",
}
"""Keywords of setup() that would put other files into the wheel than the layout says."""

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
    """The project, with the version that its setup script states, if it computes one."""
    requirements: Requirements
    needs_setuptools: bool
    """Whether only setuptools' own ``bdist_wheel`` can build it: extension modules, scripts,
    headers, or build commands of the project's own."""


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
    if keywords is None:
        keywords = run_setup_script(script.path) if script is not None else {}
    keywords = {**modern_keywords(project.pyproject.get("bigflow-project", {})), **keywords}
    if script is not None and script.computes_version:
        version = keywords.get("version")
        stated = dataclasses.replace(
            script, version=None if version is None else str(version), computes_version=False
        )
        project = dataclasses.replace(project, setup_script=stated)
    return _load(project, content, keywords)


def _load(project: Project, content: Content, keywords: Mapping[str, Any]) -> Loaded:
    from setuptools import Distribution

    for name, advice in _REFUSED.items():
        if keywords.get(name):
            raise UserError(f"setup() passes {name}, which is not the layout's", hint=advice)
    requirements = read_requirements(project.requirements)
    check_agreement(project, keywords, requirements)
    distribution = Distribution(_setup_keywords(project, content, keywords, requirements))
    _parse_configuration(distribution)
    if not _setuptools_takes_dependencies(project):
        # Neither given nor dynamic: requirements.txt counts, and setuptools would drop it.
        for holder in (distribution, distribution.metadata):
            setattr(holder, "install_requires", list(requirements.specifiers))  # noqa: B010
    # [project] turns this on, and plugins would then add whatever git tracks.
    distribution.include_package_data = False
    own_commands = keywords.get("cmdclass") or {}
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
    from bigflow_backend.package.commands import resource_commands

    source = project.source.relative_to(project.root).as_posix()
    return {
        "zip_safe": False,
        **keywords,
        "name": project.name,
        "version": project.version.text,
        "packages": list(content.packages),
        "package_dir": {} if source == "." else {"": source},
        "install_requires": list(requirements.specifiers)
        if _setuptools_takes_dependencies(project)
        else None,
        "cmdclass": resource_commands(project, keywords.get("cmdclass") or {}),
    }


def _setuptools_takes_dependencies(project: Project) -> bool:
    table = project.pyproject.get("project")
    return table is None or "dependencies" in {*table, *table.get("dynamic", [])}


def _parse_configuration(distribution: Distribution) -> None:
    from setuptools.errors import BaseError, InvalidConfigError

    try:
        distribution.parse_config_files()
    except (BaseError, InvalidConfigError, ValueError, OSError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UserError(
            "pyproject.toml or setup.cfg: " + (lines[0] if lines else type(error).__name__),
            hint=lines[1] if len(lines) > 1 else "mend that entry",
        ) from error


@contextlib.contextmanager
def without_notices() -> Iterator[None]:
    """Leaves out what setuptools says about itself and not about the project."""
    with warnings.catch_warnings():
        # Its commands that build call `install`, and warn of being called.
        warnings.filterwarnings("ignore", "setup.py install is deprecated")
        warnings.filterwarnings("ignore", "Editable installation.")
        yield
