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

    def number(self, text: str) -> int | None:
        if text.lower() in self.names:
            return self.first + self.names.index(text.lower())
        if not re.fullmatch(r"[0-9]{1,2}", text, re.ASCII):
            return None
        return int(text) if self.first <= int(text) <= self.last else None


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
    values: dict[str, set[int]] = {}
    for field, text in zip(_FIELDS, texts, strict=True):
        values[field.name] = set()
        for item in text.split(","):
            found = _values(field, item)
            if isinstance(found, str):
                return f"its {field.name} is {text!r}: {found}"
            values[field.name] |= found
    if texts[4] == "*" and not any(
        min(values[_DAY.name]) <= _LONGEST.get(month, 31) for month in values[_MONTH.name]
    ):
        return "no month that it names has such a day"
    return None


def _values(field: _Field, item: str) -> set[int] | str:
    """The values that one item of a list stands for, or what is wrong with it."""
    special = _special(field, item)
    if special is not None:
        return special
    span, slash, step = item.partition("/")
    if slash and not re.fullmatch(r"0*[1-9][0-9]?", step, re.ASCII):
        return f"{step!r} is no step"
    if span == "*":
        first, last = field.first, field.last
    else:
        begin, dash, end = span.partition("-")
        low, high = field.number(begin), field.number(end if dash else begin)
        if low is None or high is None:
            wrong = end if low is not None else begin
            return f"{wrong!r} is not one of {field.first} to {field.last}"
        if high < low:
            return f"{span!r} runs backwards; write two ranges"
        first, last = low, field.last if slash and not dash else high
    return set(range(first, last + 1, int(step) if slash else 1))


def _special(field: _Field, item: str) -> set[int] | None:
    if field is _DAY and item.upper() == "L":
        return {28}  # at the earliest, for the question whether any month has it
    if field is _WEEKDAY:
        day, hash_sign, nth = item.partition("#")
        if hash_sign and nth in {"1", "2", "3", "4", "5"} and field.number(day) is not None:
            return {int(nth)}
    return None
