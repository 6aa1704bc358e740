"""Write the schema of ``[tool.bigflow]`` as SchemaStore publishes it, for editors.

    python scripts/schema.py

SchemaStore's schema of pyproject.toml refers to it by its ``$id``: see "Schema" in CONTRIBUTING.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bigflow_backend.project.settings_schema import tool_schema

FILE = Path(__file__).parents[1] / "schema/bigflow.json"


def published() -> dict[str, Any]:
    """Return the schema with plain texts: an editor shows them as they are."""
    schema = {
        **tool_schema(),
        "$id": "https://json.schemastore.org/partial-bigflow.json",
        "title": "bigflow-backend",
        "description": "Settings of a BigFlow project: its package, image and DAGs.",
    }
    first = ("$schema", "$id", "title", "description")
    text = json.dumps({key: schema[key] for key in (*first, *schema)})
    plain: dict[str, Any] = json.loads(text.replace("``", "`"))
    return plain


def main() -> None:
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(published(), indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
