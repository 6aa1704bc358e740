"""Workflow -> its scheduled runs: the data intervals of Airflow's timetables.

This repeats ``CronDataIntervalTimetable`` and ``DeltaDataIntervalTimetable`` of Airflow 2.8 and
later, also when the clocks change (docs/reference/dag.md names the differences of 2.7). A cron
expression is matched on the clock of its zone. Then:

- A time that the clocks skip moves by the skipped time. An hour that comes twice counts once, the
  second time.
- An expression for every hour counts elapsed time instead, so it runs in both hours.
"""

from __future__ import annotations

import calendar
import functools
import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING

from bigflow_backend.dags.rules.cron import read_cron
from bigflow_backend.dags.rules.location import Location
from bigflow_backend.dags.rules.zones import find_zone
from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.dags.rules.cron import CronExpression
    from bigflow_backend.project.workflows import Schedule, WorkflowDescription

_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Run:
    """A scheduled run; both moments are in UTC."""

    start: datetime
    """The beginning of its data interval: the ``runtime`` of its jobs."""
    end: datetime
    """The end of the interval. The run starts at this time."""


def scheduled_runs(workflow: WorkflowDescription, *, now: datetime) -> Iterator[Run]:
    """Yield the runs of a DAG that is deployed ``now``, from its start date on, usually forever.

    A workflow that runs by hand or continuously has no scheduled runs.

    :raises UserError: if Airflow would find no further run.
    :raises ValueError: for a workflow that was described without a start time.
    """
    if workflow.start_date is None:
        raise ValueError(f"{workflow.id} was described without a start time")
    start_date = datetime.fromisoformat(workflow.start_date).astimezone(timezone.utc)
    if workflow.schedule.kind == "once":
        yield Run(start_date, start_date)
    zone = find_zone(workflow.timezone, Location.workflow(workflow.id))
    intervals = timetable(workflow.schedule, zone)
    if intervals is None:
        return
    start = intervals.from_on(start_date)
    if not workflow.catchup:
        start = max(start, intervals.latest_start(now.astimezone(timezone.utc)))
    earliest = start
    while True:
        run = Run(start, intervals.after(start))
        yield run
        start = max(earliest, intervals.up_to(run.end))
        if start <= run.start:
            start = intervals.after(
                start
            )  # as in Airflow 3.3; in older releases, the scheduler stops here
        if start <= run.start:
            raise UserError(
                f"workflow {workflow.id!r}: Airflow finds no run of {workflow.schedule.value!r}"
                f" after {run.start:%Y-%m-%d %H:%M} UTC, because the clocks of"
                f" {workflow.timezone} change",
                hint='write timezone="UTC", or a schedule that does not run every hour',
            )


def timetable(schedule: Schedule, zone: tzinfo) -> CronTimetable | DeltaTimetable | None:
    """Return the timetable of a checked schedule, or None if it does not have one."""
    kind, value = schedule.kind, schedule.value
    if kind == "cron":
        return CronTimetable(read_cron(str(value)), zone)
    if kind == "timedelta" and isinstance(value, (int, float)):
        return DeltaTimetable(timedelta(seconds=value))
    return None


@dataclass(frozen=True)
class DeltaTimetable:
    """Boundaries at equal distances. The methods are those of :class:`CronTimetable`."""

    delta: timedelta

    def after(self, moment: datetime) -> datetime:
        return moment + self.delta

    def before(self, moment: datetime) -> datetime:
        return moment - self.delta

    def from_on(self, moment: datetime) -> datetime:
        return moment  # the boundaries are counted from any start

    def up_to(self, moment: datetime, first: datetime | None = None) -> datetime:
        return moment if first is None else moment - (moment - first) % self.delta

    def latest_start(self, now: datetime) -> datetime:
        seconds = now.timestamp()
        boundary = seconds - seconds % self.delta.total_seconds()
        return self.before(datetime.fromtimestamp(boundary, timezone.utc))


@dataclass(frozen=True)
class CronTimetable:
    """Splits time into intervals between the times of a cron expression. All times are in UTC."""

    expression: CronExpression
    zone: tzinfo

    def after(self, moment: datetime) -> datetime:
        """Return the first boundary after a time."""
        clock = moment.astimezone(self.zone).replace(tzinfo=None)
        found = _first_from(self.expression, _next_minute(clock))
        return self._moment(found, moment, clock)

    def before(self, moment: datetime) -> datetime:
        """Return the last boundary before a time."""
        clock = moment.astimezone(self.zone).replace(tzinfo=None)
        found = _last_up_to(self.expression, _last_minute(clock))
        return self._moment(found, moment, clock)

    def from_on(self, moment: datetime) -> datetime:
        """Return the first boundary that is not before a time."""
        following = self.after(moment)
        return moment if self.before(following) == moment else following

    def up_to(self, moment: datetime, first: datetime | None = None) -> datetime:
        """Return the last boundary that is not after a time; ``first`` is the first boundary."""
        del first  # the boundaries do not depend on it
        preceding = self.before(moment)
        return moment if self.after(preceding) == moment else preceding

    def latest_start(self, now: datetime) -> datetime:
        """Return the earliest start of the first interval of a DAG without catchup."""
        last = self.before(now)
        return last if self.after(last) == now else self.before(last)

    def _moment(self, found: datetime, base: datetime, clock: datetime) -> datetime:
        """Return ``found`` in UTC. It is on the zone's clock, which shows ``clock`` at ``base``."""
        if len(self.expression.hours) == 24:  # noqa: PLR2004 - every hour
            return base + (found - clock)
        second, first = found.replace(tzinfo=self.zone, fold=1), found.replace(tzinfo=self.zone)
        skipped = (second.utcoffset() or timedelta()) - (first.utcoffset() or timedelta())
        if skipped > timedelta():
            second += skipped
        return second.astimezone(timezone.utc)


def _next_minute(clock: datetime) -> datetime:
    return clock.replace(second=0, microsecond=0) + _MINUTE


def _last_minute(clock: datetime) -> datetime:
    whole = clock.replace(second=0, microsecond=0)
    return whole if whole < clock else whole - _MINUTE


def _first_from(expression: CronExpression, clock: datetime) -> datetime:
    """Return the first time that matches, from ``clock`` on."""
    times = _times_of_day(expression)
    day, of_day = clock.date(), (clock.hour, clock.minute)
    while True:
        if day.month not in expression.months:
            day = day.replace(day=_last_day(day))
        elif _fits(expression, day) and of_day <= times[-1]:
            return datetime.combine(day, time(*times[bisect_left(times, of_day)]))
        day, of_day = day + _DAY, times[0]


def _last_up_to(expression: CronExpression, clock: datetime) -> datetime:
    """Return the last time that matches, up to ``clock``."""
    times = _times_of_day(expression)
    day, of_day = clock.date(), (clock.hour, clock.minute)
    while True:
        if day.month not in expression.months:
            day = day.replace(day=1)
        elif _fits(expression, day) and of_day >= times[0]:
            return datetime.combine(day, time(*times[bisect_right(times, of_day) - 1]))
        day, of_day = day - _DAY, times[-1]


@functools.lru_cache
def _times_of_day(expression: CronExpression) -> list[tuple[int, int]]:
    return sorted(itertools.product(expression.hours, expression.minutes))


def _fits(expression: CronExpression, day: date) -> bool:
    """Return True if the expression matches a day of a month that it matches."""
    weekday = day.isoweekday() % 7
    if expression.nth_weekdays is not None:
        return (weekday, (day.day - 1) // 7 + 1) in expression.nth_weekdays
    by_day = expression.days is not None and day.day in expression.days
    by_day = by_day or (expression.last_day and day.day == _last_day(day))
    by_weekday = expression.weekdays is not None and weekday in expression.weekdays
    every_day = not (expression.days or expression.last_day or expression.weekdays)
    return by_day or by_weekday or every_day


def _last_day(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]
