"""The pictures in docs/images are what ``scripts/pictures.py`` draws."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

_ROOT = Path(__file__).parents[1]
_SVG = "{http://www.w3.org/2000/svg}"


def test_the_pictures_are_those_of_the_script(tmp_path: Path) -> None:
    subprocess.run([sys.executable, _ROOT / "scripts/pictures.py", tmp_path], check=True)
    drawn = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    assert len(drawn) >= 4
    for name, text in drawn.items():
        committed = (_ROOT / "docs/images" / name).read_text("utf-8")
        assert committed == text, f"run `python scripts/pictures.py`: {name} is old"


def test_a_picture_has_a_title_a_description_and_no_script_or_address() -> None:
    for path in (_ROOT / "docs/images").glob("*.svg"):
        text = path.read_text("utf-8")
        root = ET.fromstring(text)
        assert root.findtext(f"{_SVG}title"), path
        assert root.findtext(f"{_SVG}desc"), path
        assert root.find(f".//{_SVG}script") is None, path
        assert "href" not in text, path
        assert text.count("://") == 1, path  # the name of the XML namespace
