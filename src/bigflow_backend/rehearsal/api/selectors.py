"""Label and field selectors.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from bigflow_backend.rehearsal.api.status import bad_request
from bigflow_backend.rehearsal.api.syntax import is_label_value, is_qualified_name

Selector = Callable[[Mapping[str, Any]], bool]
"""A function that returns True for a selected object."""

_SET_TERM = re.compile(r"(?P<key>\S+)\s+(?P<operator>in|notin)\s+\((?P<values>[^()]*)\)\Z")
_EQUALITY_TERM = re.compile(r"(?P<key>[^!=]+?)\s*(?P<operator>==|=|!=)\s*(?P<values>.*)\Z")
_BETWEEN_TERMS = re.compile(r",(?![^(]*\))")


def label_selector(text: str) -> Selector:
    """Return the selector for a text such as ``a=b,c!=d,e in (f, g),!h``.

    :raises ApiError: 400 if it cannot be parsed, or has an invalid label value.
    """
    terms = [_label_term(term.strip()) for term in _BETWEEN_TERMS.split(text) if term.strip()]

    def selects(found: Mapping[str, Any]) -> bool:
        labels = found["metadata"].get("labels", {})
        return all(term(labels) for term in terms)

    return selects


def _label_term(text: str) -> Callable[[Mapping[str, str]], bool]:
    match = _SET_TERM.match(text) or _EQUALITY_TERM.match(text)
    if match is None:
        key = text.removeprefix("!").strip()
        _check_key(key)
        wanted = not text.startswith("!")
        return lambda labels: (key in labels) is wanted
    key, operator = match["key"].strip(), match["operator"]
    values = match["values"].split(",") if operator in {"in", "notin"} else [match["values"]]
    values = [value.strip() for value in values]
    _check_key(key)
    for value in values:
        if not is_label_value(value):
            raise bad_request(
                f'unable to parse requirement: values[0][{key}]: Invalid value: "{value}": a valid '
                "label must be an empty string or consist of alphanumeric characters, '-', '_' or "
                "'.', and must start and end with an alphanumeric character"
            )
    if operator in {"!=", "notin"}:
        return lambda labels: labels.get(key) not in values
    return lambda labels: labels.get(key) in values


def _check_key(key: str) -> None:
    if not is_qualified_name(key):
        raise bad_request(f'unable to parse requirement: <nil>: Invalid value: "{key}"')


def field_selector(text: str) -> Selector:
    """Return the selector for a text such as ``involvedObject.name=x``.

    :raises ApiError: 400 if it cannot be parsed.
    """
    terms: list[tuple[list[str], bool, str]] = []
    for term in filter(None, text.split(",")):
        match = _EQUALITY_TERM.match(term)
        if match is None:
            raise bad_request(f"invalid field selector: {term!r}")
        terms.append((match["key"].split("."), match["operator"] != "!=", match["values"]))

    def selects(found: Mapping[str, Any]) -> bool:
        return all((_value(found, path) == value) is equal for path, equal, value in terms)

    return selects


def _value(found: Mapping[str, Any], path: list[str]) -> str:
    value: Any = found
    for part in path:
        value = value.get(part, {}) if isinstance(value, Mapping) else {}
    return str(value) if value != {} else ""
