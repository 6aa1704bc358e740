"""Time zones: their names, and moments on their clocks as a DAG file states them."""

from __future__ import annotations

import functools
import zoneinfo
from datetime import datetime, timezone, tzinfo
from typing import TYPE_CHECKING, Any

from bigflow_backend.dags.file.literals import Call

if TYPE_CHECKING:
    from bigflow_backend.dags.rules.location import Place


def find_zone(name: Any, place: Place) -> tzinfo:
    """The IANA time zone of that name.

    :raises UserError: when there is none, or this machine has no time zone database.
    """
    if name == "UTC":  # needs no database, and a slim image may lack one
        return timezone.utc
    if isinstance(name, str) and name in _names():
        return zoneinfo.ZoneInfo(name)
    if not _names():
        raise place.fault(
            "timezone",
            name,
            "and this machine has no time zone database",
            "install one: pip install tzdata",
        )
    raise place.fault(
        "timezone", name, "which is no time zone", "write a name such as 'Europe/Warsaw'"
    )


@functools.cache
def _names() -> frozenset[str]:
    # Reads the whole database: 10 ms. What these three say is a matter of the machine.
    return frozenset(zoneinfo.available_timezones() - {"Factory", "localtime", "posixrules"})


def moment_call(moment: datetime, zone: str) -> Call:
    """``moment`` as a call of ``pendulum.datetime``, which Airflow recommends for start dates.

    It is stated on the clock of its zone, but for the hours that a change of the clocks takes out
    or repeats: pendulum 2 and 3 agree on those only in UTC.
    """
    if _is_ambiguous(moment):
        moment, zone = moment.astimezone(timezone.utc), "UTC"
    parts = [moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second]
    while len(parts) > 3 and not parts[-1]:  # noqa: PLR2004 - a date has three
        parts.pop()
    return Call("pendulum.datetime", positional=parts, named={"tz": zone})


def _is_ambiguous(moment: datetime) -> bool:
    """Whether the clock of its zone shows this time twice, or never (PEP 495)."""
    return moment.replace(fold=0).utcoffset() != moment.replace(fold=1).utcoffset()
