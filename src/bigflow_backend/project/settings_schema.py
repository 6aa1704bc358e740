"""Settings -> JSON schema.

The schema is in ``settings.schema.json``, which validate-pyproject finds by an entry point:
https://validate-pyproject.readthedocs.io/en/stable/dev-guide.html. ``make format`` writes it.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import json
import textwrap
import types
import typing
from pathlib import Path
from typing import Any, Literal

from bigflow_backend.project.settings import Settings

FILE = Path(__file__).with_name("settings.schema.json")


def tool_schema(tool_name: str = "bigflow") -> dict[str, Any]:
    """Return the schema of ``[tool.bigflow]``. This is the entry point for validate-pyproject."""
    del tool_name  # it is always the same
    schema: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return schema


def make_schema() -> dict[str, Any]:
    """Return the schema of the dataclasses, in draft 7 of JSON Schema for validate-pyproject."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "urn:bigflow-backend:settings",
        **schema_of(Settings),
    }


def _key(field: dataclasses.Field[Any]) -> str:
    return field.name.replace("_", "-")


def schema_of(model: type[Any]) -> dict[str, Any]:
    """Return the schema of a dataclass of settings."""
    texts, hints = field_texts(model), typing.get_type_hints(model)
    properties = {}
    for field in dataclasses.fields(model):
        hint = hints[field.name]
        nested = dataclasses.is_dataclass(hint)
        schema = schema_of(typing.cast("type[Any]", hint)) if nested else _value(hint)
        if field.name in texts:
            schema["description"] = texts[field.name]
        default = _default(field)
        if default is not None and not nested:
            schema["default"] = default
        properties[_key(field)] = schema
        if "singular" in field.metadata:
            one = {**schema["items"], "description": f"One value of {_key(field)}."}
            properties[field.metadata["singular"]] = one
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _value(hint: Any) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _value(next(a for a in arguments if a is not type(None)))
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _value(arguments[0])}
    if origin is dict:
        inner = _value(arguments[1])
        if inner.get("type") == "array":  # one item needs no list
            inner = {"anyOf": [inner["items"], inner]}
        return {"type": "object", "additionalProperties": inner}
    return {"type": {str: "string", bool: "boolean", int: "integer"}[hint]}


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
        return None if dataclasses.is_dataclass(value) else value
    return list(field.default) if isinstance(field.default, tuple) else field.default


def field_texts(model: type[Any]) -> dict[str, str]:
    """Return the text below each field of a dataclass of settings."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(model)))
    body = typing.cast("ast.ClassDef", tree.body[0]).body
    return {
        node.target.id: " ".join(text.value.value.split())
        for node, text in itertools.pairwise(body)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
