"""The jobs of a workflow, drawn: as plain text with a line for each job, and as Mermaid."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bigflow_backend.project.workflows import JobDescription

_UNICODE = "●│─╮╭╯╰┤├┬┴┼"
_ASCII = "*|-+++++++++"
"""A job, and lines into :data:`_DIRECTIONS`."""

_DIRECTIONS = (
    *("up down", "left right"),
    *("down left", "down right", "up left", "up right"),
    *("up down left", "up down right", "down left right", "up left right"),
    "up down left right",
)


def as_text(jobs: Sequence[JobDescription], *, ascii_only: bool = False) -> str:
    """A line for each job, in an order in which they could run, with rails beside it.

    A rail leads down from a job to those that wait for it. Where a line crosses a rail without
    touching it, the rail goes on unbroken. ``jobs`` are in topological order.
    """
    marks = _Marks(_ASCII if ascii_only else _UNICODE)
    drawing = _Drawing(jobs, marks)
    for job in jobs:
        drawing.add(job)
    width = max((len(line.rails) for line in drawing.lines), default=0)
    return "\n".join(f"{line.rails.ljust(width)}  {line.label}".rstrip() for line in drawing.lines)


def as_mermaid(jobs: Sequence[JobDescription]) -> str:
    """A flowchart for https://mermaid.js.org, which GitHub and GitLab show in Markdown."""
    # Names of its own for the nodes: `end` and others mean something to Mermaid.
    nodes = {job.id: f"job{number}" for number, job in enumerate(jobs, 1)}
    lines = ["flowchart TD"]
    lines += [f'    {node}["{job_id}"]' for job_id, node in nodes.items()]
    for job in jobs:
        lines += [f"    {nodes[upstream]} --> {nodes[job.id]}" for upstream in job.depends_on]
    return "\n".join(lines)


class _Marks:
    """The characters of a drawing."""

    def __init__(self, characters: str) -> None:
        self.job, self.down, self.across = characters[0], characters[1], characters[2]
        self._lines = {
            frozenset(directions.split()): characters[i]
            for i, directions in enumerate(_DIRECTIONS, 1)
        }

    def line(self, **directions: bool) -> str:
        """The character that leads into the directions which are true."""
        return self._lines[frozenset(name for name, leads in directions.items() if leads)]


@dataclass
class _Line:
    rails: str
    label: str = ""


@dataclass
class _Drawing:
    jobs: Sequence[JobDescription]
    marks: _Marks
    lines: list[_Line] = field(default_factory=list)
    rails: list[str | None] = field(default_factory=list)
    """The job from which each column's rail comes; None for a free column."""
    waiting: dict[str, int] = field(init=False)
    """How many jobs below wait for a job."""

    def __post_init__(self) -> None:
        self.waiting = {job.id: 0 for job in self.jobs}
        for job in self.jobs:
            for upstream in job.depends_on:
                self.waiting[upstream] += 1

    def add(self, job: JobDescription) -> None:
        """Draws the next job, below a line that joins the rails it waits for."""
        before = list(self.rails)
        joined = [i for i, above in enumerate(before) if above in job.depends_on]
        for upstream in job.depends_on:
            self.waiting[upstream] -= 1
        for i in joined:
            if not self.waiting[before[i] or ""]:
                self.rails[i] = None
        column = self._column(joined)
        if joined and joined != [column]:
            self.lines.append(_Line(self._joint(before, joined, column)))
        cells = [self.marks.down if above else " " for above in self.rails]
        cells[column] = self.marks.job
        self.lines.append(_Line(" ".join(cells).rstrip(), job.id))
        self.rails[column] = job.id if self.waiting[job.id] else None

    def _column(self, joined: Sequence[int]) -> int:
        """Where the job stands: below one it waits for, if that rail ends, else to the right."""
        ended = [i for i in joined if self.rails[i] is None]
        if ended:
            return ended[0]
        # A job that waits for none must not seem to hang below the one that ended above it.
        above = self.lines[-1].rails if self.lines else ""
        for i, rail in enumerate(self.rails):
            if (
                rail is None
                and i > max(joined, default=-1)
                and not above[2 * i : 2 * i + 1].strip()
            ):
                return i
        self.rails.append(None)
        return len(self.rails) - 1

    def _joint(self, before: Sequence[str | None], joined: Collection[int], column: int) -> str:
        """The line that leads from the joined rails to the column of a job."""
        ends = {*joined, column}
        first, last = min(ends), max(ends)
        text = ""
        for i, rail in enumerate(self.rails):
            above = i < len(before) and before[i] is not None
            if i in ends:
                text += self.marks.line(
                    up=above and i in joined,
                    down=rail is not None or i == column,
                    left=i > first,
                    right=i < last,
                )
            elif above:
                text += self.marks.down
            else:
                text += self.marks.across if first < i < last else " "
            text += self.marks.across if first <= i < last else " "
        return text.rstrip()
