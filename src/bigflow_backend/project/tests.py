"""Runs the tests of a project, in a child process."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project


@dataclass(frozen=True)
class TestRun:
    """What the tests of a project came to; those that did run passed."""

    __test__ = False  # pytest takes it for a test otherwise

    tests: int
    skipped: int


def run_tests(project: Project, *, python: str = sys.executable) -> TestRun:
    """Runs the tests in ``test/``; their output goes to standard error.

    A run that ends without its report counts as failed: a test may have ended the process.

    :raises UserError: when a test fails, or the run did not come to its end.
    """
    if not project.tests.is_dir():
        return TestRun(tests=0, skipped=0)
    framework = project.settings.test_framework
    run = _run_pytest if framework == "pytest" else _run_unittest
    with tempfile.TemporaryDirectory(prefix="bigflow-tests-") as temporary:
        status, counts = run(project, python, Path(temporary))
    if counts is None:
        raise UserError(
            f"the tests ended without a report, with exit status {status}",
            hint="see their output above; a test may end the process, as os._exit() does",
        )
    tests, failed, skipped = counts
    if status or failed:
        what = f"{failed} of {tests} tests failed" if failed else f"exit status {status}"
        raise UserError(f"the project's tests failed: {what}", hint="see their output above")
    return TestRun(tests=tests, skipped=skipped)


_Counts = tuple[int, int, int]
"""Tests, failures, skipped ones."""

_NO_TESTS = 5  # https://docs.pytest.org/en/stable/reference/exit-codes.html


def _run_pytest(project: Project, python: str, temporary: Path) -> tuple[int, _Counts | None]:
    report = temporary / "report.xml"
    options = ["-q", "-p", "no:cacheprovider", f"--junit-xml={report}"]
    status = _run(project, [python, "-m", "pytest", project.tests.name, *options])
    if status == 1 and not report.exists() and not _importable(python, "pytest"):
        raise UserError(
            f"{python} has no pytest to run the tests with",
            hint="pip install 'bigflow-backend[build]', or set [tool.bigflow] test-framework",
        )
    if not report.exists():
        return status, None
    suites = ET.parse(report).getroot().iter("testsuite")  # noqa: S314  (our own child wrote it)
    tests = failed = skipped = 0
    for suite in suites:
        tests += int(suite.get("tests", 0))
        failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += int(suite.get("skipped", 0))
    return (0 if status == _NO_TESTS else status), (tests, failed, skipped)


def _run_unittest(project: Project, python: str, temporary: Path) -> tuple[int, _Counts | None]:
    _refuse_unseen(project.tests, project.root)
    report = temporary / "report.json"
    script = Path(__file__).with_name("unittest_child.py")
    status = _run(project, [python, os.fspath(script), project.tests.name, os.fspath(report)])
    if not report.exists():
        return status, None
    counts = json.loads(report.read_text("utf-8"))
    return status, (counts["tests"], counts["failed"], counts["skipped"])


def _refuse_unseen(directory: Path, root: Path) -> None:
    """unittest passes over a directory without ``__init__.py``: its tests would not be missed."""
    for file in sorted(directory.rglob("test*.py")):
        for above in (file.parent, *file.parent.parents):
            if above == root:
                break
            if not (above / "__init__.py").is_file():
                raise UserError(
                    f"unittest does not see {file.relative_to(root)}: {above.relative_to(root)}/ "
                    "has no __init__.py",
                    hint=f"create {(above / '__init__.py').relative_to(root)}; it may be empty",
                )


def _run(project: Project, command: list[str]) -> int:
    path = [os.fspath(project.source), os.fspath(project.root), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(p for p in path if p),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    # Standard output is kept for the command's own result.
    process = subprocess.Popen(
        command, cwd=project.root, env=environment, stdout=sys.stderr.fileno()
    )
    try:
        return process.wait()
    except BaseException:
        # A terminal's Ctrl-C reaches the tests, too, and they clean up; a signal to us does not.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_SECONDS_TO_CLEAN_UP)
        process.kill()
        process.wait()
        raise


_SECONDS_TO_CLEAN_UP = 2


def _importable(python: str, module: str) -> bool:
    return not subprocess.run(
        [python, "-c", f"import {module}"], capture_output=True, check=False
    ).returncode
