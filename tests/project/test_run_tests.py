"""The tests of a project, run by pytest."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.project.project import read_project
from bigflow_backend.project.tests import TestRun, run_tests
from support.projects import write_project

if TYPE_CHECKING:
    from pathlib import Path

_TWO_TESTS = """\
import unittest

class RidesTest(unittest.TestCase):
    def test_one(self):
        from pipelines import workflow

    @unittest.skip("later")
    def test_two(self):
        pass
"""


def run(root: Path, files: dict[str, str], framework: str = "pytest") -> TestRun:
    settings = f'[tool.bigflow]\ntest-framework = "{framework}"\n'
    project = write_project(root, {**files, "pyproject.toml": settings})
    return run_tests(read_project(project.root))


@pytest.mark.parametrize(
    ("file", "framework"),
    [
        ("test/test_rides.py", "pytest"),
        ("test/jobs/test_rides.py", "unittest"),
        ("test/testrides.py", "unittest"),
    ],
)
def test_unittest_classes_are_run(tmp_path: Path, file: str, framework: str) -> None:
    assert run(tmp_path, {file: _TWO_TESTS}, framework) == TestRun(tests=2, skipped=1)


@pytest.mark.parametrize(
    "files", [{}, {"test/readme.txt": ""}, {"test/test_rides.py": ""}], ids=["no", "empty", "none"]
)
def test_a_project_without_tests(tmp_path: Path, files: dict[str, str]) -> None:
    assert run(tmp_path, files) == TestRun(tests=0, skipped=0)


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("import nowhere\n", "the project's tests failed: 1 of 1 tests failed"),
        ("def test_one():\n    assert False\n", "the project's tests failed: 1 of 1 tests failed"),
        ("import os\n\nos._exit(0)\n", "the tests ended without a report: exit status 0"),
    ],
    ids=["error", "failure", "exit"],
)
def test_a_run_that_fails(tmp_path: Path, test: str, message: str) -> None:
    report = tmp_path / "build/junit-reports/report.xml"
    report.parent.mkdir(parents=True)
    report.write_text("of an earlier run")
    with pytest.raises(UserError) as caught:
        run(tmp_path, {"test/test_rides.py": test})
    assert caught.value.message == message
    assert report.exists() == message.endswith("1 of 1 tests failed")
    assert caught.value.hint.startswith("see their output above")


@pytest.mark.parametrize("framework", ["pytest", "unittest"])
def test_the_report_is_where_bigflow_writes_it(tmp_path: Path, framework: str) -> None:
    run(tmp_path, {"test/test_rides.py": _TWO_TESTS}, framework)
    cases = ET.parse(tmp_path / "build/junit-reports/report.xml").getroot().iter("testcase")
    assert sorted(case.attrib["name"] for case in cases) == ["test_one", "test_two"]


def test_another_build_removes_the_report(tmp_path: Path) -> None:
    """A build of the same project begins while this one runs its tests."""
    report = tmp_path / "build/junit-reports/report.xml"
    removal = f"lambda: Path({str(report)!r}).unlink(missing_ok=True)"
    test = f"import atexit\nfrom pathlib import Path\natexit.register({removal})\n"
    run(tmp_path, {"test/test_rides.py": test + _TWO_TESTS})
    assert report.read_text("utf-8").startswith("<?xml")
    assert [file.name for file in report.parent.iterdir()] == ["report.xml"]


def test_a_report_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot write build/junit-reports/"):
        run(tmp_path, {"test/test_rides.py": _TWO_TESTS, "build": "a file"})


def test_an_interpreter_without_pytest(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", {"test/test_rides.py": ""})
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
    python.chmod(0o755)
    with pytest.raises(UserError, match="has no pytest, which runs the tests"):
        run_tests(read_project(project.root), python=str(python))
