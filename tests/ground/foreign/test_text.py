"""Text of other programs is printed as it is read, and nothing else happens to the terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.text import one_line, printable, quoted
from bigflow_backend.ground.limits import MESSAGE, QUOTATION
from bigflow_backend.ground.progress import print_progress
from bigflow_backend.ground.report import print_error, print_warning

_ANY = st.text(st.characters(codec=None) | st.sampled_from("\x1b\x9b\x07[]m\u202e\u2066\ud800"))


@given(_ANY)
def test_every_character_is_printable(text: str) -> None:
    for shown in (printable(text), one_line(text), quoted(text)):
        assert shown.isprintable()
        assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in shown)
        shown.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain  text äß€ 日本", "plain  text äß€ 日本"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;no end", "\\x1b]0;no end"),
        ("a\u202eb", "a\\u202eb"),
        ("a\nb\rc", "a\\nb\\rc"),
        ("\x9b31mx", "x"),
        ("a\x00b\x7f", "a\\x00b\\x7f"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_white_space_becomes_one_space() -> None:
    assert one_line("a \n\t b\u2028c\x1b[0m d") == "a b c d"


def test_a_long_text_keeps_start_and_end() -> None:
    shown = printable(f"start{'a' * 1_000_000}\x1bend")
    assert len(shown) <= MESSAGE
    assert shown.startswith("starta")
    assert shown.endswith("a\\x1bend")
    assert len(quoted("\x00" * 5000)) <= QUOTATION


def test_nothing_is_printed_raw(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(UserError("a\x1b]0;x\x07\nb\u202e", hint="c\x1b[2J\n"))
    print_warning("d\x1bc")
    print_progress("one\ntwo\x08\r\x1b[31mthree")
    printed = capsys.readouterr().err
    assert printed == (
        "bigflow: error: a\\nb\\u202e\n  c\\n\nbigflow: warning: d\\x1bc\none\ntwo\\x08\nthree\n"
    )
