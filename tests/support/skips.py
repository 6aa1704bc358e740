"""Print skipped tests in the last lines. With ``BIGFLOW_REQUIRE_ALL=1`` they fail the test run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_reasons: dict[str, int] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        _reasons[reason] = _reasons.get(reason, 0) + 1


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _reasons and os.environ.get("BIGFLOW_REQUIRE_ALL") == "1":
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True)
def pytest_unconfigure() -> Iterator[None]:
    # Print after pytest has printed its summary.
    yield
    for reason, count in sorted(_reasons.items()):
        print(f"NOT RUN: {count} {'test' if count == 1 else 'tests'}: {reason}")
