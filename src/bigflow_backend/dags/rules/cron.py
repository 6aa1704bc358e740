"""Cron expressions that mean the same on every Airflow from 2.7 to 3.4.

Airflow's timetables accept any text, and fail later: when the file is parsed, or when the next run
is computed. Accepted here are Airflow's presets, and five fields of numbers, names, ranges, steps
and lists, with ``L`` for the last day of a month and ``#`` for its n-th weekday.

All croniters of these Airflows agree on them, with one exception. The one of Airflow 2.7.3 (2.0.1)
finds no day before the next February 29, or before the next fifth weekday of a February.
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
"""Names of other cron daemons, which Airflow does not have."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


@dataclass(frozen=True, kw_only=True)
class CronExpression:
    """The values of an expression. Sunday is weekday 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    months: frozenset[int]
    days: frozenset[int] | None
    """Of the month; None for every day. If weekdays are given, too, a day fits by either."""
    last_day: bool
    """True if the last day of a month replaces :attr:`days`."""
    weekdays: frozenset[int] | None
    nth_weekdays: frozenset[tuple[int, int]] | None
    """Weekdays with their number in the month; they replace :attr:`weekdays`."""


@dataclass(frozen=True)
class _Field:
    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()
    """The names of its values, from ``first`` on."""

    def number(self, text: str) -> int:
        if text.lower() in self.names:
            return self.first + self.names.index(text.lower())
        if re.fullmatch(r"[0-9]{1,2}", text, re.ASCII) and self.first <= int(text) <= self.last:
            return int(text)
        raise ValueError(
            f"{text!r} is not valid for the {self.name}: use {self.first} to {self.last}"
        )

    def values(self, text: str) -> frozenset[int]:
        """Return the values of a field of an expression.

        :raises ValueError: if it is not valid, or not the same in every croniter.
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


def cron_error(expression: str) -> str | None:
    """Return what is wrong with a cron expression, in a few words; None if it is valid."""
    try:
        read_cron(expression)
    except ValueError as error:
        return str(error)
    return None


def cron_hint(expression: str) -> str:
    """Return what to write instead of an expression that is not valid."""
    if expression.startswith("@"):
        meant = _SYNONYMS.get(expression)
        known = ", ".join([*PRESETS, "@once", "@continuous"])
        return f"write {meant}" if meant else f"write one of {known}, or five fields"
    if "?" in expression:
        return "write * instead of ?"
    return "write five fields of numbers, names, ranges, steps or lists, as in '30 6 * * 1-5'"


def read_cron(expression: str) -> CronExpression:
    """Return the values of a cron expression or a preset.

    :raises ValueError: if it is not valid, or not the same in every croniter; in a few words.
    """
    if expression.startswith("@"):
        if expression not in PRESETS:
            raise ValueError("it is not a preset of Airflow")
        expression = PRESETS[expression]
    texts = expression.split(" ")
    if len(texts) != len(_FIELDS) or not all(texts):
        raise ValueError("it must have five fields, separated by one blank")
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
        raise ValueError("its months do not have such a day")
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
    # If both are given, a day of the month *or* of the week fits. Croniters differ in whether a
    # field with every day is given.
    if len(values) == every:
        raise ValueError(f"its {field.name} names every day; write *")


def _nth_weekdays(text: str) -> frozenset[tuple[int, int]]:
    return frozenset(_nth_weekday(item) for item in text.split(","))


def _nth_weekday(item: str) -> tuple[int, int]:
    name, hash_sign, nth = item.partition("#")
    weekday = _WEEKDAY.number(name) % 7
    if not hash_sign or nth not in {"1", "2", "3", "4", "5"}:
        raise ValueError("an n-th weekday, such as mon#1, can be listed only with others")
    return weekday, int(nth)


def _item_values(field: _Field, item: str) -> frozenset[int]:
    span, slash, step = item.partition("/")
    begin, dash, end = span.partition("-")
    if span == "*" and slash:
        first, last = field.first, field.last
    elif dash:
        first, last = field.number(begin), field.number(end)
        if first >= last:  # croniter 7 reads 5-5 as every value, 2.0 as one
            raise ValueError(f"the range {span!r} must ascend")
    else:
        first = field.number(begin)
        last = field.last if slash else first
        if slash and field is _WEEKDAY:  # is 7 within 5/2?
            raise ValueError(f"{item!r} has no end; write a range before the step")
    if not slash:
        return frozenset(range(first, last + 1))
    if not re.fullmatch(r"[1-9][0-9]?", step, re.ASCII) or int(step) > last - first:
        raise ValueError(f"{step!r} is not a valid step within {first} to {last}")
    return frozenset(range(first, last + 1, int(step)))
