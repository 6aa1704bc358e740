"""The site has every page, and each of its links leads somewhere; it needs no network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

_ROOT = Path(__file__).parents[2]
_DOCS = _ROOT / "docs"
_LOADED = {"img", "script", "link", "iframe", "source"}
"""Elements whose addresses a browser fetches."""


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        of = {name: value for name, value in attributes if value is not None}
        self.anchors |= {of[name] for name in ("id", "name") if name in of}
        addresses = [of[name] for name in ("href", "src") if name in of]
        (self.loaded if tag in _LOADED else self.links).extend(addresses)


def test_each_page_is_in_the_navigation() -> None:
    navigation = (_ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2]
    listed = re.findall(r"- (?:[^:\n]+: )?(\S+\.md)$", navigation, re.MULTILINE)
    assert len(listed) == len({*listed})
    assert {str(page.relative_to(_DOCS)) for page in _DOCS.rglob("*.md")} <= {*listed}


@pytest.mark.parametrize("kind", ["how-to", "reference", "explanation", "decisions"])
def test_each_page_is_in_the_list_of_its_kind(kind: str) -> None:
    index = (_DOCS / kind / "index.md").read_text("utf-8")
    listed = {*re.findall(r"\]\(([\w-]+\.md)\)", index)}
    assert listed == {page.name for page in (_DOCS / kind).glob("*.md")} - {"index.md"}


@pytest.mark.slow
def test_the_site_is_complete_and_needs_no_network(tmp_path: Path) -> None:
    dead = "http://127.0.0.1:9"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "--quiet", "build", "--strict", "--site-dir", tmp_path],
        cwd=_ROOT,
        env={**os.environ, "http_proxy": dead, "https_proxy": dead, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    built = {
        file.relative_to(tmp_path).as_posix(): _Page(file.read_text("utf-8"))
        for file in tmp_path.rglob("*.html")
        if file.name != "404.html"  # its addresses begin at the root of a server
    }
    sources = {f"{page.relative_to(_DOCS).with_suffix('.html')}" for page in _DOCS.rglob("*.md")}
    assert sources <= built.keys()
    wrong = []
    for name, page in built.items():
        wrong += [
            f"{name} loads {address}"
            for address in page.loaded
            if urlsplit(address).scheme not in {"", "data"}
        ]
        for address in page.links + page.loaded:
            parts = urlsplit(address)
            _, of_repository, source = address.partition("/bigflow-backend/blob/main/")
            if of_repository and not (_ROOT / source.partition("#")[0]).exists():
                wrong.append(f"{name} links to {source}, which is not in the repository")
            if parts.scheme or parts.netloc:
                continue
            path = unquote(parts.path)
            file = (tmp_path / name).parent / path if path else tmp_path / name
            target = os.path.relpath(file, tmp_path)
            if not file.is_file():
                wrong.append(f"{name} links to {address}, which does not exist")
            elif target not in built or not parts.fragment:
                continue
            elif unquote(parts.fragment) not in built[target].anchors:
                wrong.append(f"{name} links to {address}, which has no such anchor")
    assert wrong == []
