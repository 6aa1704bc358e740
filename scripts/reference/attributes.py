"""The table of attributes -> the JSON schema of `bigflow describe`, and the page of attributes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bigflow.describe.fields import (
    REQUIRED,
    Attribute,
    DescribedJob,
    DescribedWorkflow,
    JobAttributes,
    WorkflowAttributes,
    attributes_of,
)
from bigflow.describe.values import KINDS
from bigflow.describe.workflows import SCHEMA


def schema() -> dict[str, Any]:
    """Return the JSON schema of the output of `bigflow describe`."""
    text, null, version = {"type": "string"}, {"type": "null"}, {"const": SCHEMA}
    definitions = {
        "answer": _object(
            "The description.",
            schema=version,
            bigflow={"description": "The version of the runtime.", **text},
            packages={
                "description": "Empty when only the deployment was requested.",
                "type": "array",
                "items": text,
            },
            workflows=_list_of("workflow", "Sorted by id."),
            deployment={"oneOf": [null, {"$ref": "#/$defs/deployment"}]},
        ),
        "error": _object(
            "An error in the project; the exit status is 1.",
            schema=version,
            error=_object("One line each.", message=text, hint=text),
        ),
        "workflow": _object(
            "A bigflow.Workflow.",
            **{line.name: _property(line) for line in attributes_of(DescribedWorkflow)},
            schedule={"$ref": "#/$defs/schedule"},
            jobs=_list_of("job", "In a valid order of execution; else in the order of definition."),
        ),
        "job": _object(
            "A bigflow.Job.",
            **{line.name: _property(line) for line in attributes_of(DescribedJob)},
        ),
        "schedule": {
            "description": "The schedule of a workflow.",
            "oneOf": [
                _object("A cron expression or preset.", kind={"const": "cron"}, value=text),
                _object(
                    "Seconds.",
                    kind={"const": "timedelta"},
                    value={"type": "number", "exclusiveMinimum": 0},
                ),
                _object(
                    "The URIs of assets: a run starts when all were updated.",
                    kind={"const": "assets"},
                    value={"type": "array", "items": text, "minItems": 1},
                ),
                _object(
                    "Manual runs, one run, or one run after another.",
                    kind={"enum": ["none", "once", "continuous"]},
                    value=null,
                ),
            ],
        },
        "deployment": _object(
            "The content of deployment_config.py.",
            config={"description": "The name of the configuration.", **text},
            properties={"type": "object"},
        ),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Output of `python -m bigflow describe`",
        "oneOf": [{"$ref": "#/$defs/answer"}, {"$ref": "#/$defs/error"}],
        "$defs": definitions,
    }


def _object(description: str, /, **properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "description": description,
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list_of(definition: str, description: str) -> dict[str, Any]:
    items = {"$ref": f"#/$defs/{definition}"}
    return {"description": description, "type": "array", "items": items}


def _property(line: Attribute) -> dict[str, Any]:
    form: dict[str, Any] = {"description": line.text, **KINDS[line.kind].schema}
    if line.optional:
        form["type"] = [form["type"], "null"]
    if line.zero_is_default:
        del form["minimum"]
        form["exclusiveMinimum"] = 0
    limits = {
        "minLength" if line.kind == "str" else "minimum": line.least,
        "maximum": line.most,
    }
    form.update({key: limit for key, limit in limits.items() if limit is not None})
    return form


_INTRODUCTION = """\
# Attributes of workflows and jobs

Give them to `Workflow(...)` and `Job(...)` by name. In a subclass of `Job` they can be attributes
of the class, or of the object, too. [Write workflows and jobs](../how-to/workflows.md) shows how.
The build checks every value.
"""
_WORKFLOW = """
## Workflow

`Workflow(workflow_id, definition, schedule_interval, start_time_factory, ...)`: the first four can
be given by position, too.

### `workflow_id`

Letters, digits, `_` and `-`; unique in the project.

### `definition`

The jobs and their order: a list, a dict from a job to its next jobs, or a `Definition`.

### `schedule_interval`

A cron expression or preset, a `timedelta`, `"@once"`, `"@continuous"`, an `Asset` or a list of
assets, or `None` for manual runs only.

- Default: `"@daily"`

### `start_time_factory`

A function from the start time of the build to the [first runtime](runtime.md#first-runtime).

- Default: `daily_start_time`

### `start_date`

The first runtime itself: `"2026-01-31"`, a `date` or a `datetime`.

- Default: `None`
"""
_JOB = """
## Job

`Job(id, ...)`: only `id` can be given by position.

### `id`

Letters, digits, `_` and `-`; unique in the workflow.
"""
_TYPES = {
    "Assets": "list of `Asset`",
    "Mapping[str, Any]": "dict",
    "Mapping[str, str]": "dict of text",
    "Params": "dict",
    "Quantity": "text or number",
    "Seconds": "number of seconds",
    "Sequence[Mapping[str, Any]]": "list of dicts",
    "Sequence[str]": "list of text",
    "bool": "`True` or `False`",
    "int": "whole number",
    "str": "text",
}
"""A kind of value in the table -> plain words."""


def page() -> str:
    """Return the text of ``docs/reference/attributes.md``."""
    tables = ((_WORKFLOW, WorkflowAttributes, "DAG"), (_JOB, JobAttributes, "operator"))
    return _INTRODUCTION + "".join(
        head + "".join(_documented(line, owner) for line in attributes_of(table))
        for head, table, owner in tables
    )


def _documented(line: Attribute, owner: str) -> str:
    text = f"{line.text[:1].upper()}{line.text[1:]}"
    facts = [f"Type: {_TYPES[line.kind]}{', or `None`' if line.optional else ''}"]
    if line.default is not REQUIRED:
        facts.append(f"Default: `{_default(line)}`")
    if line.most is not None:
        facts.append(f"Range: {line.least or 0:,} to {line.most:,}")
    if line.argument is not None:
        facts.append(f"In Airflow: `{line.argument}` of the {owner}")
    return f"\n### `{line.name}`\n\n{text}.\n\n" + "".join(f"- {fact}\n" for fact in facts)


def _default(line: Attribute) -> str:
    if isinstance(line.default, Mapping):
        return "{}"
    if line.default == ():
        return "[]"
    return json.dumps(line.default) if isinstance(line.default, str) else repr(line.default)
