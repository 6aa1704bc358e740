"""Values as Python source of a DAG file, and the escapes of its three readers.

Python reads the file when Airflow parses it. Jinja reads the template fields of an operator when
Airflow renders them. Kubernetes expands ``$(NAME)`` in a pod. All text of users enters a file
through this module.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, Union

_WIDTH = 88
"""The longest line, if a value can be split."""
_INDENT = "    "


@dataclass(frozen=True)
class Name:
    """A name that the file binds at its top."""

    name: str


@dataclass(frozen=True)
class Call:
    """The call of a function that the file imports, with literal arguments."""

    function: str
    """The dotted name, as the file imports it. It never comes from a user."""
    positional: Sequence[Value] = ()
    named: Mapping[str, Value] = field(default_factory=dict)


_BRACKETED = (Call, dict, list, tuple)
"""The types of values that hold other values."""

Value: TypeAlias = Union[
    bool, int, float, str, "Sequence[Value]", "Mapping[str, Value]", Call, Name, None
]
"""A possible argument in a DAG file."""


def literal(value: Value, *, indent: str = "") -> str:
    """Return the Python source of a value, in ASCII, and on one line if that is not too long.

    ``indent`` is the indentation of the line where the value starts.

    :raises TypeError: for an object that is not a :data:`Value`.
    :raises ValueError: for text or a number that has no literal.
    """
    if not isinstance(value, _BRACKETED):
        return _scalar(value) if type(value) is str else _flat(value)
    opening, parts, closing = _parts(value, None)
    flat = opening + ", ".join(parts) + closing
    if len(indent) + len(flat) <= _WIDTH:
        return flat
    if any(isinstance(part, _BRACKETED) for part in _parts_of(value)):
        _, parts, _ = _parts(value, indent + _INDENT)
    elif isinstance(value, (list, tuple)):  # scalars read better in rows than in a column
        parts = _filled(parts, indent)
    inner = "".join(f"{indent}{_INDENT}{part},\n" for part in parts)
    return f"{opening}\n{inner}{indent}{closing}"


def _filled(parts: Sequence[str], indent: str) -> list[str]:
    """Join the parts to rows of about the width of a line."""
    rows: list[str] = []
    for part in parts:
        if rows and len(indent) + len(_INDENT) + len(rows[-1]) + len(part) <= _WIDTH:
            rows[-1] += f", {part}"
        else:
            rows.append(part)
    return rows


def _flat(value: Value) -> str:
    if value is None or isinstance(value, (bool, int, float, str)):
        return _scalar(value)
    if isinstance(value, Name):
        return value.name
    opening, parts, closing = _parts(value, None)
    return opening + ", ".join(parts) + closing


def _parts(value: Value, indent: str | None) -> tuple[str, list[str], str]:
    """Return the brackets of a value, and the source of its parts."""

    def source(part: Value) -> str:
        if type(part) is str:
            return _scalar(part)
        return _flat(part) if indent is None else literal(part, indent=indent)

    if isinstance(value, Call):
        named = [f"{name}={source(part)}" for name, part in value.named.items()]
        return f"{value.function}(", [*map(source, value.positional), *named], ")"
    if isinstance(value, dict):
        return "{", [f"{_scalar(key)}: {source(part)}" for key, part in value.items()], "}"
    if isinstance(value, (list, tuple)):
        return "[", [source(part) for part in value], "]"
    raise TypeError(f"{type(value).__name__} has no literal")


def _scalar(value: object) -> str:
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("text with a null character cannot be in a DAG file")
        # ascii() also escapes line separators and bidirectional controls, which repr() keeps.
        # str() ignores the __repr__ of a subclass.
        return ascii(str(value))
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} has no literal")
    if value is None or type(value) in (bool, int, float):
        return repr(value)
    raise TypeError(f"{type(value).__name__} has no literal")


def _parts_of(value: Value) -> Iterable[Value]:
    """Return the values within a value."""
    if isinstance(value, Call):
        return [*value.positional, *value.named.values()]
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, (list, tuple)) else ()


def calls_in(value: Value) -> set[str]:
    """Return the functions that a value calls, which the file must import."""
    calls = {value.function} if isinstance(value, Call) else set()
    for part in _parts_of(value):
        if isinstance(part, _BRACKETED):
            calls |= calls_in(part)
    return calls


def same(one: Value, other: Value) -> bool:
    """Return whether two values have the same literal; ``1``, ``1.0`` and ``True`` differ."""
    if one is other:
        return True
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(map(same, one.values(), other.values()))
    if isinstance(one, Call) and isinstance(other, Call):
        return (
            one.function == other.function
            and same(one.positional, other.positional)
            and same(one.named, other.named)
        )
    return type(one) is type(other) and one == other


def airflow_text(text: str) -> str:
    """Escape ``text`` for a template field of an operator, so that Airflow renders it unchanged.

    Jinja evaluates ``{{``, ``{%`` and ``{#``, drops one trailing newline and turns ``\\r\\n`` and
    ``\\r`` into ``\\n`` (https://jinja.palletsprojects.com/en/stable/api/#jinja2.Environment:
    ``newline_sequence``, ``keep_trailing_newline``). A string literal in an expression escapes all
    of this; ``{% raw %}`` does not.
    """
    if any(mark in text for mark in ("{{", "{%", "{#", "\r")) or text.endswith("\n"):
        return "{{ " + ascii(text) + " }}"
    return text


def kubernetes_text(text: str) -> str:
    """Escape ``text`` for an environment variable of a pod, to reach the container unchanged.

    Kubernetes expands ``$(NAME)`` there and reads ``$$`` as one ``$``
    (https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/).
    """
    if "$(" in text or "$$" in text:
        return text.replace("$", "$$")
    return text
