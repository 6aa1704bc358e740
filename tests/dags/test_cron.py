"""Cron expressions: what is refused, and why."""

from __future__ import annotations

import pytest

from bigflow_backend.dags.rules.cron import PRESETS, cron_fault


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
    assert cron_fault(expression) is None


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("* * * * * *", "five fields"),
        ("0  0 * * *", "five fields"),
        (" 0 0 * * *", "five fields"),
        ("0\t0 * * *", "five fields"),
        ("@foo", "none of Airflow's presets"),
        ("@reboot", "none of Airflow's presets"),
        ("61 * * * *", "'61' is no minute: 0 to 59"),
        ("* 24 * * *", "'24' is no hour"),
        ("* * 0 * *", "'0' is no day of the month"),
        ("* * * 13 *", "'13' is no month"),
        ("* * * * 8", "'8' is no day of the week"),
        ("-1 * * * *", "'' is no minute"),
        ("1.5 * * * *", "'1.5' is no minute"),
        ("\u0661 * * * *", "is no minute"),
        ("* * * mon *", "'mon' is no month"),
        ("1,,2 * * * *", "'' is no minute"),
        ("*/0 * * * *", "'0' is no step"),
        ("*/60 * * * *", "'60' is no step"),
        ("*/x * * * *", "'x' is no step"),
        ("0 22-2 * * *", "'22-2' does not run forwards"),
        ("0 0 30 2 *", "no month that it names has such a day"),
        ("0 0 31 4,6 mon", "no month that it names has such a day"),
        ("* * ? * *", "'?' is no day of the month"),
        ("* * * * mon#6", "n-th weekday"),
        ("* * * * mon#1,tue", "n-th weekday"),
        ("* * 1 * mon#1", "its day of the month must be *"),
    ],
)
def test_what_no_croniter_takes_is_refused(expression: str, reason: str) -> None:
    assert reason in (cron_fault(expression) or "accepted")


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
def test_what_two_croniters_read_differently_is_refused(expression: str) -> None:
    assert cron_fault(expression) is not None
