"""The time of every file in an archive.

https://reproducible-builds.org/specs/source-date-epoch/
"""

from __future__ import annotations

import os
import time

from bigflow_backend.ground.errors import UserError

DEFAULT = 1580601600
"""2020-02-02 00:00:00 UTC, as in hatchling. A zip cannot store times before 1980."""

# A zip stores the years 1980 to 2107, in steps of two seconds: APPNOTE.TXT, 4.4.6.
_FIRST, _LAST = 315532800, 4354819198


def source_date_epoch() -> int:
    """Return ``SOURCE_DATE_EPOCH`` in seconds since 1970, or the default.

    :raises UserError: if it is not a whole number.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if text is None:
        return DEFAULT
    if not (text.isascii() and text.isdigit()):
        raise UserError(
            f"SOURCE_DATE_EPOCH must be a whole number of seconds since 1970: got {text!r}",
            hint="export SOURCE_DATE_EPOCH=$(git log -1 --pretty=%ct), or unset it",
        )
    return int(text)


def zip_date(epoch: int) -> tuple[int, int, int, int, int, int]:
    """Return ``epoch`` as a UTC time for a zip, limited to the years that a zip can store."""
    return time.gmtime(min(max(epoch, _FIRST), _LAST))[:6]
