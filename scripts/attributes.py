"""Write what comes from the table of attributes (``bigflow/describe/fields.py``).

``python scripts/attributes.py`` writes ``bigflow/describe/schema.json`` and the tables in
docs/reference/runtime.md. With ``--check`` it writes nothing and fails for an outdated file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
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

ROOT = Path(__file__).parents[1]


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


_WORKFLOW_ROWS = """\
| `workflow_id` | | letters, digits, `_` and `-`; unique in the project |
| `definition` | | a list, a dict or a `Definition` |
| `schedule_interval` | `"@daily"` | a cron expression or preset, a `timedelta`, `"@once"`, \
`"@continuous"`, an `Asset` or a list of assets, or `None` for manual runs only |
| `start_time_factory` | `daily_start_time` | a function from the start time of the build to the \
first runtime: [see below](#first-runtime) |
| `start_date` | `None` | the first runtime itself, given by name: `"2026-01-31"`, a `date` or a \
`datetime` |
"""
_JOB_ROWS = "| `id` | | letters, digits, `_` and `-`; unique in the workflow |\n"


def _markdown(first_rows: str, table: type) -> str:
    rows = (
        f"| `{line.name}` | `{_default(line)}` | {line.text} |\n" for line in attributes_of(table)
    )
    return f"| attribute | default | meaning |\n|---|---|---|\n{first_rows}{''.join(rows)}"


def _default(line: Attribute) -> str:
    if line.default is REQUIRED:
        return ""
    if isinstance(line.default, Mapping):
        return "{}"
    return json.dumps(line.default) if isinstance(line.default, str) else repr(line.default)


def main() -> int:
    target = ROOT / "src/bigflow/describe/schema.json"
    page = ROOT / "docs/reference/runtime.md"
    text = page.read_text("utf-8")
    for name, first_rows, table in (
        ("workflow", _WORKFLOW_ROWS, WorkflowAttributes),
        ("job", _JOB_ROWS, JobAttributes),
    ):
        start, end = f"<!-- attributes of a {name}: scripts/attributes.py -->\n", "<!-- end -->"
        before, after = text.split(start)
        text = before + start + _markdown(first_rows, table) + end + after.partition(end)[2]
    outdated = []
    for file, content in ((target, json.dumps(schema(), indent=2) + "\n"), (page, text)):
        if file.read_text("utf-8") != content:
            outdated.append(file.relative_to(ROOT))
            if "--check" not in sys.argv:
                file.write_text(content, "utf-8")
    if "--check" not in sys.argv:
        return 0
    for file in outdated:
        print(f"{file} is outdated: run python scripts/attributes.py", file=sys.stderr)
    return 1 if outdated else 0


if __name__ == "__main__":
    sys.exit(main())
