"""Print the notes of a release, for its page.

    python scripts/release_notes.py TAG

The tag, the version in ``src/bigflow/__init__.py`` and the first heading of CHANGELOG.md must
agree. If they do not, the exit status is 1.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

_REPOSITORY = Path(__file__).parents[1]
_VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
_HEADING = re.compile(r"^## (?P<title>.*)$", re.MULTILINE)


def release_notes(tag: str, repository: Path = _REPOSITORY) -> str:
    """Return the text below the heading of the release.

    :raises SystemExit: if the tag is not that of the release that the files describe.
    """
    changelog = (repository / "CHANGELOG.md").read_text("utf-8")
    found = _VERSION.search((repository / "src/bigflow/__init__.py").read_text("utf-8"))
    version = found[1] if found else "unknown"
    if tag != f"v{version}":
        raise SystemExit(
            f"the tag must be v{version}: got {tag!r}\n"
            "  set __version__ in src/bigflow/__init__.py to the version of the release"
        )
    headings = list(_HEADING.finditer(changelog))
    title = headings[0]["title"] if headings else ""
    if not re.fullmatch(rf"{re.escape(version)} \([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}\)", title):
        raise SystemExit(
            f"the first heading of CHANGELOG.md must be that of {version}: got {title!r}\n"
            f"  write it with the date of the release: ## {version} (2026-01-31)"
        )
    end = headings[1].start() if headings[1:] else len(changelog)
    return changelog[headings[0].end() : end].strip() + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004
        raise SystemExit("usage: python scripts/release_notes.py TAG")
    print(release_notes(sys.argv[1]), end="")
