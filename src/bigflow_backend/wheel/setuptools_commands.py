"""The sub-command of setuptools' ``build`` that copies ``resources/`` into the package.

With ``data_files``, all projects would share one directory of the environment, and read and delete
each other's files. Editable installs ignore ``data_files``
(https://github.com/pypa/setuptools/issues/3399). Documentation of sub-commands:
https://setuptools.pypa.io/en/latest/userguide/extension.html#setuptools.command.build.SubCommand
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from setuptools import Command
from setuptools.command.build import build
from setuptools.command.egg_info import egg_info

from bigflow_backend.wheel.content import resource_members

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project
    from bigflow_backend.wheel.content import Member


class EggInfoWithoutSources(egg_info):
    """``egg_info`` without SOURCES.txt, which no wheel has and which reads every file."""

    def find_sources(self) -> None:
        pass


def resource_commands(
    project: Project, own: Mapping[str, type[Command]]
) -> dict[str, type[Command]]:
    """Return the commands ``own`` of the project, and a ``build`` that copies its resources."""
    members = resource_members(project)
    base: Any = own.get("build", build)

    class BuildResources(Command):
        """Copy ``resources/`` into the main package."""

        description = "copy resources/ into the package"
        user_options: ClassVar[list[tuple[str, str | None, str]]] = []
        editable_mode = False
        build_lib: str | None

        def initialize_options(self) -> None:
            self.build_lib = None

        def finalize_options(self) -> None:
            self.set_undefined_options("build", ("build_lib", "build_lib"))

        def run(self) -> None:
            if self.editable_mode:
                return
            for member in members:
                target = self._target(member)
                self.mkpath(str(Path(target).parent))
                self.copy_file(member.path, target, preserve_mode=False)

        def get_source_files(self) -> list[str]:
            return [os.path.relpath(m.path, project.root) for m in members]

        def get_outputs(self) -> list[str]:
            return [self._target(m) for m in members]

        def get_output_mapping(self) -> dict[str, str]:
            return {self._target(m): os.path.relpath(m.path, project.root) for m in members}

        def _target(self, member: Member) -> str:
            return str(Path(self.build_lib or "", member.name))

    class Build(base):  # type: ignore[misc]
        sub_commands: ClassVar[list[tuple[str, Any]]] = [
            *base.sub_commands,
            ("build_resources", None),
        ]

    return {**own, "build": Build, "build_resources": BuildResources}
