"""The table of attributes: one line is all that a new attribute needs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bigflow.describe.fields import DescribedJob, DescribedWorkflow, attributes_of
from bigflow.describe.values import KINDS
from support.runtime import clean_environment

ROOT = Path(__file__).parents[3]
_GENERATED = ("docs/reference/attributes.md", "src/bigflow/describe/schema.json")


def test_schema_and_documentation_come_from_the_table() -> None:
    command = [sys.executable, str(ROOT / "scripts/reference_pages.py"), "--check", *_GENERATED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("table", [DescribedJob, DescribedWorkflow])
def test_each_attribute_has_a_known_kind_and_a_meaning(table: type) -> None:
    for line in attributes_of(table):
        assert line.kind in KINDS
        assert line.text


_POOL = '    pool: str | None = attribute("the Airflow pool", default=None, argument="pool")\n'
_ADDED = '    queue: str | None = attribute("the queue", default=None, argument="queue")\n'
_USE = r"""
import dataclasses, json
from bigflow import Job, Workflow
from bigflow.describe.discovery import FoundWorkflow
from bigflow.describe.workflows import _describe_workflow
from bigflow_backend.dags.model import _unchanged
from bigflow_backend.dags.rules.location import Location
from bigflow_backend.dags.rules.pod import check_pod
from bigflow_backend.ground.errors import UserError
from bigflow.describe.fields import JobAttributes
from bigflow_backend.project.workflows import read_description

class Load(Job):
    id = "load"
    def execute(self, context): ...

def read(**values):
    workflow = Workflow("w", [Load(**values)])
    described = _describe_workflow(FoundWorkflow(workflow, "p", "w"), None)
    document = {
        "schema": 1, "bigflow": "1", "packages": ["p"], "workflows": [described], "deployment": None
    }
    job = read_description(json.dumps(document).encode(), source="test").workflows[0].jobs[0]
    check_pod(job, Location("job"), secrets=())
    return job

job = read(queue="fast")
print(job.queue, Load.queue, _unchanged(job, JobAttributes))
for wrong in {"queue": "\n"}, {"queue": "fast", "operator_arguments": {"queue": "slow"}}:
    try:
        read(**wrong)
    except UserError as error:
        print(error.message)
print(read(operator_arguments={"queue": "slow"}).queue)
"""


def test_a_new_attribute_is_one_line(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src")
    for name in ("scripts", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    table = tmp_path / "src/bigflow/describe/fields.py"
    text = table.read_text("utf-8")
    assert _POOL in text
    table.write_text(text.replace(_POOL, _POOL + _ADDED), "utf-8")

    def run(*arguments: str) -> str:
        environment = clean_environment({"PYTHONPATH": str(tmp_path / "src")})
        command = [sys.executable, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    assert run("-c", _USE).splitlines() == [
        "fast None {'retries': 3, 'queue': 'fast'}",
        r"job: queue is '\n', which is not valid",
        "job: queue and operator_arguments both set 'queue'",
        "None",
    ]
    run(str(tmp_path / "scripts/reference_pages.py"), *_GENERATED)
    schema = json.loads(table.with_name("schema.json").read_text("utf-8"))
    assert schema["$defs"]["job"]["properties"]["queue"]["type"] == ["string", "null"]
    page = (tmp_path / "docs/reference/attributes.md").read_text("utf-8")
    assert "### `queue`\n\nThe queue.\n\n- Type: text, or `None`\n- Default: `None`\n" in page
