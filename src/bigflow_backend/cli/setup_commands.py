"""``python project_setup.py COMMAND``: the build commands, and the commands of setuptools."""

from __future__ import annotations

import argparse
import configparser
import dataclasses
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bigflow_backend.cli.commands import COMMANDS, SETUP_NAMES, Call, read_call
from bigflow_backend.cli.options import WRONG_USAGE, option
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.text import one_line
from bigflow_backend.ground.report import print_error, print_warning
from bigflow_backend.ground.transaction import recover
from bigflow_backend.project.project import Project, read_project

if TYPE_CHECKING:
    from setuptools import Command

_FURTHER = option("further", nargs=argparse.REMAINDER, default=[], help=argparse.SUPPRESS)
"""The commands behind a command, as in ``project_setup.py build_package build_dags``."""


def run_setup(keywords: Mapping[str, Any]) -> None:
    """Run the command line of a ``project_setup.py`` that has called ``setup(**keywords)``.

    :raises UserError: for everything that the user can fix.
    """
    script = Path(sys.argv[0]).absolute()  # of a link: the project is where the link is
    os.chdir(script.parent)
    recover(script.parent)
    project = read_project(script.parent, keywords)
    arguments = sys.argv[1:]
    if arguments[:1] == ["--help"] and arguments[1:2] and arguments[1] in SETUP_NAMES:
        arguments = [arguments[1], "--help"]
    if arguments[:1] == ["build_project"]:
        if "--validate-project-setup" in arguments:  # BigFlow checks its own script so
            print("BigFlow setup is valid.")
            return
        arguments = _without_flags_of_bigflow(arguments, script.name)
    calls, rest = _build_calls(arguments, script.name, project)
    for call in calls:
        call.run()
    if rest or not calls:
        _run_setuptools(rest, script.name, project)


_FLAGS_OF_BUILD_PROJECT = {
    "--build-package": "build_package",
    "--build-image": "build_image",
    "--build-dags": "build_dags",
}
"""A flag of BigFlow's ``build_project`` -> the command that does its work."""


def _without_flags_of_bigflow(arguments: list[str], script: str) -> list[str]:
    """Return the arguments with a command in place of ``build_project --build-...``.

    :raises UserError: for two of the flags.
    """
    given = [flag for flag in _FLAGS_OF_BUILD_PROJECT if flag in arguments]
    if len(given) > 1:
        raise UserError(
            f"build_project takes one flag: got {' '.join(given)}",
            hint="write: "
            + " ".join(["python", script, *(_FLAGS_OF_BUILD_PROJECT[flag] for flag in given)]),
        )
    for flag in given:
        command = _FLAGS_OF_BUILD_PROJECT[flag]
        print_warning(f"build_project {flag} is deprecated; write: python {script} {command}")
        return [command, *(argument for argument in arguments[1:] if argument != flag)]
    return arguments


def _build_calls(
    arguments: Sequence[str], script: str, project: Project
) -> tuple[list[Call], Sequence[str]]:
    """Return the build commands that begin the line, and the rest of the line."""
    calls = []
    while arguments and arguments[0] in SETUP_NAMES:
        _refuse_section(project, arguments[0])
        command = COMMANDS[SETUP_NAMES[arguments[0]]]
        call = read_call(
            dataclasses.replace(command, options=(*command.options, _FURTHER)),
            arguments[1:],
            prog=f"python {script} {arguments[0]}",
            project=lambda: project,
        )
        calls.append(call)
        arguments = call.values.further
    return calls, arguments


def _refuse_section(project: Project, name: str) -> None:
    """Refuse the options of a build command in setup.cfg, which setuptools would read."""
    configuration = configparser.RawConfigParser(strict=False)
    try:
        configuration.read(project.root / "setup.cfg", "utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise UserError(
            f"setup.cfg is not valid: {one_line(str(error))}", hint="fix that line"
        ) from error
    if configuration.has_section(name):
        raise UserError(
            f"setup.cfg: [{name}] has no effect",
            hint=f"remove it, and write its options behind {name} on the command line",
        )


def _run_setuptools(arguments: Sequence[str], script: str, project: Project) -> None:
    try:
        from setuptools.errors import BaseError, CCompilerError
    except ImportError as error:
        raise UserError(
            f"{sys.executable} has no setuptools", hint="pip install 'bigflow-backend[build]'"
        ) from error
    from bigflow_backend.wheel.content import project_content
    from bigflow_backend.wheel.distribution import load_distribution, read_stated

    content = project_content(project)
    distribution: Any = load_distribution(project, content, read_stated(project)).distribution
    distribution.cmdclass.update(_commands(project, script))
    distribution.script_name = script
    distribution.script_args = list(arguments)
    typed = " ".join(["python", script, *arguments])
    try:
        wanted = distribution.parse_command_line()
    except BaseError as error:
        print_error(UserError(f"{typed}: {error}", hint=f"python {script} --help"))
        raise SystemExit(WRONG_USAGE) from error
    try:
        if wanted:
            distribution.run_commands()
    except (BaseError, CCompilerError) as error:
        raise UserError(
            f"{typed}: {error}", hint=f"python {script} --help-commands lists the commands"
        ) from error


def _commands(project: Project, script: str) -> dict[str, type[Command]]:
    return {
        **{name: _build_command(name, project, script) for name in SETUP_NAMES},
        "bdist_wheel": _wheel_command(project),
        "sdist": _sdist_command(project),
    }


def _build_command(name: str, project: Project, script: str) -> type[Command]:
    """Return the command for ``--help-commands``, and for a place behind another command."""
    from setuptools import Command

    class Build(Command):
        description = COMMANDS[SETUP_NAMES[name]].help
        user_options: ClassVar[list[tuple[str, str | None, str]]] = []

        def initialize_options(self) -> None:
            pass

        def finalize_options(self) -> None:
            pass

        def run(self) -> None:
            calls, _ = _build_calls([name], script, project)
            calls[0].run()

    return Build


def _wheel_command(project: Project) -> type[Any]:
    """Return setuptools' ``bdist_wheel`` with its options, but without ``build/`` in the tree."""
    from setuptools.command.bdist_wheel import bdist_wheel

    from bigflow_backend.wheel.config_settings import ConfigSettings
    from bigflow_backend.wheel.wheel import build_wheel

    class Wheel(bdist_wheel):
        description = "build the wheel as a PEP 517 frontend does"

        def run(self) -> None:
            given: dict[str, Any] = self.distribution.get_option_dict("bdist_wheel")
            options = [
                f"--{name.replace('_', '-')}" + ("" if value == 1 else f"={value}")
                for name, (source, value) in given.items()
                if source == "command line" and name not in {"dist_dir", "dist_info_dir"}
            ]
            settings = ConfigSettings(build_options=tuple(options))
            print(build_wheel(project, _directory(self.dist_dir), settings))

    return Wheel


def _sdist_command(project: Project) -> type[Any]:
    """Return setuptools' ``sdist``, without the further files that it would pack."""
    from setuptools.command.sdist import sdist

    from bigflow_backend.wheel.sdist import build_sdist

    class Sdist(sdist):
        description = "build the sdist as a PEP 517 frontend does"

        def run(self) -> None:
            if self.formats != ["gztar"]:
                raise UserError(
                    f"--formats must be gztar, as PEP 625 says: got {','.join(self.formats or ())}",
                    hint="leave --formats out",
                )
            print(build_sdist(project, _directory(self.dist_dir)))

    return Sdist


def _directory(dist_dir: str | None) -> Path:
    path = Path(dist_dir or "dist")
    path.mkdir(parents=True, exist_ok=True)
    return path
