"""Start-time factories, by themselves and in every time zone through the description."""
# ruff: noqa: DTZ001, DTZ901 - runtimes and start times are naive

from __future__ import annotations

import datetime as dt
import zoneinfo
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bigflow import BigflowError, Workflow, daily_start_time, hourly_start_time
from bigflow.describe.discovery import FoundWorkflow
from bigflow.describe.workflows import _start_date

if TYPE_CHECKING:
    from collections.abc import Callable

ZONES = sorted(zoneinfo.available_timezones() - {"localtime"})
UTC = dt.timezone.utc


def start_date(
    start_time: dt.datetime, zone: str, factory: Callable[[dt.datetime], Any]
) -> dt.datetime:
    workflow = Workflow("w", [], start_time_factory=factory, timezone=zone)
    return _start_date(FoundWorkflow(workflow, "module", "w"), start_time, zoneinfo.ZoneInfo(zone))


def test_daily_is_the_midnight_before_yesterdays_end() -> None:
    assert daily_start_time(dt.datetime(2020, 1, 2, 13, 5, 9, 7)) == dt.datetime(2020, 1, 1)
    assert daily_start_time(dt.datetime(2020, 3, 1)) == dt.datetime(2020, 2, 29)


def test_hourly_is_the_start_time_in_whole_seconds() -> None:
    assert hourly_start_time(dt.datetime(2020, 8, 1, 10, 0, 0, 7)) == dt.datetime(2020, 8, 1, 10)


moments = st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2037, 12, 31))


@settings(max_examples=500, deadline=None)
@given(moments, st.sampled_from(ZONES))
@example(dt.datetime(2026, 3, 29, 1), "Europe/Warsaw")  # 02:00 to 03:00 does not exist
@example(dt.datetime(2026, 10, 25, 0), "Europe/Warsaw")  # 02:00 to 03:00, the first time
@example(dt.datetime(2026, 10, 25, 1), "Europe/Warsaw")  # and the second
@example(dt.datetime(2026, 4, 4, 15, 15), "Australia/Lord_Howe")  # clocks go back half an hour
def test_hourly_is_the_very_moment_in_every_zone(moment: dt.datetime, zone: str) -> None:
    start = start_date(moment, zone, hourly_start_time)
    assert start.astimezone(UTC).replace(tzinfo=None) == moment.replace(microsecond=0)
    assert dt.datetime.fromisoformat(start.isoformat()) == start.astimezone(UTC)


@settings(max_examples=500, deadline=None)
@given(moments, st.sampled_from(ZONES))
@example(dt.datetime(2011, 12, 31, 12), "Pacific/Apia")  # there was no 30 December
@example(dt.datetime(2018, 11, 5, 12), "America/Sao_Paulo")  # the day before began at 01:00
@example(dt.datetime(2026, 11, 2, 12), "America/Havana")  # the day before had two midnights
def test_daily_is_the_first_moment_of_the_local_day_before(moment: dt.datetime, zone: str) -> None:
    start = start_date(moment, zone, daily_start_time)
    tz = zoneinfo.ZoneInfo(zone)
    today = moment.replace(tzinfo=UTC).astimezone(tz).date()
    yesterday = today - dt.timedelta(days=1)
    a_moment_before = (start.astimezone(UTC) - dt.timedelta(microseconds=1)).astimezone(tz)
    assert a_moment_before.date() < start.date()
    if start.date() != yesterday:  # the zone left that day out
        assert start.date() == today
        noon = dt.datetime.combine(yesterday, dt.time(12), tz)
        assert noon.astimezone(UTC).astimezone(tz).date() != yesterday


@given(moments, st.sampled_from(ZONES))
def test_the_offset_is_the_one_of_the_zone_at_that_time(moment: dt.datetime, zone: str) -> None:
    start = start_date(moment, zone, lambda local: local)
    assert (
        start.utcoffset()
        == moment.replace(tzinfo=UTC).astimezone(zoneinfo.ZoneInfo(zone)).utcoffset()
    )


def test_a_factory_that_returns_an_aware_time() -> None:
    start = start_date(
        dt.datetime(2026, 1, 1), "Europe/Warsaw", lambda local: local.replace(tzinfo=UTC)
    )
    assert start.isoformat() == "2026-01-01T02:00:00+01:00"


def test_a_time_that_the_clocks_skipped_moves_forward() -> None:
    start = start_date(
        dt.datetime(2026, 1, 1), "Europe/Warsaw", lambda _: dt.datetime(2026, 3, 29, 2, 30)
    )
    assert start.isoformat() == "2026-03-29T03:30:00+02:00"


def test_a_factory_that_returns_another_type() -> None:
    with pytest.raises(BigflowError, match="start_time_factory returned None"):
        start_date(dt.datetime(2026, 1, 1), "UTC", lambda _: None)


@pytest.mark.parametrize("factory", ["2026-01-01", lambda: None])
def test_an_invalid_factory(factory: Any) -> None:
    with pytest.raises(BigflowError, match="factory cannot be called with the start") as caught:
        start_date(dt.datetime(2026, 1, 1), "UTC", factory)
    assert caught.value.hint.startswith("give a function of one argument")


@pytest.mark.parametrize("made", [dt.datetime.min, dt.datetime.max])
def test_a_factory_result_out_of_range(made: dt.datetime) -> None:
    zone = "Europe/Warsaw" if made == dt.datetime.min else "America/New_York"
    with pytest.raises(BigflowError, match=f"start date is out of range: {made.year:04}-"):
        start_date(dt.datetime(2026, 1, 1), zone, lambda _: made)


def test_a_start_time_out_of_range() -> None:
    with pytest.raises(BigflowError, match="start date is out of range: 9999-"):
        start_date(dt.datetime.max, "Asia/Tokyo", daily_start_time)


def test_a_factory_that_raises_is_reported_with_its_line() -> None:
    def broken(_: dt.datetime) -> dt.datetime:
        return SimpleNamespace().nothing  # type: ignore[no-any-return]

    workflow = Workflow("w", [], start_time_factory=broken)
    found = FoundWorkflow(workflow, __name__, "w")
    with pytest.raises(BigflowError) as caught:
        _start_date(found, dt.datetime(2026, 1, 1), UTC)
    line = broken.__code__.co_firstlineno + 1
    assert f"test_start_time.py, line {line}: AttributeError" in caught.value.message
    assert "start_time_factory of workflow 'w'" in caught.value.message
