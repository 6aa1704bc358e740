"""Cron expressions, checked where they are built into a DAG.

Airflow's timetables take any text and fail when the file is parsed or, worse, when the next run is
sought. What is accepted here means the same in every croniter that Airflow 2.7 to 3.3 brings:
five fields of numbers, names, ranges, steps and lists, with ``L`` for the last day of a month and
``#`` for the n-th weekday of one, or one of Airflow's presets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["PRESETS", "cron_fault"]

PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
"""https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/cron.html"""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


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


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _WEEKDAYS),
)
_DAY, _MONTH, _WEEKDAY = _FIELDS[2:]


def cron_fault(expression: str) -> str | None:
    """What is wrong with a cron expression, in a few words; None when it can be relied on."""
    if expression.startswith("@"):
        return None if expression in PRESETS else "it is none of the presets " + ", ".join(PRESETS)
    texts = expression.split(" ")
    if len(texts) != len(_FIELDS) or not all(texts):
        return "it must have five fields, with one blank between them"
    try:
        _, _, days, months, _ = map(_values, _FIELDS, texts)
    except ValueError as error:
        return str(error)
    if min(days) > max(_LONGEST.get(month, 31) for month in months):
        return "no month that it names has such a day"
    if "#" in texts[4] and texts[2] != "*":
        return "with an n-th weekday, its day of the month must be *"
    return None


def _values(field: _Field, text: str) -> set[int]:
    """The values that a field of an expression stands for.

    :raises ValueError: when it stands for none, or not for the same in every croniter.
    """
    if text == "*":
        return set(range(field.first, field.last + 1))
    if field is _DAY and text.upper() == "L":
        return {28}  # at the earliest
    items = text.split(",")
    if field is _WEEKDAY and any("#" in item for item in items):
        return {_nth_weekday(item) for item in items}
    values = set[int]().union(*(_item_values(field, item) for item in items))
    # A day of the month *or* of the week fits where both are given, and croniters differ in
    # whether every day is "given".
    every_day = {_DAY.name: set(range(1, 32)), _WEEKDAY.name: set(range(7))}.get(field.name)
    if every_day and every_day <= {v % 7 if field is _WEEKDAY else v for v in values}:
        raise ValueError(f"its {field.name} names every day; write *")
    return values


def _nth_weekday(item: str) -> int:
    weekday, hash_sign, nth = item.partition("#")
    _WEEKDAY.number(weekday)
    if not hash_sign or nth not in {"1", "2", "3", "4", "5"}:
        raise ValueError("beside an n-th weekday, as in mon#1, there may be only others")
    return int(nth)


def _item_values(field: _Field, item: str) -> set[int]:
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
        return set(range(first, last + 1))
    if not re.fullmatch(r"[1-9][0-9]?", step, re.ASCII) or int(step) > last - first:
        raise ValueError(f"{step!r} is no step within {first} to {last}")
    return set(range(first, last + 1, int(step)))
