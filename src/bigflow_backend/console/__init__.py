"""The build commands of ``bigflow``; the ``bigflow`` command itself loads them on use."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.reporting import print_warning, reported, terminable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bigflow_backend.console.commands import BuildCommand

__all__ = ["main"]

_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def main(argv: Sequence[str]) -> int:
    """Carries out ``bigflow ARGV``, a build command and its options; the exit status.

    Usage errors end the process with status 2.
    """
    with reported(), terminable():
        try:
            return _dispatch(list(argv))
        except KeyboardInterrupt:
            print("bigflow: interrupted; nothing in the project was changed", file=sys.stderr)
            return _INTERRUPTED


def _dispatch(argv: list[str]) -> int:
    from bigflow_backend.console.commands import BUILD_COMMANDS

    name = argv[0] if argv else ""
    for command in BUILD_COMMANDS:
        if command.name == name:
            return _build(command, argv[1:])
    from bigflow_backend.console.versions import print_version, release

    if name in {"project-version", "pv"}:
        return print_version(argv[1:])
    if name == "release":
        return release(argv[1:])
    if name == "cache":
        from bigflow_backend.console.cache import cache

        return cache(argv[1:])
    print(f"bigflow: unknown command {name!r}; see `bigflow --help`", file=sys.stderr)
    return 2


def _build(command: BuildCommand, argv: list[str]) -> int:
    from bigflow_backend.console.options import add_arguments, build_options
    from bigflow_backend.console.report import as_json, summary
    from bigflow_backend.project import find_project

    parser = argparse.ArgumentParser(
        prog=f"bigflow {command.name}", description=command.help, allow_abbrev=False
    )
    add_arguments(parser, command.options)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    values = vars(parser.parse_args(argv))
    project = find_project(Path.cwd())
    for note in project.version.notes:
        print_warning(note)
    build = command.run(project, build_options(project, values, say=_say))
    print(as_json(build) if values["json"] else summary(build))
    return 0


def _say(line: str) -> None:
    # Standard output is kept for the result.
    print(line, file=sys.stderr, flush=True)
