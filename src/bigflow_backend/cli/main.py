"""The build commands of ``bigflow``; the ``bigflow`` command itself loads them on use."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.report import print_warning, reported, terminable

if TYPE_CHECKING:
    from bigflow_backend.cli.commands import BuildCommand

# 128 and the signal's number, as shells have it.
_INTERRUPTED = 128 + signal.SIGINT
_PIPE_CLOSED = 128 + signal.SIGPIPE


def main(argv: Sequence[str]) -> int:
    """Carries out ``bigflow ARGV``, a build command and its options; the exit status.

    Usage errors end the process with status 2.
    """
    with reported(), terminable():
        try:
            status = _dispatch(list(argv))
            sys.stdout.flush()
        except BrokenPipeError:  # the reader of what is printed, such as `head`, has had enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _PIPE_CLOSED
        except KeyboardInterrupt:
            print("bigflow: interrupted; nothing in the project was changed", file=sys.stderr)
            return _INTERRUPTED
        else:
            return status


def _dispatch(argv: list[str]) -> int:
    from bigflow_backend.cli.commands import BUILD_COMMANDS

    name = argv[0] if argv else ""
    for command in BUILD_COMMANDS:
        if command.name == name:
            return _build(command, argv[1:])
    if name not in _OTHER_COMMANDS:
        print(f"bigflow: unknown command {name!r}; see `bigflow --help`", file=sys.stderr)
        return 2
    module, _, function = _OTHER_COMMANDS[name].partition(":")
    carry_out = getattr(import_module(f"bigflow_backend.cli.{module}"), function)
    status: int = carry_out(argv[1:])
    return status


_OTHER_COMMANDS = {
    "cache": "cache:cache",
    "check": "check:check",
    "graph": "workflows:graph",
    "project-version": "versions:print_version",
    "pv": "versions:print_version",
    "release": "versions:release",
    "workflows": "workflows:workflows",
}
"""The module, which is imported on use, and the function in it."""


def _build(command: BuildCommand, argv: list[str]) -> int:
    from bigflow_backend.cli.options import add_arguments, build_options
    from bigflow_backend.cli.report import as_json, summary
    from bigflow_backend.project.project import find_project

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
