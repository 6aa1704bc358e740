"""The options of the build commands, said once for both doors: argparse and setuptools."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.pipeline import BuildOptions
from bigflow_backend.project.settings import ImageSettings, read_value

if TYPE_CHECKING:
    import argparse

    from bigflow_backend.project.project import Project


@dataclass(frozen=True)
class Option:
    """An option of a command."""

    name: str
    """As it is typed, without the dashes."""
    help: str
    short: str = ""
    metavar: str | None = None
    """The name of its value; a flag has none, and is also there as ``--no-<name>``."""
    repeated: bool = False

    @property
    def key(self) -> str:
        return self.name.replace("-", "_")


ENVIRONMENT_OPTIONS = (
    Option("config", "the environment in deployment_config.py", short="c", metavar="NAME"),
    Option("python", "the interpreter that has the project's dependencies", metavar="PATH"),
)
IMAGE_OPTIONS = (
    Option("base-image", "the value of the Dockerfile's ARG BASE_IMAGE", metavar="IMAGE"),
    Option("network", "the network of the build's RUN steps, such as host", metavar="NETWORK"),
    Option(
        "find-links",
        "a directory of wheels for requirements that are on no index",
        metavar="DIRECTORY",
        repeated=True,
    ),
    Option("export-image-tar", "write the image to .image/ as a tar file (default)"),
    Option("oci-layout", "write the image to .image/ as an OCI layout, too (layered builder)"),
    Option("builder", "what builds the image: auto, engine or layered", metavar="NAME"),
    Option("platform", "linux/amd64 or linux/arm64; by default this machine's", metavar="NAME"),
    Option("push", "push the image to its registry"),
    Option("load", "load an image that was built without an engine into the engine"),
)
DRY_RUN = Option("dry-run", "tell what image it would be, and build nothing")
DAG_OPTIONS = (
    Option("in-image", "find the workflows inside the built image, not with --python"),
    Option("workflow", "build the DAG of this workflow only", short="w", metavar="ID"),
    Option(
        "start-time",
        "the <start> of the DAGs, UTC, as 'YYYY-MM-DD HH:MM:SS'; by default the current hour",
        short="t",
        metavar="TIME",
    ),
)


def add_arguments(parser: argparse.ArgumentParser, options: Sequence[Option]) -> None:
    """Adds the options to a parser of the command line; those not given are None."""
    import argparse

    for option in options:
        names = [f"--{option.name}", *([f"-{option.short}"] if option.short else [])]
        if option.metavar is None:
            parser.add_argument(
                *names, action=argparse.BooleanOptionalAction, default=None, help=option.help
            )
        else:
            parser.add_argument(
                *names,
                metavar=option.metavar,
                action="append" if option.repeated else "store",
                default=None,
                help=option.help,
            )


def build_options(
    project: Project, values: Mapping[str, Any], *, say: Callable[[str], None]
) -> BuildOptions:
    """The values of the options, by their keys, as the build takes them.

    :raises UserError: for a value that cannot be one.
    """
    python = values.get("python") or sys.executable
    if not os.access(python, os.X_OK):
        raise UserError(f"--python {python} is no interpreter", hint="name its path")
    return BuildOptions(
        image=_image_options(project, values),
        config=values.get("config"),
        start_time=read_start_time(values.get("start_time")),
        workflow=_workflow(values.get("workflow")),
        dry_run=bool(values.get("dry_run")),
        in_image=bool(values.get("in_image")),
        python=str(python),
        say=say,
    )


def _image_options(project: Project, values: Mapping[str, Any]) -> ImageSettings:
    given: dict[str, Any] = {
        "base_image": values.get("base_image"),
        "network": values.get("network"),
        "export_tar": values.get("export_image_tar"),
        "oci_layout": values.get("oci_layout"),
        "builder": values.get("builder"),
        "platform": values.get("platform"),
        "push": values.get("push"),
        "load": values.get("load"),
    }
    settings = project.settings.image
    # The command line is relative to the current directory, the settings to the project.
    directories = tuple(str(Path(d).absolute()) for d in values.get("find_links") or ())
    options = dataclasses.replace(
        settings,
        find_links=(*directories, *settings.find_links),
        **{
            name: read_value(ImageSettings, name, value, place=f"--{name.replace('_', '-')}")
            for name, value in given.items()
            if value is not None
        },
    )
    _check_image_options(project, options)
    return options


def _check_image_options(project: Project, options: ImageSettings) -> None:
    """Finds out now what a build would stumble over after the tests and the wheel."""
    for directory in options.find_links:
        if not (project.root / directory).is_dir():
            raise UserError(
                f"find-links: there is no directory {directory}",
                hint="name a directory of wheels, by --find-links or in [tool.bigflow.image]",
            )


_FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S")


def read_start_time(text: str | None) -> datetime:
    """The start time in UTC; the one place where a build reads the clock."""
    if text is None or text.upper() == "NOW":
        return datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0)
    for form in _FORMATS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=timezone.utc)
        except ValueError:  # noqa: PERF203  (the next form may fit)
            continue
    raise UserError(
        f"--start-time {text!r} is no time", hint="write it as 'YYYY-MM-DD HH:MM:SS', in UTC"
    )


def _workflow(text: str | None) -> str | None:
    # BigFlow's word for every workflow.
    return None if text is None or text.upper() == "ALL" else text
