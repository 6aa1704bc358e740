"""Write what the docs have from the source, or check that it is what the files have.

    python scripts/reference_pages.py [--check] [FILE ...]

`make format` writes the files, `make lint` checks them. They are committed: people read the docs on
the page of the repository, too, and a change of a message or of an option is seen in its review.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from reference import attributes, commands, errors, settings
from reference.texts import Source

from bigflow_backend.project.settings_schema import make_schema

ROOT = Path(__file__).parents[1]


@cache
def _source() -> Source:
    return Source(ROOT / "src")


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


FILES: dict[str, Callable[[], str]] = {
    "docs/reference/attributes.md": attributes.page,
    "docs/reference/commands.md": lambda: commands.page(_source()),
    "docs/reference/errors.md": lambda: errors.page(_source()),
    "docs/reference/settings.md": settings.page,
    "src/bigflow/describe/schema.json": lambda: _json(attributes.schema()),
    "src/bigflow_backend/project/settings.schema.json": lambda: _json(make_schema()),
}
"""The generated files, and the functions that return their content."""


def main(arguments: Sequence[str]) -> int:
    """Write or check the files, or those that are named; return the exit status."""
    names = [name for name in arguments if name != "--check"] or list(FILES)
    outdated = False
    for name in names:
        try:
            path, text = ROOT / name, FILES[name]()
        except LookupError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        if not path.is_file() or path.read_text("utf-8") != text:
            outdated = True
            if "--check" in arguments:
                print(f"{name} is outdated: run `make format`", file=sys.stderr)
            else:
                path.write_text(text, "utf-8")
    return 1 if outdated and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
