"""Accepted and refused cron expressions, with the reasons."""

from __future__ import annotations

import pytest

from bigflow_backend.dags.rules.cron import PRESETS, cron_error


@pytest.mark.parametrize(
    "expression",
    [
        *PRESETS,
        "* * * * *",
        "30 6 * * 1-5",
        "0 */4 * * *",
        "0 0 1,15 * *",
        "5/15 * * * *",
        "10-50/20 8-18 * JAN-mar Mon,fri",
        "0 0 L * *",
        "0 0 * * mon#1,fri#3",
        "0 0 29 2 *",
        "0 0 31 2,3 *",
        "0 0 13 * fri",
        "0 0 * * 7",
    ],
)
def test_expressions_of_every_kind_are_accepted(expression: str) -> None:
    assert cron_error(expression) is None


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("* * * * * *", "five fields"),
        ("0  0 * * *", "five fields"),
        (" 0 0 * * *", "five fields"),
        ("0\t0 * * *", "five fields"),
        ("@foo", "not a preset of Airflow"),
        ("@reboot", "not a preset of Airflow"),
        ("61 * * * *", "'61' is not valid for the minute: use 0 to 59"),
        ("* 24 * * *", "'24' is not valid for the hour"),
        ("* * 0 * *", "'0' is not valid for the day of the month"),
        ("* * * 13 *", "'13' is not valid for the month"),
        ("* * * * 8", "'8' is not valid for the day of the week"),
        ("-1 * * * *", "'' is not valid for the minute"),
        ("1.5 * * * *", "'1.5' is not valid for the minute"),
        ("\u0661 * * * *", "is not valid for the minute"),
        ("* * * mon *", "'mon' is not valid for the month"),
        ("1,,2 * * * *", "'' is not valid for the minute"),
        ("*/0 * * * *", "'0' is not a valid step"),
        ("*/60 * * * *", "'60' is not a valid step"),
        ("*/x * * * *", "'x' is not a valid step"),
        ("0 22-2 * * *", "the range '22-2' must ascend"),
        ("0 0 30 2 *", "its months do not have such a day"),
        ("0 0 31 4,6 mon", "its months do not have such a day"),
        ("* * ? * *", "'?' is not valid for the day of the month"),
        ("* * * * mon#6", "n-th weekday"),
        ("* * * * mon#1,tue", "n-th weekday"),
        ("* * 1 * mon#1", "its day of the month must be *"),
    ],
)
def test_refused_expressions(expression: str, reason: str) -> None:
    assert reason in (cron_error(expression) or "accepted")


@pytest.mark.parametrize(
    "expression",
    [
        "5-5 * * * *",  # croniter 7: every minute
        "0 0 1-31 * mon",  # or: only on Mondays
        "0 0 1 * 0-6",
        "0 0 1 * */1",
        "0 0 * * 5/2",  # with and without Sunday
    ],
)
def test_an_expression_that_croniters_read_differently_is_refused(expression: str) -> None:
    assert cron_error(expression) is not None
