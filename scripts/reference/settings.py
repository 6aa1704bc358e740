"""The settings -> ``docs/reference/settings.md``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from bigflow_backend.cli.options import IMAGE_OPTIONS
from bigflow_backend.ground.settings.machine import MACHINE_KEYS, MachineSettings
from bigflow_backend.ground.settings.values import Leaf, leaves
from bigflow_backend.project.settings import OF_USER, Settings
from bigflow_backend.project.settings_schema import field_texts, make_schema, schema_of

_INTRODUCTION = """\
# Settings

The settings of a project are in `pyproject.toml`. An unknown key or an invalid value is an error.
[`bigflow config`](commands.md#bigflow-config) shows each value, and where it comes from: the first
of these places.

1. The option of the command.
2. The environment variable: `BIGFLOW_`, the table and the key. `BIGFLOW_IMAGE_NETWORK` is
   `network` of `[tool.bigflow.image]`. An empty variable has no effect. A list is its items with
   spaces between them, a table is `NAME=VALUE` pairs, and a boolean is `true` or `false`. Lists
   and tables may be JSON, for values with spaces.
3. `pyproject.toml`, or a keyword of `setup()`.
4. [The user's file](#the-users-file), `bigflow/config.toml` in `$XDG_CONFIG_HOME`, by default
   `~/.config`. It has the settings of a machine or a person.
5. The default.
"""
_USER_FILE = """
## The user's file

A project cannot have the first two of its keys. An example:

```toml
cache = "/data/bigflow-cache"
cache-limit-gb = 50

[image]
insecure-registries = ["registry.local:5000"]
```
"""


def page() -> str:
    """Return the text of the page."""
    return "".join(_page())


def _page() -> Iterator[str]:
    yield _INTRODUCTION
    schema: dict[str, Any] = make_schema()
    tables: dict[tuple[str, ...], list[Leaf]] = {}
    for leaf in leaves(Settings):
        tables.setdefault(leaf.path[:-1], []).append(leaf)
    for path, members in tables.items():
        yield f"\n## `[{'.'.join(('tool.bigflow', *path))}]`\n"
        properties, model = schema["properties"], Settings
        for name in path:
            properties = properties[name.replace("_", "-")]["properties"]
            model = _model_of(model, name)
        texts = field_texts(model)
        for leaf in members:
            yield from _setting(leaf, properties[leaf.path[-1].replace("_", "-")], texts)
    yield _USER_FILE
    machine, texts = schema_of(MachineSettings)["properties"], field_texts(MachineSettings)
    for leaf in leaves(MachineSettings):
        if leaf.key in MACHINE_KEYS:
            yield from _setting(leaf, machine[leaf.key], texts)
    yield "\nIt can also have these settings of a project:\n\n"
    for leaf in leaves(Settings):
        if leaf.field.metadata == OF_USER:
            yield f"- [`{leaf.key}`](#{leaf.key.replace('.', '')})\n"


def _model_of(model: type[Any], name: str) -> type[Any]:
    field = next(field for field in dataclasses.fields(model) if field.name == name)
    made: Any = field.default_factory
    return made if isinstance(made, type) else type(made())


def _setting(leaf: Leaf, schema: dict[str, Any], texts: dict[str, str]) -> Iterator[str]:
    default = schema.get("default")
    yield f"\n### `{leaf.key}`\n\n{texts[leaf.path[-1]].replace('``', '`')}\n\n"
    yield f"- Type: {_type_name(schema)}\n"
    if default not in (None, [], {}):
        yield f"- Default: `{json.dumps(default)}`\n"
    yield f"- Variable: {', '.join(f'`{name}`' for name in leaf.variables)}\n"
    for option in IMAGE_OPTIONS:
        if leaf.path == ("image", option.keywords["dest"]):
            yield f"- Option: `{option.names[0]}`\n"
    if leaf.field.metadata == OF_USER:
        yield "- Also in [the user's file](#the-users-file)\n"


def _type_name(schema: dict[str, Any]) -> str:
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
