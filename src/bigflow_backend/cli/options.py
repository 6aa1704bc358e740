"""The options of the commands, and the parser. An option that is a setting is made from it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from bigflow_backend.ground.errors import UserError, nearest
from bigflow_backend.ground.report import print_error
from bigflow_backend.ground.settings.places import place_of
from bigflow_backend.ground.settings.values import read_value
from bigflow_backend.project.settings import ImageSettings
from bigflow_backend.project.settings_schema import tool_schema

WRONG_USAGE = 2
"""The exit status of a command line that is not valid."""


@dataclass(frozen=True)
class Option:
    """The arguments of ``add_argument()`` for an option of a command."""

    names: tuple[str, ...]
    keywords: dict[str, Any]


def option(*names: str, **keywords: Any) -> Option:
    """Return an option. Without a value on the command line it is None."""
    return Option(names, {"default": None, **keywords})


def flag(name: str, text: str) -> Option:
    """Return an option without a value, which is False unless it is given."""
    return Option((name,), {"action": "store_true", "help": text})


def switch(name: str, text: str, **keywords: Any) -> Option:
    """Return an option without a value, and the option ``--no-...``."""
    return option(name, action=argparse.BooleanOptionalAction, help=text, **keywords)


def image_setting(
    key: str, name: str = "", *, metavar: str | None = None, text: str = ""
) -> Option:
    """Return the option for a key of ``[tool.bigflow.image]``.

    Its help is ``text``, or else the first sentence of the key's documentation.
    """
    schema = _IMAGE_SCHEMA[key]
    if not text:
        sentence = schema["description"].replace("``", "").partition(". ")[0].rstrip(".")
        text = f"{sentence[:1].lower()}{sentence[1:]}".replace("%", "%%")
    name, field = name or f"--{key}", key.replace("-", "_")
    if schema.get("type") == "boolean":
        return switch(name, text, dest=field)
    return option(
        name,
        dest=field,
        metavar=metavar or "|".join(schema.get("items", schema)["enum"]),
        action="append" if schema.get("type") == "array" else "store",
        help=text,
    )


_IMAGE_SCHEMA: dict[str, Any] = tool_schema()["properties"]["image"]["properties"]

VERBOSE = Option(
    ("--verbose", "-v"),
    {
        "action": "store_true",
        "help": "print everything: also each command that runs, and its output",
    },
)
QUIET = Option(("--quiet", "-q"), {"action": "store_true", "help": "print only the result"})
JSON = flag("--json", "print the result as JSON")
DRY_RUN = flag("--dry-run", "print what the image would be, and build nothing")
PYTHON = option("--python", metavar="PATH", help="the interpreter with the project's dependencies")
ENVIRONMENT_OPTIONS = (
    option("--config", "-c", metavar="NAME", help="the environment in deployment_config.py"),
    PYTHON,
)
IMAGE_OPTIONS = (
    image_setting("builder"),
    image_setting(
        "platforms",
        "--platform",
        text="a platform of the image; may be repeated, for one image of several platforms",
    ),
    image_setting("base-image", metavar="IMAGE"),
    image_setting("network", metavar="NETWORK"),
    image_setting("locked"),
    image_setting(
        "find-links",
        metavar="DIRECTORY",
        text="a directory of wheels for requirements that no index has; may be repeated",
    ),
    image_setting(
        "secrets",
        "--secret",
        metavar="SECRET",
        text="a secret for RUN --mount=type=secret, as id=ID,src=FILE; may be repeated",
    ),
    image_setting("export-tar", "--export-image-tar"),
    image_setting("oci-layout"),
    image_setting("compression"),
    image_setting(
        "tags",
        "--tag",
        metavar="TAG",
        text="one more tag of the image, such as latest; may be repeated",
    ),
    image_setting("push"),
    image_setting("load"),
)
WHEEL = option(
    "--wheel",
    metavar="FILE",
    help="build the image of this wheel of an earlier build, such as for a patched --base-image",
)
VERIFY = flag(
    "--verify",
    "build the wheel and the image of .image/ again, from an empty cache, and compare them",
)
CHANGED_SINCE = option(
    "--changed-since",
    metavar="REV",
    help="build nothing: list the projects at and below this directory that differ from a commit",
)
START_TIME = option(
    "--start-time",
    "-t",
    metavar="TIME",
    help="the start of the DAGs in UTC, such as '2026-01-31 06:00:00', or ISO 8601 (default: the"
    " current hour)",
)
TAKEOVER_MINUTES = 10
"""The time for a deployment. A build at 23:55 is not deployed before the run of midnight starts."""
DEPLOYED = option(
    "--deployed",
    metavar="PATH",
    help="the manifest.json of the deployed DAGs, its directory, or a DAGs folder",
)
AIRFLOW_URL = option(
    "--airflow-url",
    metavar="URL",
    help="the Airflow that knows which retired DAGs still have runs; its token is in"
    " BIGFLOW_AIRFLOW_TOKEN",
)
DAG_OPTIONS = (
    switch("--in-image", "find the workflows in the built image, not with --python"),
    option(
        "--workflow",
        "-w",
        metavar="ID",
        action="append",
        help="build the DAG of this workflow only; may be repeated",
    ),
    START_TIME,
    DEPLOYED,
    AIRFLOW_URL,
    option(
        "--takeover",
        metavar="TIME",
        help="when the new DAGs take over from the deployed ones, in UTC, or `now` (default: in"
        f" {TAKEOVER_MINUTES} minutes)",
    ),
)


_GROUPS = {
    "project": ENVIRONMENT_OPTIONS,
    "image": IMAGE_OPTIONS,
    "DAGs": DAG_OPTIONS,
    "output": (JSON, VERBOSE, QUIET),
}
"""The titles of options in the help. The others come first, without one."""


def print_json_error(error: UserError) -> None:
    """Print an error on stdout, for ``--json``."""
    print(json.dumps({"error": error.message, "fix": error.hint}, indent=2))


class Parser(argparse.ArgumentParser):
    """A parser that reports wrong usage as every error is reported: the problem and the fix."""

    def __init__(
        self,
        prog: str,
        description: str,
        options: Sequence[Option],
        manual: Callable[[], str] = lambda: "",
    ) -> None:
        """Take the options, and a function that returns the end of the help."""
        description = f"{description[:1].upper()}{description[1:].rstrip('.')}."
        super().__init__(prog=prog, description=description, allow_abbrev=False)
        self._manual = manual
        self._prints_json = False
        groups: dict[str, Any] = {}
        for item in options:
            title = next((t for t, members in _GROUPS.items() if item in members), "")
            if title and title not in groups:
                groups[title] = self.add_argument_group(title)
            groups.get(title, self).add_argument(*item.names, **item.keywords)

    def format_help(self) -> str:
        """Return the help, with its examples and settings as they are written."""
        return f"{super().format_help()}\n{self._manual()}".rstrip() + "\n"

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Return the values of the options. Wrong usage ends the process with status 2."""
        self._prints_json = "--json" in arguments
        values, unknown = self.parse_known_args(arguments)
        if unknown:
            name, _, _ = unknown[0].partition("=")
            near = nearest(name, self._option_string_actions) if name.startswith("-") else None
            self._fail(f"unknown argument {unknown[0]!r}", f"did you mean {near}?" if near else "")
        return values

    def error(self, message: str) -> NoReturn:
        self._fail(message)

    def _fail(self, message: str, hint: str = "") -> NoReturn:
        error = UserError(f"{self.prog}: {message}", hint=hint or f"{self.prog} --help")
        if self._prints_json:
            print_json_error(error)
        print_error(error)
        sys.exit(WRONG_USAGE)


def image_settings(
    settings: ImageSettings, root: Path, values: argparse.Namespace
) -> ImageSettings:
    """Return the settings of the project in ``root`` with those of the command line over them.

    :raises UserError: for a value that pyproject.toml may not have either.
    """
    given: dict[str, Any] = {}
    for item in IMAGE_OPTIONS:
        field = item.keywords["dest"]
        value = getattr(values, field, None)
        if field == "platforms" and value is not None:  # also as buildx takes them: a,b
            value = [name for text in value for name in text.split(",")]
        if value is not None:
            given[field] = read_value(ImageSettings, field, value, place=item.names[0])
    # The command line is relative to the current directory, the settings to the project.
    links = [str(Path(directory).absolute()) for directory in given.pop("find_links", ())]
    found = dataclasses.replace(settings, find_links=(*links, *settings.find_links), **given)
    for directory in found.find_links:
        if not (root / directory).is_dir():
            raise UserError(
                f"{place_of('image.find-links', option='--find-links')} must be directories of"
                f" wheels: got {directory}",
                hint="create the directory, or correct the path",
            )
    return found
