"""``python project_setup.py COMMAND``: the build commands as commands of setuptools."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bigflow_backend.console.commands import BUILD_COMMANDS
from bigflow_backend.console.options import build_options
from bigflow_backend.console.report import summary
from bigflow_backend.errors import UserError
from bigflow_backend.reporting import print_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from setuptools import Command

    from bigflow_backend.console.commands import BuildCommand
    from bigflow_backend.project import Project

__all__ = ["run_setup"]

_WRONG_USAGE = 2


def run_setup(keywords: Mapping[str, Any]) -> None:
    """Carries out the command line of a ``project_setup.py`` that called ``setup(**keywords)``.

    :raises UserError: for everything that the user can mend.
    """
    try:
        import setuptools  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"{sys.executable} has no setuptools", hint="pip install 'bigflow-backend[build]'"
        ) from error
    from bigflow_backend.package.content import project_content
    from bigflow_backend.package.distribution import load_distribution
    from bigflow_backend.project import read_project

    script = Path(sys.argv[0]).absolute()  # not where a link leads: the project is where it lies
    os.chdir(script.parent)
    project = read_project(script.parent)
    loaded = load_distribution(project, project_content(project), keywords)
    distribution: Any = loaded.distribution
    distribution.cmdclass.update(_commands(loaded.project))
    distribution.script_name = script.name
    distribution.script_args = sys.argv[1:]
    _run(distribution, script.name)


def _run(distribution: Any, script: str) -> None:
    from setuptools.errors import BaseError, CCompilerError

    typed = " ".join(["python", script, *sys.argv[1:]])
    try:
        wanted = distribution.parse_command_line()
    except BaseError as error:
        print_error(UserError(f"{typed}: {error}", hint=f"python {script} --help"))
        raise SystemExit(_WRONG_USAGE) from error
    try:
        if wanted:
            distribution.run_commands()
    except (BaseError, CCompilerError) as error:
        raise UserError(
            f"{typed}: {error}", hint=f"python {script} --help-commands lists the commands"
        ) from error


def _commands(project: Project) -> dict[str, type[Command]]:
    return {
        **{c.setup_name: _build_command(project, c) for c in BUILD_COMMANDS},
        "bdist_wheel": _archive_command(project, "wheel"),
        "sdist": _archive_command(project, "sdist"),
    }


def _build_command(project: Project, command: BuildCommand) -> type[Command]:
    from setuptools import Command

    class Build(Command):
        description = command.help
        user_options: ClassVar[list[tuple[str, str | None, str]]] = [
            (f"{o.name}=" if o.metavar else o.name, o.short or None, o.help)
            for o in command.options
        ] + [(f"no-{o.name}", None, "the opposite") for o in command.options if not o.metavar]
        boolean_options: ClassVar[list[str]] = [o.name for o in command.options if not o.metavar]
        negative_opt: ClassVar[dict[str, str]] = {
            f"no-{o.name}": o.name for o in command.options if not o.metavar
        }

        def initialize_options(self) -> None:
            for option in command.options:
                setattr(self, option.key, None)

        def finalize_options(self) -> None:
            for option in command.options:
                value = getattr(self, option.key)
                if option.repeated and value is not None:
                    setattr(self, option.key, value.split(os.pathsep))
                elif option.metavar is None and value is not None:
                    setattr(self, option.key, bool(value))

        def run(self) -> None:
            values = {o.key: getattr(self, o.key) for o in command.options}
            print(summary(command.run(project, build_options(project, values, say=_say))))

    return Build


def _archive_command(project: Project, kind: str) -> type[Command]:
    """setuptools' ``bdist_wheel`` or ``sdist``, without the in-tree ``build/`` of theirs."""
    from setuptools import Command

    class Archive(Command):
        description = f"build the {kind} as a PEP 517 frontend does"
        user_options: ClassVar[list[tuple[str, str | None, str]]] = [
            ("dist-dir=", "d", "directory to put it in [default: dist]")
        ]
        dist_dir: str | None

        def initialize_options(self) -> None:
            self.dist_dir = None

        def finalize_options(self) -> None:
            self.dist_dir = self.dist_dir or "dist"

        def run(self) -> None:
            from bigflow_backend.package.sdist import build_sdist
            from bigflow_backend.package.wheel import build_wheel

            directory = Path(self.dist_dir or "")
            directory.mkdir(parents=True, exist_ok=True)
            print((build_wheel if kind == "wheel" else build_sdist)(project, directory).path)

    return Archive


def _say(line: str) -> None:
    print(line, file=sys.stderr)
