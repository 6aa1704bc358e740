"""The runs of workflows are those of real Airflows' timetables."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.dags.rules.cron import PRESETS, cron_error
from bigflow_backend.dags.timetable import scheduled_runs, timetable
from bigflow_backend.ground.errors import UserError
from support.descriptions import schedule, workflow
from support.timetable_probe import MARK, utc

if TYPE_CHECKING:
    from support.airflow import Airflow

PROBE = Path(__file__).parents[1] / "support" / "timetable_probe.py"
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)

# Clocks change by an hour, by half an hour, in the other half of the year, at midnight, or not at
# all. Apia skipped a day, and Morocco changes its clocks for Ramadan.
ZONES = (
    *("UTC", "Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"),
    *("Africa/Casablanca", "America/Sao_Paulo", "Pacific/Apia", "America/St_Johns", "Africa/Cairo"),
)
STARTS = (
    *("2026-03-29T00:30:00+00:00", "2026-10-24T23:10:30+00:00", "2026-03-08T05:00:00+00:00"),
    *("2026-11-01T04:00:00+00:00", "2026-04-04T14:30:00+00:00", "2026-01-31T00:00:00+00:00"),
    *("2026-10-03T15:00:00+00:00", "2028-02-29T00:00:00+00:00", "2011-12-28T00:00:00+00:00"),
)
EXPRESSIONS = (
    *PRESETS,
    *("30 2 * * *", "0 2 * * *", "*/20 1-3 * * *", "15 * * * *", "0 */2 * * *", "* * * * *"),
    *("0 0 L * *", "0 0 L * mon", "0 0 * * mon#1,fri#3", "0 0 * 2 mon#5", "0 0 29 2 *"),
    *("0 0 13 * fri", "0 0 * * 7", "0 0 * * */2", "30 6 * * 1-5", "0 * * * 1-5"),
)


def random_field(dice: random.Random, first: int, last: int, *others: str) -> str:
    low, high = sorted((dice.randint(first, last), dice.randint(first, last)))
    return dice.choice(
        [
            *("*", "*", "*", str(low), f"*/{dice.randint(1, last - first)}", f"{low}-{high}"),
            *(f"{low}-{high}/{dice.randint(1, 5)}", f"{high},{low}", *others),
        ]
    )


def random_expression(dice: random.Random) -> str:
    fields = (
        *(random_field(dice, 0, 59), random_field(dice, 0, 23), random_field(dice, 1, 31, "L")),
        *(random_field(dice, 1, 12, "feb,JUL"), random_field(dice, 0, 7, "fri#5", "mon-fri")),
    )
    expression = " ".join(fields)
    return expression if cron_error(expression) is None else random_expression(dice)


def random_schedules(number: int) -> list[list[Any]]:
    dice = random.Random(20261123)
    cron = [
        ["cron", expression, dice.choice(ZONES), dice.choice(STARTS), 5]
        for expression in (
            *(EXPRESSIONS * 4),
            *(random_expression(dice) for _ in range(number)),
        )
    ]
    # Airflow does not get past the change of the clocks here.
    stuck = ["cron", "18,37 * */11 3 5-6", "America/St_Johns", STARTS[0], 6]
    delta = [["timedelta", seconds, "UTC", STARTS[1], 3] for seconds in (60, 5400, 86400, 0.5)]
    return [*cron, stuck, *delta]


def our_runs(kind: str, value: Any, zone: str, start: str, number: int) -> list[list[str] | None]:
    flow = workflow("daily", schedule=schedule(kind, value), timezone=zone, start_date=start)
    runs = scheduled_runs(flow, now=NOW)
    found: list[list[str] | None] = []
    while len(found) < number:
        try:
            run = next(runs)
        except UserError:
            return [*found, None]
        found.append([utc(run.start), utc(run.end)])
    return found


@pytest.mark.parametrize("number", [150, pytest.param(600, marks=pytest.mark.slow)])
def test_the_runs_are_those_of_airflow(airflow: Airflow, number: int) -> None:
    schedules = random_schedules(number)
    output = subprocess.run(
        # -P: the directory of the script has an airflow.py of the tests.
        [airflow.python, "-P", PROBE],
        input=json.dumps(schedules),
        cwd=airflow.home,
        env=airflow.environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    (line,) = (line for line in output.splitlines() if line.startswith(MARK))
    stuck = 0
    for one, theirs in zip(schedules, json.loads(line.removeprefix(MARK)), strict=True):
        ours = our_runs(*one)
        if theirs[-1] is None:
            stuck += 1
            if airflow.major < 3:  # Airflow 3 tries once more
                ours = [*ours[: len(theirs) - 1], None]
        assert ours == theirs, one
    assert stuck


def test_a_schedule_without_a_next_run_is_an_error() -> None:
    flow = workflow(
        "daily",
        schedule=schedule("cron", "18,37 * */11 3 5-6"),
        timezone="America/St_Johns",
        start_date=STARTS[0],
    )
    with pytest.raises(UserError) as caught:
        list(itertools.islice(scheduled_runs(flow, now=NOW), 6))
    assert caught.value.message == (
        "workflow 'daily': Airflow finds no run of '18,37 * */11 3 5-6' after"
        " 2027-03-01 02:48 UTC, because the clocks of America/St_Johns change"
    )


@pytest.mark.parametrize(
    ("kind", "value", "now", "first"),
    [
        # In a day, the last whole interval is the day before. At its end, it is that day.
        ("cron", "@daily", "2026-01-10T12:00:00+00:00", "2026-01-09 00:00:00"),
        ("cron", "@daily", "2026-01-10T00:00:00+00:00", "2026-01-09 00:00:00"),
        ("cron", "@daily", "2025-12-01T00:00:00+00:00", "2026-01-01 00:00:00"),
        ("timedelta", 86400, "2026-01-10T12:00:00+00:00", "2026-01-09 00:00:00"),
    ],
)
def test_without_catching_up_the_first_run_is_the_latest(
    kind: str, value: Any, now: str, first: str
) -> None:
    flow = workflow("daily", schedule=schedule(kind, value), catchup=False)
    run = next(scheduled_runs(flow, now=datetime.fromisoformat(now)))
    assert utc(run.start) == first


def test_once() -> None:
    (run,) = scheduled_runs(workflow("daily", schedule=schedule("once")), now=NOW)
    assert (utc(run.start), utc(run.end)) == ("2026-01-01 00:00:00", "2026-01-01 00:00:00")


@pytest.mark.parametrize("kind", ["none", "continuous"])
def test_schedules_without_times(kind: str) -> None:
    flow = workflow("daily", schedule=schedule(kind))
    assert timetable(flow.schedule, timezone.utc) is None
    assert list(scheduled_runs(flow, now=NOW)) == []
