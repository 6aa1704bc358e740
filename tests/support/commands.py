"""Run ``bigflow ARGUMENTS`` in this process, which saves the start of a Python."""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
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
        warnings.simplefilter("default")
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
