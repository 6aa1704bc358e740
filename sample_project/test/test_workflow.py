import contextlib
import io
from datetime import datetime
from unittest import TestCase

from project_package.workflow import check, daily, hourly, report, temperature

from bigflow import JobContext


class WorkflowTest(TestCase):
    def test_the_report_prints_the_day_and_its_normals(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            report.execute(_context(datetime(2026, 7, 4)))
        self.assertRegex(
            printed.getvalue(), r"^Seattle, 04 July: [\d.]+ to [\d.]+ °C, \d+% chance of rain\n$"
        )

    def test_prod_uses_more_days_than_dev(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()) as dev:
            temperature.execute(_context(datetime(2026, 7, 4), "dev"))
        with contextlib.redirect_stdout(io.StringIO()) as prod:
            temperature.execute(_context(datetime(2026, 7, 4), "prod"))
        self.assertNotEqual(dev.getvalue(), prod.getvalue())

    def test_the_check_fails_with_too_few_records(self) -> None:
        self.addCleanup(setattr, check, "at_least", check.at_least)
        check.at_least = 1000
        with self.assertRaisesRegex(ValueError, "only 28 records around 04 July"):
            check.execute(_context(datetime(2026, 7, 4)))

    def test_ids(self) -> None:
        self.assertEqual(
            [daily.workflow_id, hourly.workflow_id], ["daily_normals", "hourly_normals"]
        )


def _context(runtime: datetime, env: str = "dev") -> JobContext:
    return JobContext(
        runtime=runtime,
        runtime_str=str(runtime),
        workflow=daily,
        workflow_id="daily_normals",
        env=env,
    )
