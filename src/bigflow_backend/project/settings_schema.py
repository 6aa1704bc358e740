"""The JSON schema and the documentation of ``[tool.bigflow]``, both from the dataclasses.

The schema is checked in as ``settings.schema.json`` and published to validate-pyproject:
https://validate-pyproject.readthedocs.io/en/stable/dev-guide.html. To write both anew:

    python -m bigflow_backend.project.settings_schema REPOSITORY
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import json
import sys
import textwrap
import types
import typing
from pathlib import Path
from typing import Any, Literal

from bigflow_backend.project import settings
from bigflow_backend.project.settings import Settings

_FILE = "settings.schema.json"


def tool_schema(tool_name: str = "bigflow") -> dict[str, Any]:
    """The schema of ``[tool.bigflow]``, as the entry point of validate-pyproject gives it."""
    del tool_name  # there is one
    schema: dict[str, Any] = json.loads(Path(__file__).with_name(_FILE).read_text("utf-8"))
    return schema


def make_schema() -> dict[str, Any]:
    """The schema, made of the dataclasses: JSON Schema draft 7, as validate-pyproject takes it."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "urn:bigflow-backend:settings",
        **_table(Settings),
    }


def documentation() -> str:
    """``docs/settings.md``: each table with its keys, their types, defaults and meaning."""
    text = (
        "# Settings\n\n"
        "All settings stand in `pyproject.toml`. This page is made of the source by\n"
        "`python -m bigflow_backend.project.settings_schema .`; unknown keys are refused.\n"
    )
    return text + "".join(_documented(Settings, "tool.bigflow"))


def _documented(model: type[Any], table: str) -> typing.Iterator[str]:
    texts, hints = _attribute_docstrings(model), typing.get_type_hints(model)
    yield f"\n## `[{table}]`\n\n| key | type | default | |\n|---|---|---|---|\n"
    inner = []
    for field in dataclasses.fields(model):
        key, hint = field.name.replace("_", "-"), hints[field.name]
        if dataclasses.is_dataclass(hint):
            inner.append((typing.cast("type[Any]", hint), f"{table}.{key}"))
            continue
        default = _default(field)
        shown = "" if default in (None, [], {}) else f"`{json.dumps(default)}`"
        meaning = texts[field.name].replace("``", "`").replace("|", "\\|")
        yield f"| `{key}` | {_type_name(hint)} | {shown} | {meaning} |\n"
    for nested, name in inner:
        yield from _documented(nested, name)


def _table(model: type[Any]) -> dict[str, Any]:
    texts, hints = _attribute_docstrings(model), typing.get_type_hints(model)
    properties = {}
    for field in dataclasses.fields(model):
        hint = hints[field.name]
        nested = dataclasses.is_dataclass(hint)
        schema = _table(typing.cast("type[Any]", hint)) if nested else _value(hint)
        if field.name in texts:
            schema["description"] = texts[field.name]
        default = _default(field)
        if default is not None and not nested:
            schema["default"] = default
        properties[field.name.replace("_", "-")] = schema
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
        return {"type": "object", "additionalProperties": _value(arguments[1])}
    return {"type": {str: "string", bool: "boolean", int: "integer"}[hint]}


def _type_name(hint: Any) -> str:
    schema = _value(hint)
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    if schema["type"] == "array":
        return f"list of {schema['items']['type']}s"
    return "table of strings" if schema["type"] == "object" else str(schema["type"])


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
        return None if dataclasses.is_dataclass(value) else value
    return list(field.default) if isinstance(field.default, tuple) else field.default


def _attribute_docstrings(model: type[Any]) -> dict[str, str]:
    """The string below each field, which Python itself throws away."""
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


def _write(repository: Path) -> None:
    package = Path(settings.__file__).parent
    schema = json.dumps(make_schema(), indent=2, ensure_ascii=False) + "\n"
    (package / _FILE).write_text(schema, "utf-8")
    (repository / "docs" / "settings.md").write_text(documentation(), "utf-8")


if __name__ == "__main__":
    _write(Path(sys.argv[1]))
