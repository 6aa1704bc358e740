"""``bigflow cache``"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bigflow_backend.cli.report import print_result
from bigflow_backend.ground.progress import size, waiting
from bigflow_backend.image.store.usage import Cache, clear_cache, look_at_cache

if TYPE_CHECKING:
    from bigflow_backend.cli.commands import Call


def cache(call: Call) -> int:
    """Print the size of the cache, after it was emptied if ``--clear`` was given."""
    with waiting("emptying the cache" if call.values.clear else "reading the cache"):
        freed = clear_cache() if call.values.clear else None
        found = look_at_cache()
    result = dataclasses.asdict(found)
    print_result(
        call.values,
        result if freed is None else {**result, "freed": freed},
        _lines(found, freed),
    )
    return 0


def _lines(found: Cache, freed: int | None) -> Iterator[str]:
    yield f"path   {found.path}"
    yield f"size   {size(found.size)}"
    yield f"limit  {size(found.limit)}"
    if freed is not None:
        kept = f"; running builds use {size(found.size)}" if found.size else ""
        yield f"freed  {size(freed)}{kept}"
