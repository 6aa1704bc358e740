"""The values of a rehearsal: what each task did."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SUCCESS = "success"
_ALL_RIGHT = frozenset({SUCCESS, "skipped"})


@dataclass(frozen=True, kw_only=True)
class Try:
    """One try of a task."""

    number: int
    state: str
    """Airflow's state of the task after it: ``success``, ``up_for_retry``, ``failed``, ..."""
    seconds: float
    log: Path
    """The path of its log, relative to the project."""


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """A task at the end of the run."""

    job: str
    state: str
    """Airflow's state of the task."""
    tries: tuple[Try, ...]
    last_lines: tuple[str, ...]
    """The end of the log of a failed task; empty for others."""


@dataclass(frozen=True, kw_only=True)
class WorkflowResult:
    """The run of one workflow."""

    workflow: str
    dag_id: str
    state: str
    """Airflow's state of the run."""
    tasks: tuple[TaskResult, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        return self.state == SUCCESS and all(task.state in _ALL_RIGHT for task in self.tasks)


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """The runs of all rehearsed workflows."""

    airflow: str
    """The full version, such as ``3.3.2``."""
    provider: str
    """The version of apache-airflow-providers-cncf-kubernetes."""
    runtime: str
    """The runtime of the pods: ``docker``, ``podman`` or ``sandbox``."""
    image: str
    workflows: tuple[WorkflowResult, ...]

    @property
    def passed(self) -> bool:
        return all(workflow.passed for workflow in self.workflows)
