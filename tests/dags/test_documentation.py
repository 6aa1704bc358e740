"""The examples and tables of the pages about DAG files are true."""

from __future__ import annotations

import re
from pathlib import Path

from bigflow_backend.dags.model import Dag
from bigflow_backend.dags.rules.operator_arguments import KINDS
from support.descriptions import DagProject, job, workflow

REPOSITORY = Path(__file__).parents[2]
PAGES = ("how-to/dag.md", "reference/dag.md")
PAGE = "".join((REPOSITORY / "docs" / page).read_text("utf-8") for page in PAGES)
OF_TEMPLATES = (REPOSITORY / "docs/how-to/dag-template.md").read_text("utf-8")
TEMPLATE = REPOSITORY / "src" / "bigflow_backend" / "dags" / "file" / "templates" / "dag.py.j2"


def block(language: str, containing: str) -> str:
    (found,) = (
        text
        for text in re.findall(
            rf"^```{language}[^\n]*\n(.*?)^```", PAGE + OF_TEMPLATES, re.MULTILINE | re.DOTALL
        )
        if containing in text
    )
    return str(found)


def test_the_example_of_a_template(tmp_path: Path) -> None:
    project = DagProject.make(tmp_path / "project", 'template = "dag.py.j2"')
    (project.root / "dag.py.j2").write_text(block("jinja", "extends"))
    dag = project.source(workflow("daily")).dag
    assert dag["is_paused_upon_creation"] is False
    assert dag["user_defined_macros"] == {"team": "weather", "version": "1.2.0"}


def test_the_blocks_of_the_template() -> None:
    documented = re.findall(r"^\| `(\w+)` \|", OF_TEMPLATES.partition("| block |")[2], re.MULTILINE)
    blocks = re.findall(r"{%-? block (\w+)", TEMPLATE.read_text("utf-8"))
    assert sorted(documented[: len(blocks)]) == sorted(blocks)


def test_the_values_of_a_template() -> None:
    rows = re.findall(r"^\| (`.*?`) \|", OF_TEMPLATES.partition("| `dag.` |")[2], re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert documented == {*Dag.__dataclass_fields__, "calls"}


def test_the_arguments_of_operators() -> None:
    listed = PAGE.partition("as plain data:\n")[2].partition("For the objects")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == set(KINDS)


def test_the_example_of_settings(tmp_path: Path) -> None:
    lines = block("toml", "memory-request").partition("[tool.bigflow.dags]\n")[2]
    project = DagProject.make(tmp_path / "project", lines)
    task = project.source(workflow("daily")).tasks["load"]
    assert task["namespace"] == "pipelines"
    assert task["env_vars"]["TZ"] == "UTC"


def test_secrets(tmp_path: Path) -> None:
    project = DagProject.make(tmp_path / "project")
    task = project.source(workflow("daily", job("load", secrets=("db_password",)))).tasks["load"]
    (variable,) = task["pod_runtime_info_envs"]
    assert "name='DB_PASSWORD'" in variable
    assert "V1SecretKeySelector(name='db-password', key='db_password', optional=True)" in variable
