"""The keys of records: different inputs never share one."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bigflow_backend.image.store.key import record_key

_TEXTS = st.text(st.characters(exclude_categories=()), max_size=5) | st.sampled_from(
    ["\0", "", ","]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)


def _typed(value: Any) -> Any:
    """Return the value with its types: in Python, True == 1."""
    match value:
        case list():
            return ("list", [_typed(item) for item in value])
        case dict():
            return ("dict", {key: _typed(item) for key, item in value.items()})
    return (type(value).__name__, value)


@given(one=st.lists(_VALUES, max_size=4), other=st.lists(_VALUES, max_size=4))
def test_different_inputs_have_different_keys(one: list[object], other: list[object]) -> None:
    assert (record_key("x", *one) == record_key("x", *other)) == (_typed(one) == _typed(other))


def test_inputs_that_would_be_equal_if_they_were_joined() -> None:
    keys = {
        record_key("a", "b", "c"),
        record_key("a", "b\0c"),
        record_key("a", ["b", "c"]),
        record_key("a", "bc"),
        record_key("a b", "c"),
        record_key("a", 1),
        record_key("a", "1"),
        record_key("a", True),
        record_key("a", None),
        record_key("a"),
    }
    assert len(keys) == 10
