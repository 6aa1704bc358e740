"""JSON of other programs: what it may hold, and what its types must be."""

from __future__ import annotations

import json
from typing import Any, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigflow_backend.ground.foreign.documents import DocumentError, parse_json, read_json, typed
from bigflow_backend.ground.limits import DOCUMENT, JSON_LEVELS


class _Part(TypedDict):
    name: str


class _Document(TypedDict, total=False):
    size: int
    flag: bool | None
    parts: list[_Part] | None
    labels: dict[str, str]
    command: str | list[str] | None
    anything: Any


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[" * 100_000, "is nested too deeply: the limit is 64 levels"),
        (b"[" * (JSON_LEVELS + 1) + b"]" * (JSON_LEVELS + 1), "is nested too deeply"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, "is nested too deeply"),
        (b'["\\ud800"]', "is not valid JSON: it has a lone surrogate"),
        (b'{"\\uDC00x": 1}', "is not valid JSON: it has a lone surrogate"),
        (b"[NaN]", "is not valid JSON: it has the number NaN"),
        (b"[-Infinity]", "is not valid JSON: it has the number -Infinity"),
        (b"[1e999]", "has a number that is too large: 1e999"),
        (b"[9223372036854775808]", "has a number beyond 64 bits: 9223372036854775808"),
        (b"[" + b"9" * 10_000 + b"]", "has a number beyond 64 bits: 999"),
        (b"\xff", "is not valid JSON: 'utf-8' codec"),
        (b'"\xed\xa0\x80"', "is not valid JSON: 'utf-8' codec"),
        (b"\xef\xbb\xbf{}", "is not valid JSON: "),
        (b"", "is not valid JSON: "),
        (b"{}\x00", "is not valid JSON: "),
        (b" " * (DOCUMENT + 1), "is longer than 4,194,304 bytes"),
    ],
)
def test_a_document_that_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_json(content)
    assert str(caught.value).startswith(problem)
    assert len(str(caught.value)) < 300


def test_a_document_that_is_accepted() -> None:
    deep = b"[" * (JSON_LEVELS - 2) + b"]" * (JSON_LEVELS - 2)
    assert parse_json(
        b'{"a": ["\\ud83d\\ude00\\u0000", -9223372036854775807, 1e300, ' + deep + b"]}"
    )


@given(st.recursive(
    st.none() | st.booleans() | st.integers(-2**63 + 1, 2**63 - 1) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
))  # fmt: skip
def test_what_is_written_is_read(document: Any) -> None:
    assert parse_json(json.dumps(document)) == document


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ([], "must be an object"),
        ({"size": True}, "has size, which is not an integer"),
        ({"size": 1.0}, "has size, which is not an integer"),
        ({"size": None}, "has size, which is not an integer"),
        ({"flag": 0}, "has flag, which is not true or false"),
        ({"parts": [{"name": "a"}, {"name": 1}]}, "has parts[1].name, which is not a string"),
        ({"parts": [{}]}, "has no parts[0].name"),
        ({"parts": {}}, "has parts, which is not a list"),
        ({"labels": {"a\x1b": 1}}, "has labels.a\\x1b, which is not a string"),
        ({"labels": {"a" * 10_000: 1}}, "has labels.aaa"),
        ({"command": 5}, "has command, which is not a list"),
        ({"command": [5]}, "has command[0], which is not a string"),
    ],
)
def test_a_wrong_type(document: object, problem: str) -> None:
    with pytest.raises(DocumentError) as caught:
        typed(document, _Document)
    assert str(caught.value).startswith(problem)
    assert len(str(caught.value)) < 300


def test_right_types_and_unknown_members() -> None:
    document = {
        "size": 1, "flag": None, "parts": None, "labels": {}, "command": "a", "anything": [1],
        "unknown": {"a": [None]},
    }  # fmt: skip
    assert read_json(json.dumps(document), _Document) == document
