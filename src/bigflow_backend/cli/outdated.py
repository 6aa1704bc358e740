"""``bigflow outdated``"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bigflow_backend.cli.build import interpreter
from bigflow_backend.cli.report import print_result
from bigflow_backend.ground.progress import print_progress, step

if TYPE_CHECKING:
    from bigflow_backend.cli.commands import Call
    from bigflow_backend.image.outdated import Outdated

NOT_ALL_ASKED = 1
OUTDATED = 3
"""The exit statuses, besides 0. Of both, the first counts."""


def outdated(call: Call) -> int:
    """Print what is newer than the image: its base, and the pins."""
    from bigflow_backend.image.outdated import find_outdated
    from bigflow_backend.image.session import open_session

    project, values = call.project(), call.values
    with (
        step("looking up the base image and the releases"),
        open_session(project.settings.image, print_progress) as session,
    ):
        found = find_outdated(project, session, python=interpreter(values.python))
    print_result(values, found, _lines(found))
    if found.missing:
        return NOT_ALL_ASKED
    return OUTDATED if found.is_outdated else 0


def _lines(found: Outdated) -> Iterator[str]:
    base = found.base
    if base is not None and base.has_moved:
        yield f"base  {base.name} has moved"
        yield f"        built with  {base.built}"
        yield f"        now         {base.now}"
        yield f"      next: {'bigflow lock' if base.is_pinned else 'build the image again'}"
    elif base is not None:
        yield f"base  {base.name} is up to date"
    if found.asked:
        newer = len(found.pins)
        yield (
            f"pins  {newer or 'none'} of {found.asked} in {found.place} "
            f"{'has a newer release' if newer == 1 else 'have newer releases'}"
        )
    width = max((len(pin.name) for pin in found.pins), default=0)
    for pin in found.pins:
        yield f"        {pin.name:{width}}  {pin.version} -> {pin.newest}"
    if found.pins:
        yield "      next: bigflow lock --upgrade takes those that your requirements allow"
    for text in found.missing:
        yield f"not compared: {text}"
