"""Drawings of a workflow's jobs: what is drawn is read again, and is the graph."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigflow_backend.dags.graph import as_mermaid, as_text
from support.descriptions import job

if TYPE_CHECKING:
    from bigflow_backend.project.workflows import JobDescription

UP, DOWN = set("│├┤┼╯╰┴"), set("│├┤┼╮╭┬●")


@st.composite
def graphs(draw: st.DrawFn) -> list[JobDescription]:
    """Up to 30 jobs in topological order."""
    jobs: list[JobDescription] = []
    for number in range(draw(st.integers(1, 30))):
        earlier = st.sampled_from([job.id for job in jobs]) if jobs else st.nothing()
        upstream = draw(st.lists(earlier, unique=True, max_size=4)) if jobs else []
        jobs.append(job(f"job_{number}", *upstream))
    return jobs


def edges(jobs: list[JobDescription]) -> set[tuple[str, str]]:
    return {(upstream, job.id) for job in jobs for upstream in job.depends_on}


def read(text: str) -> set[tuple[str, str]]:
    """The edges of a drawing, found by following its lines as an eye would."""
    found = set()
    rails: dict[int, str] = {}
    pending: tuple[int, set[str]] = (0, set())
    lines = ["", *text.split("\n")]
    for above, line in pairwise(lines):
        cells = {i: mark for i, mark in enumerate(line.partition("job_")[0]) if mark != " "}
        label = line[line.find("job_") :] if "job_" in line else None
        for column in [c for c in rails if c not in cells]:
            del rails[column]
        if label is None:
            joined = [c for c, mark in cells.items() if mark not in "│─"]
            sources = {rails[c] for c in joined if cells[c] in UP}
            (target,) = {
                c for c in joined if cells[c] in DOWN and lines_below(lines, line)[c] == "●"
            }
            rails = {c: source for c, source in rails.items() if cells[c] in DOWN}
            pending = (target, sources)
            continue
        (column,) = (c for c, mark in cells.items() if mark == "●")
        if "job_" not in above and above:
            target, sources = pending
            assert target == column
        else:
            touched = above[column : column + 1] in {"●", "│"}
            sources = {rails[column]} if touched else set()
        found |= {(source, label) for source in sources}
        rails[column] = label
    return found


def lines_below(lines: list[str], line: str) -> str:
    return next(below for above, below in pairwise(lines) if above is line)


@given(jobs=graphs())
def test_the_drawing_is_the_graph(jobs: list[JobDescription]) -> None:
    assert read(as_text(jobs)) == edges(jobs)


@given(jobs=graphs())
def test_each_job_has_one_line_and_all_begin_in_one_column(jobs: list[JobDescription]) -> None:
    labelled = [line for line in as_text(jobs).split("\n") if "job_" in line]
    assert [line[line.index("job_") :] for line in labelled] == [job.id for job in jobs]
    assert len({line.index("job_") for line in labelled}) == 1


def test_a_diamond() -> None:
    jobs = [job("load"), job("rain", "load"), job("wind", "load"), job("report", "rain", "wind")]
    assert as_text(jobs).split("\n") == [
        "●    load",
        "├─╮",
        "│ ●  rain",
        "● │  wind",
        "├─╯",
        "●    report",
    ]
    assert as_text(jobs, ascii_only=True).split("\n") == [
        "*    load",
        "+-+",
        "| *  rain",
        "* |  wind",
        "+-+",
        "*    report",
    ]


@pytest.mark.parametrize("number", [1, 30])
def test_a_chain_is_as_long_as_its_jobs(number: int) -> None:
    jobs = [job(f"job_{i}", *([f"job_{i - 1}"] if i else [])) for i in range(number)]
    assert as_text(jobs).split("\n") == [f"●  job_{i}" for i in range(number)]


def test_jobs_that_wait_for_none_are_not_below_each_other() -> None:
    assert as_text([job("a"), job("b"), job("c", "b")]).split("\n") == [
        "●    a",
        "  ●  b",
        "  ●  c",
    ]


def test_mermaid() -> None:
    jobs = [job("end"), job("my-job", "end")]
    assert as_mermaid(jobs).split("\n") == [
        "flowchart TD",
        '    job1["end"]',
        '    job2["my-job"]',
        "    job1 --> job2",
    ]
