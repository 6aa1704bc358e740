"""The commands of ``bigflow`` that need this package. ``bigflow.cli`` loads them on use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bigflow_backend.cli import retired
from bigflow_backend.cli.commands import COMMANDS, read_call
from bigflow_backend.cli.options import WRONG_USAGE, print_json_error
from bigflow_backend.ground.errors import UserError, nearest
from bigflow_backend.ground.report import print_error, reported
from bigflow_backend.ground.signals import terminable
from bigflow_backend.ground.transaction import recover
from bigflow_backend.project.project import Project, find_root, read_project


def main(arguments: Sequence[str]) -> int:
    """Run ``bigflow ARGUMENTS``, and return the exit status.

    :raises SystemExit: with status 1 for an error of the user, and 2 for wrong usage.
    """
    name, *rest = arguments
    if name in retired.COMMANDS and name not in COMMANDS:
        message = f"the command {name!r} of BigFlow 1.x is not part of bigflow-backend"
        return _wrong_usage(UserError(message, hint=retired.COMMANDS[name]), rest)
    if name not in COMMANDS:
        near = nearest(name, (*COMMANDS, "run", "describe"))
        hint = f"did you mean {near}?" if near else "bigflow --help lists the commands"
        return _wrong_usage(UserError(f"unknown command {name!r}", hint=hint), rest)
    with terminable(), reported():
        call = read_call(
            COMMANDS[name],
            rest,
            prog=f"bigflow {name}",
            project=_project,
        )
        return call.run()


def _wrong_usage(error: UserError, arguments: Sequence[str]) -> int:
    if "--json" in arguments:
        print_json_error(error)
    print_error(error)
    return WRONG_USAGE


def _project() -> Project:
    root = find_root(Path.cwd())
    recover(root)
    return read_project(root)
