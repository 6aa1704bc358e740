"""The check of words: what it refuses, and what it accepts."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

refused = runpy.run_path(str(Path(__file__).parents[1] / "scripts" / "plain_words.py"))["refused"]


@pytest.mark.parametrize(
    "text",
    [
        "the error is told at once",
        "def tell_user(): ...",
        "mend that line",
        "class Fault(Exception): ...",
        "'x' is no valid name",
        "write a release that there is",
        "it passes over the file",
        '"""Whether the file exists."""',
        "the other is none",
    ],
)
def test_refused(text: str) -> None:
    assert [number for number, _words, _use in refused(text)] == [1]


@pytest.mark.parametrize(
    "text",
    ["default", "import faulthandler", "there is no file", "value is None", '"""Return it."""'],
)
def test_accepted(text: str) -> None:
    assert not list(refused(text))
