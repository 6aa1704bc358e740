"""``bigflow completion``: the script with which a shell completes commands and options."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from bigflow import cli

if TYPE_CHECKING:
    from bigflow_backend.cli.commands import Call

_PLACES = ("FILE", "PATH", "DIRECTORY", "SECRET")
"""Metavars of options whose value is a path."""


def completion(call: Call) -> int:
    """Print the script of a shell. The shell evaluates it when it starts."""
    import shtab

    print(shtab.complete(_parser(), call.values.shell).strip())
    return 0


def _parser() -> argparse.ArgumentParser:
    """Return one parser of all commands with all options."""
    import shtab

    from bigflow_backend.cli.commands import COMMANDS

    parser = cli._parser()  # noqa: SLF001
    (commands,) = _subcommands(parser)
    for name, command in COMMANDS.items():
        added = commands.add_parser(name, help=command.help)
        for option in command.options:
            added.add_argument(*option.names, **option.keywords)
    for action in _actions(parser):
        if action.metavar in _PLACES:
            action.complete = shtab.FILE
        elif "|" in str(action.metavar) and action.option_strings:
            action.choices = str(action.metavar).split("|")
    return parser


def _actions(parser: argparse.ArgumentParser) -> list[Any]:
    found: list[Any] = list(parser._actions)  # noqa: SLF001  (argparse has no public list)
    for commands in _subcommands(parser):
        for child in commands.choices.values():
            found += _actions(child)
    return found


def _subcommands(parser: argparse.ArgumentParser) -> list[Any]:
    return [
        action
        for action in parser._actions  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    ]
