"""Time zones, and moments in them as a DAG file writes them."""

from __future__ import annotations

import functools
import zoneinfo
from datetime import datetime, timezone, tzinfo
from typing import TYPE_CHECKING

from bigflow_backend.dags.file.literals import Call

if TYPE_CHECKING:
    from bigflow_backend.dags.rules.location import Location


def find_zone(name: str, location: Location) -> tzinfo:
    """Return the IANA time zone of that name.

    :raises UserError: if it does not exist, or this machine has no time zone database.
    """
    if name == "UTC":  # needs no database, and a slim image may lack one
        return timezone.utc
    if name in _names():
        return zoneinfo.ZoneInfo(name)
    if not _names():
        raise location.error(
            "timezone",
            name,
            "but this machine has no time zone database",
            "install that of the operating system: the files in /usr/share/zoneinfo",
        )
    raise location.error(
        "timezone", name, "which is not a time zone", "write a name such as 'Europe/Warsaw'"
    )


@functools.cache
def _names() -> frozenset[str]:
    # This reads the whole database: 10 ms. The meaning of these three depends on the machine.
    return frozenset(zoneinfo.available_timezones() - {"Factory", "localtime", "posixrules"})


def moment_call(moment: datetime, zone: str) -> Call:
    """Return the call of ``pendulum.datetime`` for ``moment``, as Airflow recommends.

    Its zone is the workflow's. In the hours that a change of the clocks skips or repeats it is UTC,
    because pendulum 2 and 3 agree on these hours only there.
    """
    if _is_ambiguous(moment):
        moment, zone = moment.astimezone(timezone.utc), "UTC"
    parts = [moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second]
    while len(parts) > 3 and not parts[-1]:  # noqa: PLR2004 - a date has three
        parts.pop()
    return Call("pendulum.datetime", positional=parts, named={"tz": zone})


def _is_ambiguous(moment: datetime) -> bool:
    """Return whether the clock of its zone shows this time twice, or never (PEP 495)."""
    return moment.replace(fold=0).utcoffset() != moment.replace(fold=1).utcoffset()
