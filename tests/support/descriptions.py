"""Descriptions of workflows, and a project whose DAGs tests build."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bigflow.describe.fields import JobAttributes, WorkflowAttributes, attributes_of
from bigflow_backend.dags.build import build_dags
from bigflow_backend.dags.manifest import read_manifest
from bigflow_backend.dags.takeover import Deployed
from bigflow_backend.ground.transaction import transaction
from bigflow_backend.project.project import read_project
from bigflow_backend.project.workflows import JobDescription, Schedule, WorkflowDescription
from bigflow_backend.version import ProjectVersion

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bigflow_backend.dags.build import DagFiles

__all__ = [
    "COMMIT",
    "IMAGE",
    "START_TIME",
    "DagProject",
    "DagSource",
    "job",
    "param",
    "schedule",
    "workflow",
]

IMAGE = "registry.example.com/team/pipelines:1.2.0"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
START_TIME = datetime(2026, 1, 2, 3, tzinfo=timezone.utc)


def schedule(kind: Any, value: Any = None) -> Schedule:
    return Schedule(kind=kind, value=value)


def param(default: Any, description: str | None = None, **limits: Any) -> dict[str, Any]:
    """Return the description of a parameter with a default."""
    return {
        "has_default": True,
        "default": default,
        "description": description,
        "limits": limits,
    }


def _defaults(table: type) -> dict[str, Any]:
    return {
        line.name: dict(line.default) if isinstance(line.default, Mapping) else line.default
        for line in attributes_of(table)
    }


def job(job_id: str, *depends_on: str, **values: Any) -> JobDescription:
    """Return the description of a job that sets only ``values``."""
    described: dict[str, Any] = {
        **_defaults(JobAttributes),
        "id": job_id,
        "depends_on": depends_on,
    }
    return JobDescription(**(described | values))


def workflow(workflow_id: str, *jobs: JobDescription, **values: Any) -> WorkflowDescription:
    """Return the description of a workflow that sets only ``values``. By default it has one job."""
    described: dict[str, Any] = {
        **_defaults(WorkflowAttributes),
        "id": workflow_id,
        "module": f"pipelines.{workflow_id}",
        "variable": workflow_id,
        "schedule": schedule("cron", "@daily"),
        "start_date": "2026-01-01T00:00:00+00:00",
        "start_from": "default",
        "jobs": jobs or (job("load"),),
    }
    return WorkflowDescription(**(described | values))


_SETUP_SCRIPT = """\
from bigflow_backend import setup

PROJECT_NAME = "pipelines"

if __name__ == "__main__":
    setup(name=PROJECT_NAME)
"""


@dataclass(frozen=True)
class DagProject:
    """A project whose package is ``pipelines``."""

    root: Path

    @classmethod
    def make(cls, root: Path, settings: str = "") -> DagProject:
        """Create a project. ``settings`` are the lines of ``[tool.bigflow.dags]``."""
        (root / "pipelines").mkdir(parents=True)
        (root / "pipelines" / "__init__.py").touch()
        (root / "project_setup.py").write_text(_SETUP_SCRIPT)
        (root / "pyproject.toml").write_text(f"[tool.bigflow.dags]\n{settings}\n")
        return cls(root)

    @property
    def dags(self) -> Path:
        return self.root / ".dags"

    def build(
        self,
        *workflows: WorkflowDescription,
        image: str = IMAGE,
        version: str = "1.2.0",
        commit: str | None = COMMIT,
        start_time: datetime = START_TIME,
        takeover: datetime | None = None,
        drained: Sequence[str] = (),
        only: Sequence[str] = (),
    ) -> DagFiles:
        """Build the DAGs. With ``takeover`` they take over from those of the last build."""
        project = read_project(self.root)
        # A cached property, which would run git.
        vars(project)["version"] = ProjectVersion(text=version, source="test", commit=commit)
        deployed = None
        if takeover is not None:
            deployed = Deployed(
                manifest=read_manifest(self.dags),
                takeover=takeover,
                keep_days=project.settings.dags.keep_retired_days,
                drained=frozenset(drained),
            )
        with transaction(self.root) as running:
            dags = build_dags(
                project,
                workflows,
                image=image,
                start_time=start_time,
                outputs=running.outputs,
                deployed=deployed,
                only=only,
            )
        files = [dataclasses.replace(file, path=self.root / file.path) for file in dags.files]
        return dataclasses.replace(dags, files=tuple(files))

    def source(self, *workflows: WorkflowDescription, **build: Any) -> DagSource:
        """Return the DAG file of the first of the workflows."""
        return DagSource(self.build(*workflows, **build).files[0].path.read_text("utf-8"))


@dataclass(frozen=True)
class DagSource:
    """A generated file, read independently of the code that writes and verifies it."""

    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def dag(self) -> dict[str, Any]:
        """Return the arguments of the DAG: values of literals, or the source."""
        (call,) = self._calls("DAG")
        return _named(call, {})

    @property
    def tasks(self) -> dict[str, dict[str, Any]]:
        """Return the arguments of each operator, by task id."""
        common = {**self.assigned("common")}
        calls = [_named(call, common) for call in self._calls("KubernetesPodOperator")]
        return {call["task_id"]: call for call in calls}

    @property
    def order(self) -> set[tuple[str, str]]:
        return {
            (ast.literal_eval(node.left.slice), ast.literal_eval(node.right.slice))
            for node in ast.walk(self.tree)
            if isinstance(node, ast.BinOp)
            and isinstance(node.left, ast.Subscript)
            and isinstance(node.right, ast.Subscript)
        }

    @property
    def imports(self) -> list[str]:
        """Return the imports at the top level, in their order."""
        return [
            ast.unparse(node)
            for node in self.tree.body
            if isinstance(node, (ast.Import, ast.ImportFrom))
        ]

    def assigned(self, target: str) -> Any:
        """Return the value that is assigned to a name or an attribute."""
        (found,) = (
            node.value
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == target
        )
        return _read(found)

    def _calls(self, function: str) -> Sequence[ast.Call]:
        return [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == function
        ]


def _named(call: ast.Call, common: dict[str, Any]) -> dict[str, Any]:
    named = {k.arg: _read(k.value) for k in call.keywords if k.arg is not None}
    unpacked = [ast.unparse(k.value) for k in call.keywords if k.arg is None]
    return named | (common if unpacked == ["common"] else {})


def _read(node: ast.expr) -> Any:
    if isinstance(node, ast.Dict):
        keys = [key and ast.literal_eval(key) for key in node.keys]
        return dict(zip(keys, map(_read, node.values), strict=True))
    if isinstance(node, ast.List):
        return [_read(part) for part in node.elts]
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)
