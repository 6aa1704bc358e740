"""Start-time factories: from the start time of a build to the first runtime of a workflow.

The build calls a factory with its start time (``--start-time``, in UTC) converted to the workflow's
``timezone``, as a naive ``datetime``. The result is in the same time zone. So the first runtime
depends on these two only: not on the time zone of the build machine, nor on the day of the build.
"""

from __future__ import annotations

from datetime import timedelta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime


def daily_start_time(start_time: datetime) -> datetime:
    """Return the start of the day before ``start_time``.

    :param start_time: the start time of the build, in the time zone of the workflow.
    """
    return start_time.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)


def hourly_start_time(start_time: datetime) -> datetime:
    """Return ``start_time`` in whole seconds.

    :param start_time: the start time of the build, in the time zone of the workflow.

    ``fold`` stays: it separates the two equal hours when the clocks go back (PEP 495).
    """
    return start_time.replace(microsecond=0)
