"""What plain data must look like: the objects of Kubernetes that a job hands to its operator.

The operator and the API server leave out, without a word, keys that they do not know: an affinity
whose keys are spelled ``node_affinity`` binds nothing. So all keys are checked here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from bigflow_backend.ground.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from bigflow_backend.dags.rules.location import Place


@dataclass(frozen=True)
class Kind:
    """What a value must be: in words, and as a test."""

    words: str
    holds: Callable[[Any], bool]


@dataclass(frozen=True)
class Items:
    """A list."""

    of: Shape


@dataclass(frozen=True)
class Fields:
    """A dict with keys of Kubernetes."""

    known: Mapping[str, Shape]
    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    """Of these there must be exactly one."""


@dataclass(frozen=True)
class Table:
    """A dict with keys of the user's."""

    key: Kind
    value: Kind


Shape: TypeAlias = Kind | Items | Fields | Table


def check_shape(shape: Shape, value: Any, field: str, place: Place) -> None:
    """Refuses what has another shape.

    :raises UserError: for the first part that is wrong.
    """
    if isinstance(shape, Kind):
        if not shape.holds(value):
            raise _fault(field, value, place, shape.words)
    elif isinstance(shape, Items):
        if not isinstance(value, (list, tuple)):
            raise _fault(field, value, place, "a list")
        for i, item in enumerate(value):
            check_shape(shape.of, item, f"{field}[{i}]", place)
    elif not isinstance(value, dict):
        raise _fault(field, value, place, "a dict")
    elif isinstance(shape, Table):
        for key, item in value.items():
            if not shape.key.holds(key):
                hint = f"it must be {shape.key.words}"
                raise place.key_fault(field, key, "which cannot stand there", hint)
            check_shape(shape.value, item, f"{field}[{key!r}]", place)
    else:
        _check_fields(shape, value, field, place)


def _check_fields(shape: Fields, value: Mapping[str, Any], field: str, place: Place) -> None:
    for key, item in value.items():
        if key not in shape.known:
            raise UserError(
                f"{place.text}: {field} has {key!r}, which Kubernetes does not know",
                hint=did_you_mean(str(key), shape.known),
            )
        check_shape(shape.known[key], item, f"{field}[{key!r}]", place)
    for key in shape.required:
        if key not in value:
            raise UserError(f"{place.text}: {field} has no {key!r}", hint="Kubernetes wants one")
    if shape.one_of and len(value.keys() & set(shape.one_of)) != 1:
        raise UserError(
            f"{place.text}: {field} must have exactly one of {', '.join(shape.one_of)}",
            hint="give that one",
        )


def _fault(field: str, value: object, place: Place, words: str) -> UserError:
    return place.fault(field, value, "which cannot stand there", f"it must be {words}")
