"""The shapes of plain data: the vocabulary of the tables of arguments and Kubernetes objects.

The operator and the API server drop unknown keys silently: an affinity with the key
``node_affinity`` has no effect. So all keys are checked here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from bigflow_backend.dags.file.literals import airflow_text
from bigflow_backend.dags.rules.kubernetes import (
    is_dns_label,
    is_dns_subdomain,
    is_label_value,
    is_qualified_name,
    quantity,
)
from bigflow_backend.ground.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from bigflow_backend.dags.rules.location import Location


@dataclass(frozen=True)
class Kind:
    """A kind of values: in words, and as a test."""

    words: str
    holds: Callable[[Any], bool]


@dataclass(frozen=True)
class Items:
    """A list."""

    of: Shape


@dataclass(frozen=True)
class Fields:
    """A dict with the keys of a Kubernetes object."""

    known: Mapping[str, Shape]
    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    """The dict must have exactly one of these keys."""


@dataclass(frozen=True)
class Table:
    """A dict with free keys."""

    key: Kind
    value: Kind


Shape: TypeAlias = Kind | Items | Fields | Table


def check_shape(shape: Shape, value: Any, field: str, location: Location) -> None:
    """Check the shape of a value.

    :raises UserError: for the first part that is not valid.
    """
    if isinstance(shape, Kind):
        if not shape.holds(value):
            raise _error(field, value, location, shape.words)
    elif isinstance(shape, Items):
        if not isinstance(value, (list, tuple)):
            raise _error(field, value, location, "a list")
        for i, item in enumerate(value):
            check_shape(shape.of, item, f"{field}[{i}]", location)
    elif not isinstance(value, dict):
        raise _error(field, value, location, "a dict")
    elif isinstance(shape, Table):
        for key, item in value.items():
            if not shape.key.holds(key):
                hint = f"it must be {shape.key.words}"
                raise location.key_error(field, key, "which is not valid", hint)
            check_shape(shape.value, item, f"{field}[{key!r}]", location)
    else:
        _check_fields(shape, value, field, location)


def _check_fields(shape: Fields, value: Mapping[str, Any], field: str, location: Location) -> None:
    for key, item in value.items():
        if key not in shape.known:
            raise UserError(
                f"{location.text}: {field} has {key!r}, which is not a key of Kubernetes",
                hint=did_you_mean(str(key), shape.known),
            )
        check_shape(shape.known[key], item, f"{field}[{key!r}]", location)
    for key in shape.required:
        if key not in value:
            raise UserError(
                f"{location.text}: {field} has no {key!r}",
                hint=f"add {key!r}; Kubernetes requires it",
            )
    if shape.one_of and len(value.keys() & set(shape.one_of)) != 1:
        raise UserError(
            f"{location.text}: {field} must have exactly one of {', '.join(shape.one_of)}",
            hint="keep one of them",
        )


def _error(field: str, value: object, location: Location, words: str) -> UserError:
    return location.error(field, value, "which is not valid", f"it must be {words}")


def choice(*words: str) -> Kind:
    """Return the kind of one of these words."""
    return Kind("one of " + ", ".join(words), lambda value: value in words)


def whole(least: int, most: int) -> Kind:
    """Return the kind of whole numbers in a range."""
    return Kind(
        f"a whole number, {least} to {most}",
        lambda v: isinstance(v, int) and not isinstance(v, bool) and least <= v <= most,
    )


def _text(words: str, holds: Callable[[str], object]) -> Kind:
    return Kind(words, lambda v: isinstance(v, str) and bool(holds(v)))


LONGEST = 10**9
"""Seconds: 31 years. Every column and integer of Airflow and Kubernetes can hold it."""

BOOLEAN = Kind("True or False", lambda v: isinstance(v, bool))
COUNT = whole(1, 2**31 - 1)
NUMBER = whole(0, 2**63 - 1)
MODE = whole(0, 0o777)
SECONDS = Kind(f"a whole number of seconds, 1 to {LONGEST}", whole(1, LONGEST).holds)
DURATION = Kind(
    f"a number of seconds above 0, at most {LONGEST}",
    lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and 0 < v <= LONGEST,
)
# Airflow renders some of these fields as templates, and each provider renders others. Text that
# rendering would change is refused, because it can be escaped for all or for none.
TEXT = _text(
    "one line of text without {{, {% and {#", lambda v: v.isprintable() and airflow_text(v) == v
)
PATH = _text("a path, without {{, {% and {#", lambda v: TEXT.holds(v) and v and ":" not in v)
QUEUE = _text("text of at most 256 characters", lambda v: v.isprintable() and 0 < len(v) <= 256)  # noqa: PLR2004
DNS_LABEL = _text("a name of at most 63 lower-case letters, digits and hyphens", is_dns_label)
DNS_NAME = _text("a name of lower-case letters, digits, hyphens and dots", is_dns_subdomain)
KEY = _text("a key such as example.com/name", is_qualified_name)
LABEL_VALUE = _text("a label value", is_label_value)
QUANTITY = _text("a quantity such as 512Mi", lambda v: quantity(v) is not None)
DATA_KEY = _text(
    "a key of letters, digits, -, _ and .",
    lambda v: re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", v),
)
PREFIX = _text(
    "letters, digits and _, with a letter or _ first",
    lambda v: re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", v, re.ASCII),
)
