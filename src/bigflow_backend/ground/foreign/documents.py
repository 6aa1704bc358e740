"""JSON of other programs and machines -> values whose types are checked.

A document is read in two steps. :func:`parse_json` limits what the bytes may hold.
:func:`typed` compares the result with a ``TypedDict``, and returns it under that type. It keeps
members that the type does not name.
"""

from __future__ import annotations

import functools
import json
import math
import re
import types
import typing
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from bigflow_backend.ground.foreign.text import quoted
from bigflow_backend.ground.limits import DOCUMENT, JSON_LEVELS, JSON_NUMBER

_T = TypeVar("_T")

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_NAMES = {
    str: "a string", int: "an integer", bool: "true or false", dict: "an object", list: "a list",
}  # fmt: skip


class DocumentError(ValueError):
    """A document that is not valid. The text is a predicate of it: ``is not valid JSON: ...``."""


def parse_json(content: bytes | str, *, limit: int = DOCUMENT) -> Any:
    """Parse a JSON document of at most ``limit`` bytes.

    The result can be written as JSON again: it has no lone surrogates, NaN or infinite numbers.

    :raises DocumentError: if it is too long or too deep, or is not valid JSON.
    """
    if len(content) > limit:
        raise DocumentError(f"is longer than {limit:,} bytes")
    try:
        text = content if isinstance(content, str) else content.decode("utf-8")
        document = json.loads(text, parse_constant=_refuse, parse_int=_integer, parse_float=_finite)
        if isinstance(document, (dict, list)):
            _check_levels(document)
        encoded = content if isinstance(content, bytes) else content.encode()
        if _SURROGATE.search(encoded):
            json.dumps(document, ensure_ascii=False).encode()
    except RecursionError as error:
        raise _too_deep() from error
    except UnicodeEncodeError as error:
        raise DocumentError("is not valid JSON: it has a lone surrogate") from error
    except DocumentError:
        raise
    except ValueError as error:
        raise DocumentError(f"is not valid JSON: {quoted(str(error))}") from error
    return document


def typed(document: object, kind: type[_T]) -> _T:
    """Return ``document`` under the type ``kind``, a ``TypedDict`` or a type in one.

    :raises DocumentError: if a value in it has another type.
    """
    _check(document, kind, "")
    return typing.cast("_T", document)


def read_json(content: bytes | str, kind: type[_T]) -> _T:
    """Parse a document, and check its types.

    :raises DocumentError: if it is not valid.
    """
    return typed(parse_json(content), kind)


def _check(value: object, kind: Any, where: str) -> None:
    """Compare a value with a type. The types limit the recursion."""
    origin = typing.get_origin(kind)
    if kind is Any:
        return
    if origin in {typing.Union, types.UnionType}:
        _check_union(value, typing.get_args(kind), where)
    elif typing.is_typeddict(kind):
        _check_members(_instance(value, dict, where), kind, where)
    elif origin is list:
        (one,) = typing.get_args(kind)
        for position, item in enumerate(_instance(value, list, where)):
            _check(item, one, f"{where}[{position}]")
    elif origin is dict:
        for key, item in _instance(value, dict, where).items():
            _check(item, typing.get_args(kind)[1], _member(where, key))
    else:
        _instance(value, kind, where)


def _check_union(value: object, kinds: Sequence[Any], where: str) -> None:
    if value is None and type(None) in kinds:
        return
    others = [kind for kind in kinds if kind is not type(None)]
    fitting = (kind for kind in others if type(value) is (typing.get_origin(kind) or kind))
    # If none fits, the last one makes the message.
    _check(value, next(fitting, others[-1]), where)


def _check_members(value: dict[str, Any], kind: Any, where: str) -> None:
    for key in kind.__required_keys__:
        if key not in value:
            raise DocumentError(f"has no {_member(where, key)}")
    for key, one in _members(kind).items():
        if key in value:
            _check(value[key], one, _member(where, key))


@functools.cache
def _members(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _instance(value: object, kind: type[_T], where: str) -> _T:
    # bool is a subclass of int.
    if type(value) is kind:
        return value
    wanted = _NAMES[kind]
    raise DocumentError(f"must be {wanted}" if not where else f"has {where}, which is not {wanted}")


def _member(where: str, key: str) -> str:
    return f"{where}.{quoted(key)}" if where else quoted(key)


def _check_levels(document: Any) -> None:
    level: list[Any] = [document]
    for _ in range(JSON_LEVELS):
        level = [
            item
            for value in level
            for item in (value.values() if isinstance(value, dict) else value)
            if isinstance(item, (dict, list))
        ]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> DocumentError:
    return DocumentError(f"is nested too deeply: the limit is {JSON_LEVELS} levels")


def _refuse(constant: str) -> NoReturn:
    raise DocumentError(f"is not valid JSON: it has the number {constant}")


def _integer(digits: str) -> int:
    if len(digits) > len(str(JSON_NUMBER)) + 1 or abs(int(digits)) > JSON_NUMBER:
        raise DocumentError(f"has a number beyond 64 bits: {quoted(digits)}")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise DocumentError(f"has a number that is too large: {quoted(digits)}")
    return number
