"""Projects to build: written on the spot, or copied from ``tests/projects``; and their hooks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyproject_hooks import BuildBackendHookCaller

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["PROJECTS", "HookFailedError", "Project", "copy_project", "write_project"]

PROJECTS = Path(__file__).parents[1] / "projects"

_SETUP = """\
from bigflow_backend import setup

PROJECT_NAME = "pipelines"

if __name__ == "__main__":
    setup(name=PROJECT_NAME)
"""
_PYPROJECT = """\
[build-system]
requires = ["bigflow-backend"]
build-backend = "bigflow_backend"
"""
_PLAIN = {
    "pipelines/__init__.py": "",
    "pipelines/workflow.py": "ANSWER = 42\n",
    "resources/requirements.txt": "",
    "project_setup.py": _SETUP,
    "pyproject.toml": _PYPROJECT,
}


class HookFailedError(Exception):
    """A hook ended with another status than 0."""

    def __init__(self, status: int, output: str) -> None:
        super().__init__(output)
        self.status = status
        self.output = output

    @property
    def told(self) -> list[str]:
        """The lines that a user reads; there is never a traceback among them."""
        assert "Traceback" not in self.output, self.output
        return self.output.splitlines()


@dataclass(frozen=True)
class Project:
    """A project on disk, and the environment that its hooks run in."""

    root: Path
    environment: Mapping[str, str]

    def hook(self, name: str, *arguments: Any, **environment: str) -> Any:
        """Calls a hook as a frontend does, in a process of its own.

        :raises HookFailedError: with the hook's status and output.
        """

        def run(
            cmd: Sequence[str],
            cwd: str | None = None,
            extra_environ: Mapping[str, str] | None = None,
        ) -> None:
            done = subprocess.run(
                cmd,
                cwd=cwd,
                env={**os.environ, **self.environment, **environment, **(extra_environ or {})},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if done.returncode:
                raise HookFailedError(done.returncode, done.stdout)

        caller = BuildBackendHookCaller(str(self.root), "bigflow_backend", runner=run)
        return getattr(caller, name)(*arguments)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs ``python COMMAND`` in the project's directory."""
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.root,
            env={**os.environ, **self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def write(self, files: Mapping[str, str | None]) -> Project:
        """Writes the files, by their paths; None removes one."""
        for name, text in files.items():
            path = self.root / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return self

    def files(self) -> dict[str, bytes]:
        """Everything on disk, by its path: to see that nothing was changed or left."""
        return {
            p.relative_to(self.root).as_posix(): p.read_bytes()
            for p in sorted(self.root.rglob("*"))
            if p.is_file()
        }


def write_project(
    root: Path, files: Mapping[str, str | None] | None = None, *, version: str = "1.2.0"
) -> Project:
    """A project of one package, ``pipelines``, with ``files`` written over it."""
    root.mkdir(parents=True, exist_ok=True)
    return Project(root, {"BIGFLOW_VERSION": version}).write(_PLAIN).write(files or {})


def copy_project(name: str, target: Path, *, version: str = "1.2.0") -> Project:
    """A copy of ``tests/projects/NAME``."""
    shutil.copytree(PROJECTS / name, target)
    return Project(target, {"BIGFLOW_VERSION": version})
