"""A program for the Python of an Airflow. It prints the first runs of schedules as JSON.

It reads ``[[kind, expression or seconds, zone, start, number of runs], ...]`` from stdin. The
marked line has the beginning and end of each data interval in UTC, and a last ``null`` if the
timetable finds no further run.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta, timezone
from importlib import import_module
from typing import Any

MARK = "@@timetables "


def runs(kind: str, value: Any, zone: str, start: str, number: int) -> list[list[str] | None]:
    interval = import_module("airflow.timetables.interval")
    timetable: Any = (
        interval.CronDataIntervalTimetable(value, timezone=zone)
        if kind == "cron"
        else interval.DeltaDataIntervalTimetable(timedelta(seconds=value))
    )
    earliest = import_module("pendulum").instance(datetime.fromisoformat(start))
    restriction = import_module("airflow.timetables.base").TimeRestriction(
        earliest=earliest, latest=None, catchup=True
    )
    found: list[list[str] | None] = []
    last = None
    while len(found) < number:
        try:
            info = timetable.next_dagrun_info(
                last_automated_data_interval=last, restriction=restriction
            )
        except ValueError as error:
            if "did not advance" not in str(error):
                raise
            return [*found, None]
        if last and info.data_interval.start <= last.start:
            return [*found, None]
        last = info.data_interval
        found.append([utc(last.start), utc(info.run_after)])
    return found


def utc(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


if __name__ == "__main__":
    answer = [runs(*schedule) for schedule in json.load(sys.stdin)]
    sys.stdout.write(f"\n{MARK}{json.dumps(answer)}\n")
