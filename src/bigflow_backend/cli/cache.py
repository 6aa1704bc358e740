"""``bigflow cache``"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence

from bigflow_backend.cli.report import size
from bigflow_backend.image.store.usage import clear_cache, look_at_cache


def cache(argv: Sequence[str]) -> int:
    """Shows the cache of the image builder, or empties it."""
    parser = argparse.ArgumentParser(
        prog="bigflow cache",
        description="show the cache of base images and layers, or empty it",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--clear", action="store_true", help="remove all that no running build needs"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    values = parser.parse_args(argv)
    freed = clear_cache() if values.clear else None
    found = look_at_cache()
    if values.json:
        shown = {**dataclasses.asdict(found), "path": str(found.path)}
        print(json.dumps(shown if freed is None else {**shown, "freed": freed}, indent=2))
        return 0
    print(f"path   {found.path}")
    print(f"size   {size(found.size)}")
    print(f"limit  {size(found.limit)}")
    if freed is not None:
        kept = f"; running builds hold {size(found.size)}" if found.size else ""
        print(f"freed  {size(freed)}{kept}")
    return 0
