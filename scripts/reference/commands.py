"""The commands -> ``docs/reference/commands.md``.

Options, groups and descriptions are those of the argument parsers (``cli/commands.py``), examples,
settings and statuses those of ``cli/manual.py``. The keys of ``--json`` are read from the source of
the commands (``results.py``).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import Any

from bigflow.cli import _parser as runtime_parser
from bigflow_backend.cli import retired
from bigflow_backend.cli.commands import COMMANDS, SETUP_NAMES, Command
from bigflow_backend.cli.manual import MANUALS, Manual, setting_tables
from bigflow_backend.cli.options import QUIET, VERBOSE, Parser
from bigflow_backend.cli.summaries import GROUPS
from reference.markdown import escaped, slug
from reference.results import Field, results
from reference.texts import Source

_INTRODUCTION = """\
# Commands

`bigflow COMMAND` works in a project and below it. `bf` is the same program, and so is
`python -m bigflow`. `bigflow COMMAND --help` prints what this page has.

The build commands have a second name, for `python project_setup.py`:

{names}

## Options of all commands

- `-v`, `--verbose`: {verbose}
- `-q`, `--quiet`: {quiet}
- `-h`, `--help`: print the help of the command

`--json` prints the result on stdout as JSON. Of an error it prints
`{{"error": "the problem", "fix": "the fix"}}`. Progress and warnings go to stderr.

## Exit statuses

| status | meaning |
|---|---|
| 0 | success |
| 1 | an error: two lines on stderr say the problem and the fix |
| 2 | wrong usage: an unknown command or option, or a missing argument |
| 3 | the answer is yes, of a command that asks: see its entry |
| 128 and more | a signal, such as 130 for Ctrl-C and 143 for SIGTERM |

"""
_TITLES = {"project": "Project", "image": "Image", "DAGs": "DAGs"}
"""A group of options in the help -> its title on the page."""
_NOT_RUN = "<!-- not run: tests/cli/test_help.py parses each command -->"
_OF_ALL = {"help", "json", "quiet", "verbose"}


def page(source: Source) -> str:
    """Return the text of the page."""
    return "".join(_page(source)).rstrip() + "\n"


def _page(source: Source) -> Iterator[str]:
    yield _INTRODUCTION.format(
        names="".join(f"- `{name}`: `bigflow {own}`\n" for name, own in SETUP_NAMES.items()),
        verbose=VERBOSE.keywords["help"],
        quiet=QUIET.keywords["help"],
    ).replace("\n\n\n", "\n\n")
    for title, commands in GROUPS.items():
        yield f"## {title[:1].upper()}{title[1:]}\n\n"
        yield from (
            f"- [`bigflow {name}`](#bigflow-{slug(name)}): {escaped(text)}\n"
            for name, text in commands.items()
        )
        for name in commands:
            yield "\n"
            yield from _command(name, source) if name in COMMANDS else _of_runtime(name)
        yield "\n"
    yield from _of_bigflow()


def _command(name: str, source: Source) -> Iterator[str]:
    command, manual = COMMANDS[name], MANUALS[name]
    parser = Parser(f"bigflow {name}", command.description or command.help, command.options)
    yield f"### `bigflow {name}`\n\n{escaped(str(parser.description))}\n"
    yield from (
        f"\n`python project_setup.py {setup}` is the same command.\n"
        for setup, own in SETUP_NAMES.items()
        if own == name
    )
    yield from _examples(manual.examples)
    yield from _options(parser)
    yield from _settings(manual)
    yield from _retired(command)
    if manual.statuses:
        yield "\nExit status, besides those of all commands:\n\n"
        yield from (f"- {status}: {text}\n" for status, text in manual.statuses.items())
    if any("--json" in option.names for option in command.options):
        yield from _json(results(source, command.function))


def _examples(examples: Iterable[str]) -> Iterator[str]:
    yield f"\n{_NOT_RUN}\n```sh\n" + "".join(f"{example}\n" for example in examples) + "```\n"


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    groups: dict[str, list[argparse.Action]] = {}
    for group in parser._action_groups:  # noqa: SLF001 - argparse has no other way to them
        title = _TITLES.get(group.title or "", "Arguments and options")
        shown = [action for action in group._group_actions if _is_shown(action)]  # noqa: SLF001
        groups.setdefault(title, []).extend(shown)
    for title, actions in groups.items():
        if actions:
            yield f"\n{title}:\n\n"
            yield from (f"- {_names(action)}: {_text(action)}\n" for action in actions)


def _is_shown(action: argparse.Action) -> bool:
    return action.help != argparse.SUPPRESS and action.dest not in _OF_ALL


def _names(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else ""
    if not value and action.choices:
        value = "|".join(map(str, action.choices))
    if not value and action.nargs != 0:
        value = action.dest.upper()
    if not action.option_strings:
        optional = action.nargs in {"?", "*"}
        return f"`[{value}]`" if optional else f"`{value}`"
    takes = f" {value}" if action.nargs != 0 else ""
    return ", ".join(f"`{name}{takes}`" for name in action.option_strings)


def _text(action: argparse.Action) -> str:
    text = str(action.help or "").replace("%%", "%")
    given = getattr(action, "default", None)
    return escaped(text.replace("%(default)s", str(given)))


def _settings(manual: Manual) -> Iterator[str]:
    tables = setting_tables(manual)
    if not tables:
        return
    yield "\nSettings that it reads:\n\n"
    for title, keys in tables.items():
        anchor = "the-users-file" if not title.startswith("[") else slug(title)
        shown = f"`{title}`" if title.startswith("[") else title
        yield f"- [{shown}](settings.md#{anchor}): {', '.join(f'`{key}`' for key in keys)}\n"


def _retired(command: Command) -> Iterator[str]:
    if command.retired:
        names = ", ".join(f"`{name}`" for one in command.retired for name in one.names[:1])
        yield f"\nOptions of BigFlow 1.x that are accepted without effect: {names}.\n"


def _json(forms: list[tuple[Field, ...]]) -> Iterator[str]:
    for i, form in enumerate(forms):
        yield "\nWith another option, `--json` prints:\n\n" if i else "\n`--json` prints:\n\n"
        for field in form:
            kind = f" ({field.kind})" if field.kind else ""
            keys = f"with {', '.join(f'`{key}`' for key in field.inner)}" if field.inner else ""
            about = "; ".join(filter(None, (escaped(field.text).rstrip("."), keys)))
            yield f"- `{field.name}`{kind}{': ' + about if about else ''}\n"


def _of_runtime(name: str) -> Iterator[str]:
    parser = _subparser(name)
    yield f"### `bigflow {name}`\n\n{escaped(str(parser.description))}\n"
    yield from _examples([str(parser.epilog).removeprefix("example: ")])
    yield from _options(parser)
    yield "\nExit status: 0, or 1 for an error of the job, or the number that the job exits with.\n"


def _subparser(name: str) -> argparse.ArgumentParser:
    parser: Any = runtime_parser()
    found: argparse.ArgumentParser = next(
        action.choices[name]
        for action in parser._actions  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    )
    return found


def _of_bigflow() -> Iterator[str]:
    yield "## Commands of BigFlow 1.x that do not exist\n\n"
    for name, instead in retired.COMMANDS.items():
        yield f"- `bigflow {name}`: {instead}\n"
