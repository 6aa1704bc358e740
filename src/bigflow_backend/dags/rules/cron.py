"""Cron expressions, checked where they are built into a DAG.

Airflow's timetables take any text and fail when the file is parsed or, worse, when the next run is
sought. What is accepted here means the same in every croniter that Airflow 2.7 to 3.3 brings, but
that one of 2.7.3 (2.0.1) finds no day before the next February 29, or fifth weekday of a February:
five fields of numbers, names, ranges, steps and lists, with ``L`` for the last day of a month and
``#`` for the n-th weekday of one, or one of Airflow's presets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}
"""https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/cron.html"""

_SYNONYMS = {"@midnight": "@daily", "@annually": "@yearly"}
"""Other cron daemons' names, which Airflow's presets do not have."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


@dataclass(frozen=True, kw_only=True)
class CronExpression:
    """What an expression says. Sunday is weekday 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    months: frozenset[int]
    days: frozenset[int] | None
    """Of the month; None leaves it to the weekdays. A day fits by either where both are given."""
    last_day: bool
    """Whether the last day of a month is the one, in place of :attr:`days`."""
    weekdays: frozenset[int] | None
    nth_weekdays: frozenset[tuple[int, int]] | None
    """Weekdays, each with its number within a month, in place of :attr:`weekdays`."""


@dataclass(frozen=True)
class _Field:
    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()
    """The names of its values, the first of which is ``first``."""

    def number(self, text: str) -> int:
        if text.lower() in self.names:
            return self.first + self.names.index(text.lower())
        if re.fullmatch(r"[0-9]{1,2}", text, re.ASCII) and self.first <= int(text) <= self.last:
            return int(text)
        raise ValueError(f"{text!r} is no {self.name}: {self.first} to {self.last}")

    def values(self, text: str) -> frozenset[int]:
        """The values that a field of an expression stands for.

        :raises ValueError: when it stands for none, or not for the same in every croniter.
        """
        if text == "*":
            return frozenset(range(self.first, self.last + 1))
        return frozenset[int]().union(*(_item_values(self, item) for item in text.split(",")))


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _WEEKDAYS),
)
_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY = _FIELDS


def cron_fault(expression: str) -> str | None:
    """What is wrong with a cron expression, in a few words; None when it can be relied on."""
    try:
        read_cron(expression)
    except ValueError as error:
        return str(error)
    return None


def cron_hint(expression: str) -> str:
    """What to write in the place of an expression that has a fault."""
    if expression.startswith("@"):
        meant = _SYNONYMS.get(expression)
        known = ", ".join([*PRESETS, "@once", "@continuous"])
        return f"write {meant}" if meant else f"write one of {known}, or five fields"
    if "?" in expression:
        return "write * in the place of ?"
    return "write five fields of numbers, names, ranges, steps or lists, as in '30 6 * * 1-5'"


def read_cron(expression: str) -> CronExpression:
    """What a cron expression or a preset says.

    :raises ValueError: when it says nothing, or not the same to every croniter; in a few words.
    """
    if expression.startswith("@"):
        if expression not in PRESETS:
            raise ValueError("it is none of Airflow's presets")
        expression = PRESETS[expression]
    texts = expression.split(" ")
    if len(texts) != len(_FIELDS) or not all(texts):
        raise ValueError("it must have five fields, with one blank between them")
    minutes, hours, days, months, weekdays = texts
    read = CronExpression(
        minutes=_MINUTE.values(minutes),
        hours=_HOUR.values(hours),
        months=_MONTH.values(months),
        days=None if days == "*" or days.upper() == "L" else _days(days),
        last_day=days.upper() == "L",
        weekdays=None if weekdays == "*" or "#" in weekdays else _weekdays(weekdays),
        nth_weekdays=_nth_weekdays(weekdays) if "#" in weekdays else None,
    )
    longest = max(_LONGEST.get(month, 31) for month in read.months)
    if read.days is not None and min(read.days) > longest:
        raise ValueError("no month that it names has such a day")
    if read.nth_weekdays is not None and days != "*":
        raise ValueError("with an n-th weekday, its day of the month must be *")
    return read


def _days(text: str) -> frozenset[int]:
    days = _DAY.values(text)
    _refuse_every_day(_DAY, days, 31)
    return days


def _weekdays(text: str) -> frozenset[int]:
    weekdays = frozenset(weekday % 7 for weekday in _WEEKDAY.values(text))
    _refuse_every_day(_WEEKDAY, weekdays, 7)
    return weekdays


def _refuse_every_day(field: _Field, values: frozenset[int], every: int) -> None:
    # A day of the month *or* of the week fits where both are given, and croniters differ in
    # whether every day is "given".
    if len(values) == every:
        raise ValueError(f"its {field.name} names every day; write *")


def _nth_weekdays(text: str) -> frozenset[tuple[int, int]]:
    return frozenset(_nth_weekday(item) for item in text.split(","))


def _nth_weekday(item: str) -> tuple[int, int]:
    name, hash_sign, nth = item.partition("#")
    weekday = _WEEKDAY.number(name) % 7
    if not hash_sign or nth not in {"1", "2", "3", "4", "5"}:
        raise ValueError("beside an n-th weekday, as in mon#1, there may be only others")
    return weekday, int(nth)


def _item_values(field: _Field, item: str) -> frozenset[int]:
    span, slash, step = item.partition("/")
    begin, dash, end = span.partition("-")
    if span == "*" and slash:
        first, last = field.first, field.last
    elif dash:
        first, last = field.number(begin), field.number(end)
        if first >= last:  # croniter 7 takes 5-5 for every value, 2.0 for one
            raise ValueError(f"the range {span!r} does not run forwards")
    else:
        first = field.number(begin)
        last = field.last if slash else first
        if slash and field is _WEEKDAY:  # is 7 within 5/2?
            raise ValueError(f"{item!r} has no end; write a range before the step")
    if not slash:
        return frozenset(range(first, last + 1))
    if not re.fullmatch(r"[1-9][0-9]?", step, re.ASCII) or int(step) > last - first:
        raise ValueError(f"{step!r} is no step within {first} to {last}")
    return frozenset(range(first, last + 1, int(step)))
