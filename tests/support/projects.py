"""Projects to build, written by a test or copied from ``tests/projects``, and their hooks."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyproject_hooks import BuildBackendHookCaller

import bigflow_backend
from bigflow_backend.project.tests import REPORT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
    """A hook that exits with another status than 0."""

    def __init__(self, status: int, output: str) -> None:
        super().__init__(output)
        self.status = status
        self.output = output

    @property
    def lines(self) -> list[str]:
        """The lines that a user reads. There is never a traceback."""
        assert "Traceback" not in self.output, self.output
        return self.output.splitlines()


@dataclass(frozen=True)
class Project:
    """A project on disk, and environment variables for its hooks."""

    root: Path
    environment: Mapping[str, str]

    def hook(self, name: str, *arguments: Any, **environment: str) -> Any:
        """Call a hook in this process, which is fast. Warnings are :class:`BigflowWarning`.

        :raises HookFailedError: with the status and the output of the hook.
        """
        output = io.StringIO()
        with (
            _like_a_process(self.root, {**self.environment, **environment}),
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(output),
        ):
            try:
                return getattr(bigflow_backend, name)(*arguments)
            except SystemExit as error:
                raise HookFailedError(int(error.code or 0), output.getvalue()) from error

    def hook_process(self, name: str, *arguments: Any, **environment: str) -> Any:
        """Call a hook as a frontend does, in a process. Warnings are ``BuildBackendWarning``.

        :raises HookFailedError: with the status and the output of the hook.
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
        """Run ``python COMMAND`` in the project's directory."""
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.root,
            env={**os.environ, **self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def write(self, files: Mapping[str, str | None]) -> Project:
        """Write the files, by path. None removes a file."""
        for name, text in files.items():
            path = self.root / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return self

    def files(self) -> dict[str, bytes]:
        """Return the content of all files by path, to check that a build changes nothing.

        The report of the project's tests is left out: it also says what failed. So is the bytecode
        that Python keeps of the modules that a build imports.
        """
        return {
            p.relative_to(self.root).as_posix(): p.read_bytes()
            for p in sorted(self.root.rglob("*"))
            if p.is_file() and p != self.root / REPORT and not _is_bytecode(p)
        }


def _is_bytecode(path: Path) -> bool:
    is_of_package = (path.parent.parent / "__init__.py").exists()
    return path.suffix == ".pyc" and (is_of_package or path.name.startswith("deployment_config."))


def write_project(
    root: Path, files: Mapping[str, str | None] | None = None, *, version: str = "1.2.0"
) -> Project:
    """Write a project with the package ``pipelines``, and then ``files``."""
    root.mkdir(parents=True, exist_ok=True)
    return Project(root, {"BIGFLOW_VERSION": version}).write(_PLAIN).write(files or {})


def copy_project(name: str, target: Path, *, version: str = "1.2.0") -> Project:
    """Copy ``tests/projects/NAME`` to ``target``."""
    shutil.copytree(PROJECTS / name, target)
    return Project(target, {"BIGFLOW_VERSION": version})


@contextlib.contextmanager
def _like_a_process(root: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Change directory and environment for the block, and forget the modules of the project."""
    directory, variables, path = Path.cwd(), dict(os.environ), list(sys.path)
    os.chdir(root)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.chdir(directory)
        os.environ.clear()
        os.environ.update(variables)
        sys.path[:] = path
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None)).startswith(os.path.join(root, "")):  # noqa: PTH118
                del sys.modules[name]
