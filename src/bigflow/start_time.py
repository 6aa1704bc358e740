"""Start-time factories: from the start time of a build to the first runtime of a workflow.

A factory is called at build time with the build's start time (``--start-time``, which is UTC) as
the clock of the workflow's ``timezone`` shows it, a naive ``datetime``. What it returns is read
on the same clock. So the result is a matter of the two arguments alone: neither the time zone of
the building machine nor the day of the build has a part in it.
"""

from __future__ import annotations

from datetime import timedelta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["daily_start_time", "hourly_start_time"]


def daily_start_time(start_time: datetime) -> datetime:
    """The midnight that the day before ``start_time`` began with."""
    return start_time.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)


def hourly_start_time(start_time: datetime) -> datetime:
    """``start_time`` itself, in whole seconds.

    ``fold`` is kept, which tells the two hours of one name apart on the night when the clocks go
    back (PEP 495).
    """
    return start_time.replace(microsecond=0)
