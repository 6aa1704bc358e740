"""The pictures in docs/images are what ``scripts/pictures.py`` draws."""

from __future__ import annotations

import re
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


def test_the_recording_is_short_and_its_still_picture_has_the_end() -> None:
    """Without animations, only the lines of the end are visible."""
    for theme in ("light", "dark"):
        path = _ROOT / f"docs/images/session-{theme}.svg"
        assert path.stat().st_size < 300_000
        text = path.read_text("utf-8")
        (seconds,) = set(re.findall(r"animation:\w+ ([0-9.]+)s step-end infinite", text))
        assert 10 < float(seconds) <= 40
        assert all(float(step) <= 100 for step in re.findall(r"([0-9.]+)%\{", text))
        assert "prefers-reduced-motion:reduce){*{animation:none!important}" in text
        root = ET.fromstring(text)
        still = set(re.findall(r"\.(t[0-9]+)\{visibility:visible", text))
        lines = [
            "".join(piece.text or "" for piece in group.iter(f"{_SVG}text"))
            for group in root.iter(f"{_SVG}g")
            if group.get("class") in still
        ]
        shown = "\n".join(lines).replace("\xa0", " ")
        assert "$ bigflow start-project weather-reports" in shown
        assert "$ bigflow rehearse daily" in shown
        assert "success          daily" in shown
        assert "\u280b" not in shown  # the spinner
