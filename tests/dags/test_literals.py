"""Values as Python source, and text through Jinja and Kubernetes."""

from __future__ import annotations

import ast
import re
from typing import Any

import jinja2.sandbox
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigflow_backend.dags.file.literals import (
    Call,
    Name,
    airflow_text,
    calls_in,
    kubernetes_text,
    literal,
    same,
)
from support.texts import HOSTILE, TEXT

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=12
)


@given(value=PLAIN, indent=st.sampled_from(["", "    ", "        "]))
def test_a_literal_has_its_value(value: Any, indent: str) -> None:
    source = literal(value, indent=indent)
    assert source.isascii()
    assert ast.literal_eval(source) == value
    assert repr(ast.literal_eval(source)) == repr(value)  # 1, 1.0 and True differ


@given(value=PLAIN)
def test_no_line_of_a_literal_begins_left_of_its_indentation(value: Any) -> None:
    assert all(line.startswith("    ") for line in literal(value, indent="    ").split("\n")[1:])


def test_calls_and_names_stand_as_they_are() -> None:
    value = Call("Secret", positional=[1], named={"key": "it's", "to": Name("RUNTIME")})
    assert literal(value) == 'Secret(1, key="it\'s", to=RUNTIME)'


def test_a_long_list_of_scalars_is_filled_and_a_long_dict_has_a_line_for_each_item() -> None:
    value: dict[str, Any] = {"words": ["word"] * 30, "number": 1}
    lines = literal(value).split("\n")
    assert lines[1] == "    'words': ["
    assert len(lines) == 8
    assert max(map(len, lines)) <= 88
    assert lines[-2:] == ["    'number': 1,", "}"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "a\0b", {"k": "\0"}])
def test_a_value_without_a_literal_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"literal|null character"):
        literal(value)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", {b"x": 1}, [object()]])
def test_objects_of_other_types_are_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="has no literal"):
        literal(value)


class _Shouting(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return "__import__('os')"


def test_the_repr_of_a_subclass_of_str_is_not_used() -> None:
    assert literal(_Shouting("quiet")) == "'quiet'"


def test_the_calls_of_a_value_are_found_at_every_depth() -> None:
    value: dict[str, Any] = {
        "a": [Call("f", positional=[Call("g")], named={"x": [Call("h")]})],
        "b": Name("n"),
    }
    assert calls_in(value) == {"f", "g", "h"}


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, True), (1, 1.0), ("1", 1), ([1], [True]), ({"a": 1, "b": 2}, {"b": 2, "a": 1})],
)
def test_values_of_different_literals_are_not_the_same(one: Any, other: Any) -> None:
    assert not same(one, other)
    assert not same(Call("f", named={"x": one}), Call("f", named={"x": other}))


@given(value=PLAIN)
def test_a_value_is_the_same_as_its_copy(value: Any) -> None:
    assert same(value, ast.literal_eval(repr(value)))


@pytest.mark.parametrize("environment", [jinja2.Environment, jinja2.sandbox.SandboxedEnvironment])
@given(text=HOSTILE | TEXT)
def test_jinja_renders_text_unchanged(environment: type[jinja2.Environment], text: str) -> None:
    rendered = environment(undefined=jinja2.StrictUndefined).from_string(airflow_text(text))
    assert rendered.render() == text


def test_text_without_marks_stays_readable() -> None:
    assert airflow_text("s3://bucket/{name}.csv 100%") == "s3://bucket/{name}.csv 100%"


def expand(text: str, environment: dict[str, str]) -> str:
    """Kubernetes' expansion, as third_party/forked/golang/expansion describes it."""

    def replacement(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        return environment.get(found[1], found[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", replacement, text)


@given(text=HOSTILE | TEXT)
def test_kubernetes_expands_nothing(text: str) -> None:
    assert expand(kubernetes_text(text), {"HOME": "/root", "": "empty"}) == text


def test_a_lone_dollar_stays_readable() -> None:
    assert kubernetes_text("100$ ${HOME}") == "100$ ${HOME}"
