"""``manifest.json``: the description of the DAG files for tools.

Its content depends on neither the time nor the machine of the build.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bigflow_backend.dags.build import DagFile
    from bigflow_backend.dags.model import DagBuild
    from bigflow_backend.project.workflows import WorkflowDescription

MANIFEST_SCHEMA = 1


def manifest(
    build: DagBuild, workflows: Sequence[WorkflowDescription], files: Sequence[DagFile]
) -> dict[str, Any]:
    """Return the document; ``files`` has one file for each of the workflows, in their order."""
    return {
        "schema": MANIFEST_SCHEMA,
        "package": build.package,
        "version": str(build.version),
        "commit": build.version.commit,
        "image": build.image,
        "start_time": f"{build.start_time:%Y-%m-%d %H:%M:%S}",
        "dags": [
            {
                "dag_id": file.dag_id,
                "file": file.path.name,
                "workflow": workflow.id,
                "module": workflow.module,
                "schedule": {"kind": workflow.schedule.kind, "value": workflow.schedule.value},
                "timezone": workflow.timezone,
                "start_date": workflow.start_date,
                "config": {"variable": workflow.env_variable, "default": workflow.env_default},
                "tasks": list(file.tasks),
            }
            for workflow, file in zip(workflows, files, strict=True)
        ],
    }
