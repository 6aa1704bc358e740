"""The jobs of a workflow as a list, as a Mermaid flowchart, and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bigflow_backend.project.workflows import JobDescription, WorkflowDescription

_FACTS = (
    *("retry_count", "retry_pause_sec", "execution_timeout_sec", "pool", "gpu"),
    *("cpu_request", "cpu_limit", "memory_request", "memory_limit"),
)
"""The attributes of a job that its box in a picture shows."""


def as_list(jobs: Sequence[JobDescription]) -> str:
    """Return a line for each job with the jobs that it waits for."""
    width = max((len(job.id) for job in jobs), default=0)
    return "\n".join(
        f"  {job.id:<{width}}  after {', '.join(job.depends_on)}"
        if job.depends_on
        else f"  {job.id}"
        for job in jobs
    )


def as_mermaid(jobs: Sequence[JobDescription]) -> str:
    """Return a flowchart for https://mermaid.js.org, which GitHub and GitLab draw in Markdown."""
    # `end` and other job ids are words of Mermaid, so the nodes have names of their own.
    nodes = {job.id: f"job{number}" for number, job in enumerate(jobs, 1)}
    lines = ["flowchart TD"]
    lines += [f'    {node}["{job_id}"]' for job_id, node in nodes.items()]
    for job in jobs:
        lines += [f"    {nodes[upstream]} --> {nodes[job.id]}" for upstream in job.depends_on]
    return "\n".join(lines)


def as_svg(workflow: WorkflowDescription) -> str:
    """Return a picture for a browser, which shows facts of the job below the pointer."""
    from bigflow_backend.drawing.graph import Node, draw_graph

    return str(draw_graph(workflow.id, [Node(j.id, j.depends_on, _tip(j)) for j in workflow.jobs]))


def _tip(job: JobDescription) -> str:
    values = {name: getattr(job, name) for name in _FACTS}
    lines = [job.id, *(f"waits for {name}" for name in job.depends_on)]
    lines += [f"{name} {value}" for name, value in values.items() if value is not None]
    return "\n".join(lines)
