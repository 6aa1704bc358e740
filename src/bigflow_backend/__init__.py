"""The build backend of BigFlow projects: the hooks of PEP 517 and PEP 660, and ``setup()``.

A frontend starts a process for each hook, so imports are as late as possible.

- ``cli/``: command line -> calls of the pipeline, and printed results
- ``command``: the scripts ``bigflow`` and ``bf``
- ``pipeline``: the steps of a build in their order
- ``scaffold/``: a name and a few choices -> a new project
- ``dags/``: workflows + image -> DAG files
- ``image/``: wheel -> image, and the places that it is published to
- ``wheel/``: project -> wheel, sdist, editable wheel
- ``project/``: files -> what a project states
- ``version/``: git -> PEP 440
- ``ground/``: errors, reports, files and the transaction, for all of them

docs/explanation/architecture.md shows the walk of one build.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.installation import check_installation
from bigflow_backend.ground.report import reported
from bigflow_backend.ground.signals import terminable

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project
    from bigflow_backend.wheel.config_settings import ConfigSettings

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
    "setup",
]

_REQUIRES = ("setuptools>=77", "packaging>=24")


def get_requires_for_build_wheel(config_settings: Mapping[str, Any] | None = None) -> list[str]:
    """Return the requirements of a build.

    https://peps.python.org/pep-0517/#get-requires-for-build-wheel

    :param config_settings: ``--build-option``, ``--global-option`` and ``editable_mode``, as
        ``-C`` of pip and build passes them.

    :raises SystemExit: with status 1, after two lines on stderr, for an error of the project.
    """
    from bigflow_backend.wheel.config_settings import read_config_settings

    with reported():
        check_installation()
        read_config_settings(config_settings)
    return [*_REQUIRES, *(["tomli>=2"] if sys.version_info < (3, 11) else [])]


get_requires_for_build_sdist = get_requires_for_build_wheel
get_requires_for_build_editable = get_requires_for_build_wheel


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: Mapping[str, Any] | None = None
) -> str:
    """Write ``.dist-info`` into ``metadata_directory`` and return its name.

    https://peps.python.org/pep-0517/#prepare-metadata-for-build-wheel

    :param metadata_directory: an existing directory.
    :param config_settings: ``--build-option``, ``--global-option`` and ``editable_mode``, as
        ``-C`` of pip and build passes them.

    :raises SystemExit: with status 1, after two lines on stderr, for an error of the project.
    """
    from bigflow_backend.wheel.wheel import prepare_metadata

    with _project(config_settings) as (project, settings):
        return prepare_metadata(project, Path(metadata_directory), settings)


def prepare_metadata_for_build_editable(
    metadata_directory: str, config_settings: Mapping[str, Any] | None = None
) -> str:
    """Write ``.dist-info`` of the editable wheel into ``metadata_directory`` and return its name.

    https://peps.python.org/pep-0660/#prepare-metadata-for-build-editable

    :param metadata_directory: an existing directory.
    :param config_settings: ``--build-option``, ``--global-option`` and ``editable_mode``, as
        ``-C`` of pip and build passes them.

    :raises SystemExit: with status 1, after two lines on stderr, for an error of the project.
    """
    from bigflow_backend.wheel.wheel import prepare_metadata

    with _project(config_settings) as (project, settings):
        return prepare_metadata(project, Path(metadata_directory), settings, editable=True)


def build_wheel(
    wheel_directory: str,
    config_settings: Mapping[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build the wheel in ``wheel_directory`` and return its file name.

    https://peps.python.org/pep-0517/#build-wheel

    :param wheel_directory: an existing directory.
    :param config_settings: ``--build-option``, ``--global-option`` and ``editable_mode``, as
        ``-C`` of pip and build passes them.
    :param metadata_directory: not used: the wheel has the same metadata.

    :raises SystemExit: with status 1, after two lines on stderr, for an error of the project.
    """
    from bigflow_backend.wheel import wheel

    del metadata_directory  # it has the same metadata
    with _project(config_settings) as (project, settings):
        return wheel.build_wheel(project, Path(wheel_directory), settings).name


def build_sdist(sdist_directory: str, config_settings: Mapping[str, Any] | None = None) -> str:
    """Build the sdist in ``sdist_directory`` and return its file name.

    https://peps.python.org/pep-0517/#build-sdist

    :param sdist_directory: an existing directory.
    :param config_settings: ``--build-option``, ``--global-option`` and ``editable_mode``, as
        ``-C`` of pip and build passes them.

    :raises SystemExit: with status 1, after two lines on stderr, for an error of the project.
    """
    from bigflow_backend.wheel import sdist

    with _project(config_settings) as (project, settings):
        return sdist.build_sdist(project, Path(sdist_directory), settings).name


def build_editable(
    wheel_directory: str,
    config_settings: Mapping[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build the editable wheel in ``wheel_directory`` and return its file name.

    https://peps.python.org/pep-0660/#build-editable

    :param wheel_directory: an existing directory.
    :param config_settings: ``--build-option``, ``--global-option`` and ``editable_mode``, as
        ``-C`` of pip and build passes them.
    :param metadata_directory: not used: the wheel has the same metadata.

    :raises SystemExit: with status 1, after two lines on stderr, for an error of the project.
    """
    from bigflow_backend.wheel import wheel

    del metadata_directory  # it has the same metadata
    with _project(config_settings) as (project, settings):
        return wheel.build_editable(project, Path(wheel_directory), settings)


def setup(**keywords: Any) -> None:
    """Run the command line of a ``project_setup.py``, which calls ``setup(name=PROJECT_NAME)``.

    The commands are ``build_package``, ``build_image``, ``build_dags``, ``build_project``, and
    those of setuptools. In a hook, this function only keeps the keywords.

    :param keywords: those of setuptools' ``setup()``; ``name`` is the main package.

    :raises SystemExit: with status 1 for an error of the project, and 2 for wrong usage.
    """
    from bigflow_backend.project.setup_script import keep_keywords

    if keep_keywords(keywords):
        return
    with terminable(), reported():
        check_installation()
        from bigflow_backend.cli.setup_commands import run_setup

        run_setup(keywords)


@contextlib.contextmanager
def _project(
    config_settings: Mapping[str, Any] | None,
) -> Iterator[tuple[Project, ConfigSettings]]:
    """Yield the project in the current directory, in which frontends call the hooks."""
    with reported():
        check_installation()
        from dataclasses import replace

        from bigflow_backend.project.project import read_project
        from bigflow_backend.project.setup_script import run_setup_script, setup_script_path
        from bigflow_backend.wheel.config_settings import read_config_settings

        settings = read_config_settings(config_settings)
        script = setup_script_path(Path.cwd())
        keywords = run_setup_script(script) if script is not None else None
        yield replace(read_project(Path.cwd(), keywords), in_hook=True), settings
