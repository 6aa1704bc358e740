"""Hooks of mkdocs: pages outside ``docs/`` become pages of the site, without a copy of their text.

``mkdocs.yml`` names this file. A page of ``docs/`` links to a file of the repository by its path,
as GitHub shows it. In the site that link leads to the page of the file, or to the repository.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, InclusionLevel

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CODE_OF_CONDUCT.md": "explanation/code-of-conduct.md",
    "CONTRIBUTING.md": "explanation/contributing.md",
    "SECURITY.md": "explanation/security.md",
}
"""Files of the repository, and their places in the site."""
_WITHOUT_CONTENTS = {"reference/errors.md"}
"""Pages with hundreds of headings, and a list of their own."""
_SOURCES = {page: file for file, page in PAGES.items()}
_LINK = re.compile(r"(?P<text>!?\[[^\]]*\])\((?P<path>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages outside ``docs/``."""
    for file, page in PAGES.items():
        added = File.generated(config, page, content=(ROOT / file).read_text("utf-8"))
        added.inclusion = InclusionLevel.INCLUDED
        files.append(added)
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the text of a page, with links that are valid in the site."""
    del files
    uri = page.file.src_uri
    if uri in _WITHOUT_CONTENTS:
        page.meta["hide"] = ["toc"]
    source = _SOURCES.get(uri, f"docs/{uri}")
    return in_site(markdown, source, uri, config.extra["repository"])


def in_site(markdown: str, source: str, uri: str, repository: str) -> str:
    """Return ``markdown`` with links of the site.

    ``source`` is the path of its file in the repository, ``uri`` that in the site. Lines of code
    stay as they are.
    """

    def link(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), found["path"]))
        target = PAGES.get(path)
        if target is None and path.startswith("docs/"):
            target = path.removeprefix("docs/")
        if target is None:
            return f"{found['text']}({repository}/blob/main/{path}{found['anchor'] or ''})"
        relative = posixpath.relpath(target, posixpath.dirname(uri) or ".")
        return f"{found['text']}({relative}{found['anchor'] or ''})"

    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    parts[::2] = [_LINK.sub(link, part) for part in parts[::2]]
    return "".join(parts)
