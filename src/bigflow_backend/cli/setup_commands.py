"""``python project_setup.py COMMAND``: the build commands as commands of setuptools."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bigflow_backend.cli.commands import BUILD_COMMANDS
from bigflow_backend.cli.options import build_options
from bigflow_backend.cli.report import summary
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.report import print_error

if TYPE_CHECKING:
    from setuptools import Command

    from bigflow_backend.cli.commands import BuildCommand
    from bigflow_backend.project.project import Project

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
    from bigflow_backend.project.project import read_project
    from bigflow_backend.wheel.content import project_content
    from bigflow_backend.wheel.distribution import load_distribution

    script = Path(sys.argv[0]).absolute()  # not where a link leads: the project is where it lies
    os.chdir(script.parent)
    project = read_project(script.parent, keywords)
    distribution: Any = load_distribution(project, project_content(project)).distribution
    distribution.cmdclass.update(_commands(project))
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
        "bdist_wheel": _wheel_command(project),
        "sdist": _sdist_command(project),
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


def _wheel_command(project: Project) -> type[Any]:
    """setuptools' ``bdist_wheel`` and its options, without the in-tree ``build/``."""
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
            print(build_wheel(project, _made(self.dist_dir), settings))

    return Wheel


def _sdist_command(project: Project) -> type[Any]:
    """setuptools' ``sdist``, without the files that it packs besides."""
    from setuptools.command.sdist import sdist

    from bigflow_backend.wheel.sdist import build_sdist

    class Sdist(sdist):
        description = "build the sdist as a PEP 517 frontend does"

        def run(self) -> None:
            if self.formats != ["gztar"]:
                raise UserError(
                    f"--formats is {','.join(self.formats or ())}, and an sdist is a gztar",
                    hint="leave it out: PEP 625 knows no other",
                )
            print(build_sdist(project, _made(self.dist_dir)))

    return Sdist


def _made(directory: str | None) -> Path:
    path = Path(directory or "dist")
    path.mkdir(parents=True, exist_ok=True)
    return path


def _say(line: str) -> None:
    print(line, file=sys.stderr)
