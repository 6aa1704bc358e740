"""The build commands: a name, options, and the function of ``build`` that each one calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigflow_backend import pipeline as build
from bigflow_backend.cli.options import DAG_OPTIONS, DRY_RUN, ENVIRONMENT_OPTIONS, IMAGE_OPTIONS

if TYPE_CHECKING:
    from bigflow_backend.cli.options import Option
    from bigflow_backend.pipeline import Build, BuildOptions
    from bigflow_backend.project.project import Project


@dataclass(frozen=True)
class BuildCommand:
    """One command behind two doors: ``bigflow NAME`` and ``project_setup.py SETUP_NAME``."""

    name: str
    setup_name: str
    help: str
    options: tuple[Option, ...]
    run: Callable[[Project, BuildOptions], Build]


BUILD_COMMANDS = (
    BuildCommand(
        name="build",
        setup_name="build_project",
        help="run the tests, then build the package, the image and the DAGs",
        options=(*ENVIRONMENT_OPTIONS, *IMAGE_OPTIONS, *DAG_OPTIONS),
        run=build.build_project,
    ),
    BuildCommand(
        name="build-package",
        setup_name="build_package",
        help="run the tests, then build the wheel into dist/",
        options=tuple(o for o in ENVIRONMENT_OPTIONS if o.name == "python"),
        run=build.build_package,
    ),
    BuildCommand(
        name="build-image",
        setup_name="build_image",
        help="build the wheel and the image that it is installed in, into .image/",
        options=(*ENVIRONMENT_OPTIONS, *IMAGE_OPTIONS, DRY_RUN),
        run=build.build_image,
    ),
    BuildCommand(
        name="build-dags",
        setup_name="build_dags",
        help="write an Airflow DAG for each workflow into .dags/",
        options=(*ENVIRONMENT_OPTIONS, *DAG_OPTIONS),
        run=build.build_dags,
    ),
)
