"""The normals of a day and of an hour, from the records in ``resources/``."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb

from bigflow.resources import get_resource_absolute_path

_DAILY = "seattle-weather.csv"
_HOURLY = "seattle-temps.csv"

# The distance between two days of the year. From 31 December to 1 January it is one day. All days
# are moved to the year 2000, which has a 29 February.
_NEAR = """
    select *, abs(
        make_date(2000, month(date), day(date)) - make_date(2000, month($day), day($day))
    ) as days
    from read_csv($file)
    where least(days, 366 - days) <= $window
"""


def records(day: date, window_days: int) -> int:
    """Return the number of records within ``window_days`` of this day of the year."""
    (count,) = _one(f"select count(*) from ({_NEAR})", day, window_days)
    return int(count)


def temperature(day: date, window_days: int) -> dict[str, float]:
    """Return the normal lowest and highest temperature of a day, in degrees Celsius."""
    low, high = _one(
        f"select round(avg(temp_min), 1), round(avg(temp_max), 1) from ({_NEAR})", day, window_days
    )
    return {"low": low, "high": high}


def precipitation(day: date, window_days: int) -> dict[str, float]:
    """Return the chance of a wet day, and the normal precipitation in millimetres."""
    chance, amount = _one(
        "select round(avg(cast(precipitation > 0 as int)), 2), round(avg(precipitation), 1)"
        f" from ({_NEAR})",
        day,
        window_days,
    )
    return {"chance": chance, "millimetres": amount}


def hourly_temperature(moment: datetime) -> float:
    """Return the normal temperature of an hour, in degrees Celsius."""
    # The records are of 2010, which had no 29 February.
    day = 28 if (moment.month, moment.day) == (2, 29) else moment.day
    found = duckdb.execute(
        "select round((temp - 32) / 1.8, 1) from read_csv($file) where date = $moment",
        {"file": _path(_HOURLY), "moment": datetime(2010, moment.month, day, moment.hour)},
    ).fetchone()
    if found is None:
        message = f"{_HOURLY} has no record for {moment:%d %B, %H:00}"
        raise LookupError(message)
    return float(found[0])


def _one(query: str, day: date, window_days: int) -> tuple[Any, ...]:
    row = duckdb.execute(
        query, {"file": _path(_DAILY), "day": day, "window": window_days}
    ).fetchone()
    if row is None:
        message = f"no result of: {query}"
        raise LookupError(message)
    return row


def _path(name: str) -> str:
    return str(get_resource_absolute_path(name, Path(__file__)))
