"""The one time that every file of an archive carries.

https://reproducible-builds.org/specs/source-date-epoch/
"""

from __future__ import annotations

import os
import time

from bigflow_backend.ground.errors import UserError

DEFAULT = 1580601600
"""2020-02-02 00:00:00 UTC, as hatchling has it; 1970 lies before what a zip can hold."""

# A zip stores the years 1980 to 2107 in steps of two seconds: APPNOTE.TXT, 4.4.6.
_FIRST, _LAST = 315532800, 4354819198


def source_date_epoch() -> int:
    """``SOURCE_DATE_EPOCH`` in seconds since 1970, or the default.

    :raises UserError: when it is set and is no whole number.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if text is None:
        return DEFAULT
    if not (text.isascii() and text.isdigit()):
        raise UserError(
            f"SOURCE_DATE_EPOCH is {text!r}, not a whole number of seconds since 1970",
            hint="set it as `git log -1 --pretty=%ct` prints it, or unset it",
        )
    return int(text)


def zip_date(epoch: int) -> tuple[int, int, int, int, int, int]:
    """The UTC time of ``epoch`` as a zip member carries it, moved into the years it can hold."""
    return time.gmtime(min(max(epoch, _FIRST), _LAST))[:6]
