"""When a workflow runs: the data intervals that Airflow's timetables would give to its DAG.

This is ``CronDataIntervalTimetable`` and ``DeltaDataIntervalTimetable`` of Airflow once more, down
to what they do when the clocks change, from 2.8 on (docs/dag.md says what 2.7 does otherwise). A
cron expression is matched on the clock of its zone; then:

- a time that the clocks skip is taken as that much later, and of an hour that comes twice the
  second one counts;
- an expression for every hour counts elapsed time instead, so that it runs in both of the two.
"""

from __future__ import annotations

import calendar
import functools
import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Protocol

from bigflow_backend.dags.rules.cron import read_cron
from bigflow_backend.dags.rules.location import Place
from bigflow_backend.dags.rules.zones import find_zone
from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.dags.rules.cron import CronExpression
    from bigflow_backend.project.workflows import WorkflowDescription

_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Run:
    """A scheduled run; both moments are in UTC."""

    start: datetime
    """The beginning of its data interval, which is the ``runtime`` of its jobs."""
    end: datetime
    """The end of the interval, from when on it can run."""


class Timetable(Protocol):
    """Splits time into intervals. Moments go in and come out in UTC."""

    def after(self, moment: datetime) -> datetime:
        """The first boundary after a moment."""
        ...

    def before(self, moment: datetime) -> datetime:
        """The last boundary before a moment."""
        ...

    def from_on(self, moment: datetime) -> datetime:
        """The first boundary that is not before a moment."""
        ...

    def up_to(self, moment: datetime) -> datetime:
        """The last boundary that is not after a moment."""
        ...

    def latest_start(self, now: datetime) -> datetime:
        """The first interval of a DAG that catches up with nothing begins here at the earliest."""
        ...


def scheduled_runs(workflow: WorkflowDescription, *, now: datetime) -> Iterator[Run]:
    """The runs of a DAG that is deployed ``now``, from its start date on; mostly without end.

    There are none for a workflow that runs by hand, or one run after the other.

    :raises UserError: where Airflow would find no further run.
    :raises ValueError: for a workflow that was described without a start time.
    """
    if workflow.start_date is None:
        raise ValueError(f"{workflow.id} was described without a start time")
    start_date = datetime.fromisoformat(workflow.start_date).astimezone(timezone.utc)
    if workflow.schedule.kind == "once":
        yield Run(start_date, start_date)
    intervals = timetable(workflow)
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
            start = intervals.after(start)  # as Airflow 3.3 has it; before, the scheduler is stuck
        if start <= run.start:
            raise UserError(
                f"workflow {workflow.id!r}: Airflow finds no run of {workflow.schedule.value!r}"
                f" after that of {run.start:%Y-%m-%d %H:%M} UTC, for the clocks of"
                f" {workflow.timezone} change",
                hint="let it run in UTC, or not in every hour",
            )


def timetable(workflow: WorkflowDescription) -> Timetable | None:
    """The timetable of a workflow that has been checked; None where its schedule has none."""
    kind, value = workflow.schedule.kind, workflow.schedule.value
    if kind == "cron":
        zone = find_zone(workflow.timezone, Place.workflow(workflow.id))
        return _CronTimetable(read_cron(str(value)), zone)
    if kind == "timedelta" and isinstance(value, (int, float)):
        return _DeltaTimetable(timedelta(seconds=value))
    return None


@dataclass(frozen=True)
class _DeltaTimetable:
    delta: timedelta

    def after(self, moment: datetime) -> datetime:
        return moment + self.delta

    def before(self, moment: datetime) -> datetime:
        return moment - self.delta

    def from_on(self, moment: datetime) -> datetime:
        return moment  # its boundaries are counted from wherever one begins

    up_to = from_on

    def latest_start(self, now: datetime) -> datetime:
        seconds = now.timestamp()
        boundary = seconds - seconds % self.delta.total_seconds()
        return self.before(datetime.fromtimestamp(boundary, timezone.utc))


@dataclass(frozen=True)
class _CronTimetable:
    expression: CronExpression
    zone: tzinfo

    def after(self, moment: datetime) -> datetime:
        clock = moment.astimezone(self.zone).replace(tzinfo=None)
        found = _first_from(self.expression, _next_minute(clock))
        return self._moment(found, moment, clock)

    def before(self, moment: datetime) -> datetime:
        clock = moment.astimezone(self.zone).replace(tzinfo=None)
        found = _last_up_to(self.expression, _last_minute(clock))
        return self._moment(found, moment, clock)

    def from_on(self, moment: datetime) -> datetime:
        following = self.after(moment)
        return moment if self.before(following) == moment else following

    def up_to(self, moment: datetime) -> datetime:
        preceding = self.before(moment)
        return moment if self.after(preceding) == moment else preceding

    def latest_start(self, now: datetime) -> datetime:
        last = self.before(now)
        return last if self.after(last) == now else self.before(last)

    def _moment(self, found: datetime, base: datetime, clock: datetime) -> datetime:
        """``found`` on the clock of the zone, sought from ``base``, where that shows ``clock``."""
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
    """The first time that fits, from ``clock`` on."""
    times = _times_of_day(expression)
    day, of_day = clock.date(), (clock.hour, clock.minute)
    while True:
        if day.month not in expression.months:
            day = day.replace(day=_last_day(day))
        elif _fits(expression, day) and of_day <= times[-1]:
            return datetime.combine(day, time(*times[bisect_left(times, of_day)]))
        day, of_day = day + _DAY, times[0]


def _last_up_to(expression: CronExpression, clock: datetime) -> datetime:
    """The last time that fits, up to ``clock``."""
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
    """Whether it runs on a day of a month in which it runs."""
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
