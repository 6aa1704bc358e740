"""Project -> result of its tests, which pytest runs in a child process."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import check_modules, replaced_file
from bigflow_backend.ground.processes import run_with_output

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project

REPORT = Path("build", "junit-reports", "report.xml")
"""The report of the tests, in the form of JUnit. BigFlow 1.x writes into the same directory."""

_NO_TESTS = 5  # https://docs.pytest.org/en/stable/reference/exit-codes.html

# SIGTERM interrupts the tests, so their fixtures clean up. Before and after them it ends the
# process: `python -m pytest` would print a traceback of pytest.
_PYTEST = """\
import signal, sys
def interrupt(number, frame):
    raise KeyboardInterrupt
try:
    import pytest
    signal.signal(signal.SIGTERM, interrupt)
    status = pytest.main()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
except ModuleNotFoundError as error:
    status = f"{sys.executable}: {error}"
except KeyboardInterrupt:
    status = 130
sys.exit(status)
"""


@dataclass(frozen=True)
class TestRun:
    """The numbers of a run in which no test failed."""

    __test__ = False  # otherwise pytest collects this class

    tests: int
    skipped: int


def run_tests(project: Project, *, python: str = sys.executable) -> TestRun:
    """Run the tests in ``test/``. Their output goes to stderr.

    Their report is :data:`REPORT` in the project, for build servers. A run that ends without a
    report leaves none.

    :raises UserError: if a test fails, or if the run ends without a report: a test may have ended
        the process.
    """
    if not project.tests.is_dir():
        return TestRun(tests=0, skipped=0)
    check_modules(project.tests)
    report = project.root / REPORT
    _remove_old_report(report)
    # Another build of the project may remove or write its own report at the same time.
    with replaced_file(report) as new:
        status = _run(project, [python, "-c", _PYTEST, *_arguments(project, new)])
        if not new.stat().st_size:
            raise _without_report(python, status)
        suites = list(ET.parse(new).getroot().iter("testsuite"))  # noqa: S314  (our child's file)

    def total(*attributes: str) -> int:
        return sum(int(suite.get(name, 0)) for suite in suites for name in attributes)

    tests, failed = total("tests"), total("failures", "errors")
    if failed or status not in {0, _NO_TESTS}:
        reason = f"{failed} of {tests} tests failed" if failed else f"exit status {status}"
        raise UserError(f"the project's tests failed: {reason}", hint="see their output above")
    return TestRun(tests=tests, skipped=total("skipped"))


def _remove_old_report(report: Path) -> None:
    """Remove the report of an earlier run, so that its absence means: no report."""
    try:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot write {REPORT}, the report of the tests: {error.strerror}",
            hint=f"check {REPORT.parent} and its permissions",
        ) from error


def _arguments(project: Project, report: Path) -> list[str]:
    arguments = [project.tests.name, "-q", "-p", "no:cacheprovider", f"--junit-xml={report}"]
    if project.settings.test_framework == "unittest":
        arguments += ["-o", "python_files=test*.py"]  # the files that unittest would find
    return arguments


def _without_report(python: str, status: int) -> UserError:
    if status == 1 and not _is_importable(python, "pytest"):
        return UserError(
            f"{python} has no pytest, which runs the tests",
            hint="pip install 'bigflow-backend[build]'",
        )
    return UserError(
        f"the tests ended without a report: exit status {status}",
        hint="see their output above; a test may end the process, for example with os._exit()",
    )


def _run(project: Project, command: list[str]) -> int:
    path = [os.fspath(project.source), os.fspath(project.root), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(p for p in path if p),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return run_with_output(command, cwd=project.root, env=environment)


def _is_importable(python: str, module: str) -> bool:
    return not subprocess.run(
        [python, "-c", f"import {module}"], capture_output=True, check=False
    ).returncode
