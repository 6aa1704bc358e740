"""The kinds of attribute values: how `bigflow describe` checks each, and its JSON schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from bigflow.asset import Asset
from bigflow.errors import BigflowError, shown
from bigflow.param import REQUIRED, Param

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bigflow.describe.fields import Attribute

_INTEGERS = 2**63 - 1
"""JSON readers, Kubernetes and databases share this range: 64 bits."""


class Kind(NamedTuple):
    """A kind of values: ``check(place, value, line)`` returns plain data or raises."""

    check: Callable[[str, Any, Attribute], Any]
    schema: Mapping[str, Any]


def checked(line: Attribute, place: str, value: object) -> Any:
    """Return ``value`` as plain data for JSON.

    ``place`` names the value in a message. A value that comes from JSON is returned as it is.

    :raises BigflowError: when ``value`` does not fit the attribute.
    """
    if value is None and line.optional:
        return None
    if line.zero_is_default and not value:
        value = line.default
    return KINDS[line.kind].check(place, value, line)


def _refused(place: str, value: object, wanted: str) -> BigflowError:
    return BigflowError(f"{place} cannot be {shown(value)}", hint=f"give {wanted}")


def _text(place: str, value: object, line: Attribute | None = None) -> str:
    if not isinstance(value, str):
        raise _refused(place, value, "a string")
    if line and line.least and len(value) < line.least:
        raise _refused(place, value, "a string that is not empty")
    return str(value)


def _boolean(place: str, value: object, _line: Attribute) -> bool:
    if not isinstance(value, bool):
        raise _refused(place, value, "True or False")
    return value


def _integer(place: str, value: object, line: Attribute) -> int:
    least = -_INTEGERS if line.least is None else line.least
    most = _INTEGERS if line.most is None else line.most
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _refused(place, value, f"a whole number from {least} to {most}")
    return int(value)


def _seconds(place: str, value: Any, line: Attribute) -> Any:
    if _is_number(value) and 0 <= value <= line.most:
        return value
    raise _refused(place, value, f"a number of seconds from 0 to {line.most}")


def _quantity(place: str, value: object, _line: Attribute) -> str:
    return str(value) if _is_number(value) else _text(place, value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _moment(place: str, value: object, _line: Attribute) -> str:
    text = _text(place, value)
    try:
        zoned = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        zoned = False
    if not zoned:
        raise _refused(place, value, "a date and time with the offset from UTC, in ISO 8601")
    return text


def _sequence(of: Any, place: str, value: object, _line: Attribute) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise _refused(place, value, f"a list of {_ITEMS.get(of, 'dicts')}")
    return [of(f"{place}[{i}]", item) for i, item in enumerate(value)]


def _mapping(of: Any, place: str, value: object, _line: object = None) -> Mapping[str, Any]:
    if type(value) is dict and not value:  # the usual value; the check below is slower
        return value
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _refused(place, value, "a dict whose keys are strings")
    return {key: of(f"{place}[{key!r}]", item) for key, item in value.items()}


def _plain(place: str, value: object) -> Any:
    """Return data that JSON stores and that equals its Python literal."""
    if value is None or type(value) in {str, bool}:
        return value
    if type(value) is int and abs(value) <= _INTEGERS:
        return value
    if type(value) is float and abs(value) < float("inf"):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(f"{place}[{i}]", item) for i, item in enumerate(value)]
    if isinstance(value, dict):
        return _mapping(_plain, place, value)
    raise _refused(place, value, "strings, numbers, True, False, None, lists and dicts of these")


def asset_uri(place: str, value: object) -> str:
    """Return the URI of an ``Asset``, or of a string that is one."""
    return _text(place, value.uri if isinstance(value, Asset) else value)


def _param(place: str, value: Any) -> dict[str, Any]:
    if type(value) is dict and value.keys() == _PARAM.keys():  # from JSON
        value = Param(
            value["default"] if value["has_default"] else REQUIRED,
            value["description"],
            **value["limits"],
        )
    param = value if isinstance(value, Param) else Param(value)
    text = param.description
    return {
        "has_default": param.default is not REQUIRED,
        "default": None if param.default is REQUIRED else _plain(place, param.default),
        "description": None if text is None else _text(f"{place}: description", text),
        "limits": _mapping(_plain, place, param.limits),
    }


_ITEMS: Mapping[Any, str] = {_text: "strings", asset_uri: "assets"}
_TEXT = {"type": "string"}
_PARAM = {
    "has_default": {"type": "boolean"},
    "default": {},
    "description": {"type": ["string", "null"]},
    "limits": {"type": "object"},
}
_MOMENT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?[+-]\d\d:\d\d(:\d\d)?$"

KINDS: Mapping[str, Kind] = {
    "bool": Kind(_boolean, {"type": "boolean"}),
    "int": Kind(_integer, {"type": "integer"}),
    "Seconds": Kind(_seconds, {"type": "number", "minimum": 0}),
    "Quantity": Kind(_quantity, _TEXT),
    "str": Kind(_text, _TEXT),
    "DateTime": Kind(_moment, {**_TEXT, "pattern": _MOMENT}),
    "Sequence[str]": Kind(partial(_sequence, _text), {"type": "array", "items": _TEXT}),
    "Assets": Kind(partial(_sequence, asset_uri), {"type": "array", "items": _TEXT}),
    "Sequence[Mapping[str, Any]]": Kind(
        partial(_sequence, partial(_mapping, _plain)),
        {"type": "array", "items": {"type": "object"}},
    ),
    "Mapping[str, str]": Kind(
        partial(_mapping, _text), {"type": "object", "additionalProperties": _TEXT}
    ),
    "Params": Kind(
        partial(_mapping, _param),
        {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": _PARAM,
                "required": list(_PARAM),
                "additionalProperties": False,
            },
        },
    ),
    "Mapping[str, Any]": Kind(partial(_mapping, _plain), {"type": "object"}),
}
"""The kind of each annotation in ``fields.py``."""
