"""The choices from which the files of a project are made."""

from __future__ import annotations

import keyword
import re
import sys
from dataclasses import dataclass
from typing import Literal

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.reference import image_reference
from bigflow_backend.project.project import check_name

Layout = Literal["flat", "src"]
CiSystem = Literal["github", "gitlab", "cloudbuild"]
DEFAULT_REGISTRY = "registry.example.com"


@dataclass(frozen=True)
class NewProject:
    """The choices for a project."""

    name: str
    """The name of the distribution, such as ``weather-reports``."""
    package: str
    """The name of the import package, such as ``weather_reports``."""
    layout: Layout
    docker_repository: str
    """The repository of its image, without a tag."""
    ci: CiSystem | None = None
    start_date: str | None = None
    """The first runtime of the workflows of a new project: they have one DAG for all versions."""
    find_links: str | None = None
    """The directory with the wheel of bigflow-backend for uv, as pyproject.toml has it."""
    requires_python: str = f">=3.{min(sys.version_info.minor, 12)}"
    """The default base image has Python 3.12."""

    @property
    def source(self) -> str:
        """The directory with the package, as a prefix of paths: ``src/``, or empty."""
        return "src/" if self.layout == "src" else ""


def checked(project: NewProject) -> NewProject:
    """Return the project, whose names are valid.

    :raises UserError: for a name that packaging, Python or a registry refuses.
    """
    check_name(project.name)
    if not project.package.isidentifier() or keyword.iskeyword(project.package):
        raise UserError(
            f"{project.package!r} is not a valid name of a package",
            hint="choose another one: --package my_pipelines",
        )
    if project.package in sys.stdlib_module_names or project.package in {
        "bigflow",
        "test",
        "tests",
    }:
        raise UserError(
            f"the package name {project.package!r} hides a module that Python or bigflow has",
            hint="choose another one: --package my_pipelines",
        )
    image_reference(project.docker_repository, "1.0.0")
    return project


def package_name(name: str) -> str:
    """Return the import package for the name of a distribution."""
    return re.sub(r"[-.]+", "_", name).lower()


def default_repository(name: str) -> str:
    """Return an image repository that shows what to replace."""
    return f"{DEFAULT_REGISTRY}/{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}"
