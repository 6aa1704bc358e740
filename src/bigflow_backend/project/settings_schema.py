"""Settings -> JSON schema and documentation page.

The schema is in ``settings.schema.json``, which validate-pyproject finds by an entry point:
https://validate-pyproject.readthedocs.io/en/stable/dev-guide.html. To write both files:

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
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from bigflow_backend.ground.settings.machine import MACHINE_KEYS, MachineSettings
from bigflow_backend.ground.settings.values import leaves
from bigflow_backend.project import settings
from bigflow_backend.project.settings import OF_USER, ImageSettings, Settings

_FILE = "settings.schema.json"
_INTRODUCTION = """\
# Settings

The settings of a project are in `pyproject.toml`. An unknown key or an invalid value is an error.
`bigflow config` shows each value, and where it comes from: the first of these places.

1. The option of the command.
2. The environment variable: `BIGFLOW_`, the table and the key. `BIGFLOW_IMAGE_NETWORK` is
   `network` of `[tool.bigflow.image]`. An empty variable has no effect. A list is its items with
   spaces between them, a table is `NAME=VALUE` pairs, and a boolean is `true` or `false`. Lists
   and tables may be JSON, for values with spaces.
3. `pyproject.toml`, or a keyword of `setup()`.
4. The user's file, `bigflow/config.toml` in `$XDG_CONFIG_HOME`, by default `~/.config`. It has the
   settings of a machine or a person: the keys at the end of this page.
5. The default.

This page is generated from the source by `python -m bigflow_backend.project.settings_schema .`.
"""
_USER_FILE = """
## The user's file

A project cannot have the first two. An example:

```toml
cache = "/data/bigflow-cache"
cache-limit-gb = 50

[image]
insecure-registries = ["registry.local:5000"]
```

| key | variable | type | default | meaning |
|---|---|---|---|---|
"""


def tool_schema(tool_name: str = "bigflow") -> dict[str, Any]:
    """Return the schema of ``[tool.bigflow]``. This is the entry point for validate-pyproject."""
    del tool_name  # it is always the same
    schema: dict[str, Any] = json.loads(Path(__file__).with_name(_FILE).read_text("utf-8"))
    return schema


def make_schema() -> dict[str, Any]:
    """Return the schema of the dataclasses, in draft 7 of JSON Schema for validate-pyproject."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "urn:bigflow-backend:settings",
        **_table(Settings),
    }


def documentation() -> str:
    """Return the text of ``docs/reference/settings.md``."""
    return _INTRODUCTION + "".join([*_documented(Settings, "tool.bigflow"), *_documented_machine()])


def _documented_machine() -> Iterator[str]:
    yield _USER_FILE
    rows = {
        field.name: row for model in (MachineSettings, ImageSettings) for field, row in _rows(model)
    }
    for leaf in (*leaves(MachineSettings), *leaves(Settings)):
        if leaf.field.metadata == OF_USER or (len(leaf.path) == 1 and leaf.key in MACHINE_KEYS):
            yield f"| `{leaf.key}` | `{leaf.variable}` {rows[leaf.path[-1]]}"


def _documented(model: type[Any], table: str) -> Iterator[str]:
    yield f"\n## `[{table}]`\n\n| key | type | default | meaning |\n|---|---|---|---|\n"
    for field, row in _rows(model):
        yield f"| `{_key(field)}` {row}"
    for name, hint in typing.get_type_hints(model).items():
        if dataclasses.is_dataclass(hint):
            nested = typing.cast("type[Any]", hint)
            yield from _documented(nested, f"{table}.{name.replace('_', '-')}")


def _rows(model: type[Any]) -> Iterator[tuple[dataclasses.Field[Any], str]]:
    """Yield each value of ``model``, and the cells of its row behind the key."""
    texts, hints = field_texts(model), typing.get_type_hints(model)
    for field in dataclasses.fields(model):
        hint, default = hints[field.name], _default(field)
        if not dataclasses.is_dataclass(hint):
            shown = "" if default in (None, [], {}) else f"`{json.dumps(default)}`"
            meaning = texts[field.name].replace("``", "`").replace("|", "\\|")
            yield field, f"| {_type_name(hint)} | {shown} | {meaning} |\n"


def _key(field: dataclasses.Field[Any]) -> str:
    return field.name.replace("_", "-")


def _table(model: type[Any]) -> dict[str, Any]:
    texts, hints = field_texts(model), typing.get_type_hints(model)
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


def _type_name(hint: Any) -> str:
    schema = _value(hint)
    if "enum" in schema:
        return _choices(schema)
    if schema["type"] == "array":
        items = schema["items"]
        return f"list of {_choices(items)}" if "enum" in items else f"list of {items['type']}s"
    if schema["type"] == "object":
        several = "anyOf" in schema["additionalProperties"]
        return "table of strings or lists" if several else "table of strings"
    return str(schema["type"])


def _choices(schema: dict[str, Any]) -> str:
    return " or ".join(f"`{json.dumps(value)}`" for value in schema["enum"])


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


def _write(repository: Path) -> None:
    package = Path(settings.__file__).parent
    schema = json.dumps(make_schema(), indent=2, ensure_ascii=False) + "\n"
    (package / _FILE).write_text(schema, "utf-8")
    (repository / "docs/reference/settings.md").write_text(documentation(), "utf-8")


if __name__ == "__main__":
    _write(Path(sys.argv[1]))
