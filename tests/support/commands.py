"""Run commands in a project: ``bigflow`` in this process, Python in a child process.

This process saves the start of a Python, and the imports.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from bigflow.cli import main

if TYPE_CHECKING:
    from support.projects import Project


@dataclass(frozen=True)
class Result:
    """The exit status of a command and what it printed."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def error(self) -> list[str]:
        """The two lines of the error: the problem and the fix."""
        assert self.returncode == 1, self.stderr
        assert "Traceback" not in self.stderr
        return self.stderr[self.stderr.index("bigflow: error: ") :].splitlines()


def bigflow(project: Project, *arguments: str, **environment: str) -> Result:
    """Run ``bigflow ARGUMENTS`` in the project's directory."""
    before = Path.cwd()
    with (
        tempfile.TemporaryFile("w+") as stdout,
        tempfile.TemporaryFile("w+") as stderr,
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        mock.patch.dict(os.environ, {**project.environment, **environment}),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        warnings.simplefilter("default", UserWarning)
        # pytest's own function would only record the warning.
        warnings.showwarning = _print_warning  # type: ignore[assignment]
        os.chdir(project.root)
        try:
            status = main(arguments)
        except SystemExit as exited:
            status = exited.code if isinstance(exited.code, int) else 1
        finally:
            os.chdir(before)
        for file in (stdout, stderr):
            file.seek(0)
        return Result(status, stdout.read(), stderr.read())


def _print_warning(message: Any, category: Any, *place: Any) -> None:
    print(warnings.formatwarning(message, category, *place[:2]), end="", file=sys.stderr)


def python(project: Project, *arguments: str, **environment: str) -> Result:
    """Run ``python ARGUMENTS`` in the project's directory, in a process of its own."""
    done = project.run(*arguments, **environment)
    return Result(done.returncode, done.stdout, done.stderr)
