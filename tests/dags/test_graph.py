"""The jobs of a workflow as a list, and as a Mermaid flowchart."""

from __future__ import annotations

from bigflow_backend.dags.graph import as_list, as_mermaid
from support.descriptions import job


def test_the_list_names_what_each_job_waits_for() -> None:
    jobs = [job("load"), job("rain", "load"), job("wind", "load"), job("report", "rain", "wind")]
    assert as_list(jobs).split("\n") == [
        "  load",
        "  rain    after load",
        "  wind    after load",
        "  report  after rain, wind",
    ]


def test_mermaid() -> None:
    jobs = [job("end"), job("my-job", "end")]
    assert as_mermaid(jobs).split("\n") == [
        "flowchart TD",
        '    job1["end"]',
        '    job2["my-job"]',
        "    job1 --> job2",
    ]
