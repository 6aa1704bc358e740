"""The params of a workflow: their names, the keywords of JSON schema, and the default values.

Airflow checks a default value when it reads the file, and the others when a run starts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bigflow_backend.dags.rules.values import check_text, check_texts
from bigflow_backend.ground.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from bigflow_backend.dags.rules.location import Location
    from bigflow_backend.project.workflows import WorkflowDescription


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: _is_number(v) and v == int(v),
    "number": _is_number,
    "boolean": lambda v: isinstance(v, bool),
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, (list, tuple)),
    "null": lambda v: v is None,
}


_LIMITS: Mapping[str, tuple[Callable[[Any], bool], Callable[[Any, Any], bool]]] = {
    # The values that a limit is for, and whether a value is within it.
    "minimum": (_is_number, lambda value, limit: value >= limit),
    "maximum": (_is_number, lambda value, limit: value <= limit),
    "exclusiveMinimum": (_is_number, lambda value, limit: value > limit),
    "exclusiveMaximum": (_is_number, lambda value, limit: value < limit),
    "minLength": (_TYPES["string"], lambda value, limit: len(value) >= limit),
    "maxLength": (_TYPES["string"], lambda value, limit: len(value) <= limit),
    "minItems": (_TYPES["array"], lambda value, limit: len(value) >= limit),
    "maxItems": (_TYPES["array"], lambda value, limit: len(value) <= limit),
}
_FORMS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(_LIMITS, ("a number", _is_number)),
    "enum": ("a list of values", lambda v: isinstance(v, (list, tuple)) and len(v) > 0),
    "type": (
        f"one of {', '.join(_TYPES)}, or a list of them",
        lambda v: bool(v) and set(v if isinstance(v, (list, tuple)) else [v]) <= _TYPES.keys(),
    ),
    "pattern": ("a regular expression", lambda v: isinstance(v, str) and _is_pattern(v)),
    **dict.fromkeys(("title", "format", "section", "description_md"), ("text", _TYPES["string"])),
}
_OTHERS = (
    *("const", "multipleOf", "uniqueItems", "items", "properties", "required"),
    *("additionalProperties", "examples", "values_display"),
)


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def check_params(workflow: WorkflowDescription, location: Location) -> None:
    """Refuse params that Airflow refuses, when it reads the file or when a run starts."""
    for name, param in workflow.params.items():
        field = f"params[{name!r}]"
        check_text("params", name, location, lines=False)
        check_texts(field, [param["default"], param["description"], param["limits"]], location)
        _check_limits(field, param["limits"], location)
        if param["has_default"]:
            _check_default(field, param["default"], param["limits"], location)
        elif workflow.schedule.kind != "none":
            raise UserError(
                f"{location.text}: {field} has no default, and the workflow has a schedule",
                hint="give it a default: Param(7, ...); or set schedule_interval=None",
            )


def _check_limits(field: str, limits: Mapping[str, Any], location: Location) -> None:
    for keyword, limit in limits.items():
        if keyword not in _FORMS and keyword not in _OTHERS:
            raise UserError(
                f"{location.text}: {field} has {keyword!r}, which is not a keyword of JSON schema",
                hint=did_you_mean(keyword, [*_FORMS, *_OTHERS]),
            )
        words, holds = _FORMS.get(keyword, ("", lambda _: True))
        if not holds(limit):
            why = "which is not valid"
            raise location.error(f"{field}: {keyword}", limit, why, f"it must be {words}")


def _check_default(field: str, value: Any, limits: Mapping[str, Any], location: Location) -> None:
    wanted = limits.get("type", tuple(_TYPES))
    types = [wanted] if isinstance(wanted, str) else wanted
    broken = [] if any(_TYPES[name](value) for name in types) else ["type"]
    broken += [
        keyword
        for keyword, (is_for, holds) in _LIMITS.items()
        if keyword in limits and is_for(value) and not holds(value, limits[keyword])
    ]
    if "enum" in limits and value not in limits["enum"]:
        broken.append("enum")
    if "pattern" in limits and isinstance(value, str) and not re.search(limits["pattern"], value):
        broken.append("pattern")
    for keyword in broken:
        raise location.error(
            field,
            value,
            f"but its {keyword} is {limits[keyword]!r}",
            "change the default or the limit",
        )
