"""Templates of a project: accepted changes, and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from support.descriptions import DagProject, DagSource, job, workflow

if TYPE_CHECKING:
    from pathlib import Path

FLOW = workflow("daily", job("a"), job("b", "a"), description="It's {{ hot }}", tags=("x",))


@pytest.fixture
def project(tmp_path: Path) -> DagProject:
    return DagProject.make(tmp_path / "project", 'template = "deploy/dag.py.j2"')


def render(project: DagProject, body: str) -> DagSource:
    template = project.root / "deploy" / "dag.py.j2"
    template.parent.mkdir(exist_ok=True)
    template.write_text('{% extends "bigflow/dag.py.j2" %}\n' + body, "utf-8")
    return project.source(FLOW)


def refusal(project: DagProject, body: str) -> UserError:
    with pytest.raises(UserError) as caught:
        render(project, body)
    assert not project.dags.exists()
    assert caught.value.message.isprintable()
    assert caught.value.hint.isprintable()
    return caught.value


def test_a_template_that_changes_nothing_gives_our_file(
    tmp_path: Path, project: DagProject
) -> None:
    ours = DagProject.make(tmp_path / "ours").source(FLOW)
    assert render(project, "").text == ours.text


def test_an_argument_of_the_dag(project: DagProject) -> None:
    source = render(
        project,
        "{% block dag_arguments %}{{ super() }}    is_paused_upon_creation=False,\n"
        "    params={{ {'of': dag.package, 'tags': dag.arguments.tags} }},\n{% endblock %}",
    )
    assert source.dag["is_paused_upon_creation"] is False


def test_an_argument_of_the_dag_without_super(project: DagProject) -> None:
    body = """
{% block dag_arguments %}
{% for name, value in dag.arguments.items() %}
    {{ name | name }}={{ value }},
{% endfor %}
    render_template_as_native_obj=False,
{% endblock %}
"""
    assert render(project, body).dag["tags"] == ["x"]


def test_every_block_can_be_extended(project: DagProject) -> None:
    body = """
{% block imports scoped %}
{{ "The first line." }}
{% include "imports.j2" %}
{% endblock %}
{% block constants %}
TEAM = {{ dag.package ~ "'s team" }}
RUNTIME = {{ dag.runtime }}
CONFIG = {{ dag.config }}
{% endblock %}
{% block common_arguments %}
{% for name, value in dag.common.items() %}
        {{ name }}: {{ value }},
{% endfor %}
        'pod_runtime_info_envs': [],
{% endblock %}
{% block task_arguments scoped %}
{% for name, value in task.arguments.items() %}
        {{ name | name }}={{ value }},
{% endfor %}
        doc_md={{ task.task_id ~ " waits for " ~ task.upstream | join(", ") }},
{% endblock %}
{% block dependencies %}
    tasks['a'] >> tasks['b']
{% endblock %}
{% block end %}
print(TEAM)
{% endblock %}
"""
    (project.root / "deploy").mkdir()
    (project.root / "deploy" / "imports.j2").write_text(
        "import datetime\nimport pendulum\n"
        "from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator\n"
        "from airflow.timetables.interval import CronDataIntervalTimetable\n"
        "from airflow import DAG\n"
    )
    source = render(project, body)
    assert source.assigned("TEAM") == "pipelines's team"
    assert source.tasks["b"]["doc_md"] == "b waits for a"
    assert source.tasks["b"]["pod_runtime_info_envs"] == []
    assert source.text.endswith("print(TEAM)\n")


def test_a_template_knows_the_build(project: DagProject) -> None:
    body = "{% block end %}\nBUILD = {{ [dag.version, dag.commit, dag.image] }}\n{% endblock %}"
    assert render(project, body).assigned("BUILD") == [
        "1.2.0",
        "0123456789abcdef0123456789abcdef01234567",
        "registry.example.com/team/pipelines:1.2.0",
    ]


def test_names_of_a_template(project: DagProject) -> None:
    body = """
{% block end %}
import functools

def page(context, *, to: str = "team"):
    global last
    last = [c for c in context if c != to]
    return len(last)

class Pager:
    times = 1
    page = functools.partial(page, to=str(times))

print(Pager, __name__, (n := 1), n, last)
{% endblock %}
"""
    assert render(project, body).text.endswith("n, last)\n")


def test_names_of_a_star_import(project: DagProject) -> None:
    body = "{% block end %}\nfrom os import *\nprint(getcwd())\n{% endblock %}"
    assert render(project, body).text.endswith("print(getcwd())\n")


def test_text_of_a_template_need_not_be_ascii(project: DagProject) -> None:
    body = "{% block end %}\nA = 'łąka'; B = [{{ 'żółw' }}, {{ -1.5 }}]  # ż\n{% endblock %}"
    assert render(project, body).assigned("B") == ["żółw", -1.5]


def test_a_block_without_values_is_source(project: DagProject) -> None:
    body = "{% block end %}{{ super() }}{% block mine %}\nA = 1{% endblock %}\n{% endblock %}"
    assert render(project, body).text.endswith("\nA = 1\n")


def test_text_joined_to_a_block_is_not_source(project: DagProject) -> None:
    body = "{% block dag_arguments %}{{ dag.arguments.description ~ super() }}{% endblock %}"
    assert "is a value, not code" in refusal(project, body).message


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("A = '{{ dag.workflow_id }}'", "has a value in quotes"),
        ('A = """{{ dag.workflow_id }}"""', "has a value in quotes"),
        ("# {{ dag.workflow_id }}", "has a value in quotes, in a comment"),
        ("A{{ 1 }} = 1", "has a value in quotes, in a comment"),
        ("A = {{ 'a' }}{{ 'b' }}", "has a value in quotes, in a comment"),
        ("A = {{ 'a' }} 'b'", "has a value in quotes, in a comment"),
        ("A = {{ 1 }}", None),
        ("A = {{ 1 }}.real", "is not Python"),
        ("A = {{ 1 }}2", "has a value in quotes, in a comment"),
        ("A = f'{ {{ 1 }} }'", None),
    ],
)
def test_places_of_a_value(project: DagProject, expression: str, reason: str | None) -> None:
    body = f"{{% block end %}}\n{expression}\n{{% endblock %}}"
    if reason is None:
        assert render(project, body).text
    else:
        error = refusal(project, body)
        assert error.message.startswith("deploy/dag.py.j2: ")
        assert reason in error.message
        assert error.message.endswith("(workflow daily)")
        before, quoted = (
            expression.partition("{{")[0],
            error.message.partition("of the result, ")[2],
        )
        assert quoted[1:].startswith(before)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "{% block dag_arguments %}{{ super() }}    catchup=False,\n{% endblock %}",
            "keyword argument repeated: catchup",
        ),
        (
            "{% block task_arguments %}\n        task_id='x',\n{% endblock %}",
            "the file must have one task 'a': got 0",
        ),
        ("{% block dag %}{% endblock %}", "the file must have one DAG: got 0"),
        ("{% block end %}\nDAG('other')\n{% endblock %}", "the file must have one DAG: got 2"),
        ("{% block end %}\nx = (\n{% endblock %}", "is not Python"),
        ("{% block end %}\nreturn\n{% endblock %}", "of the result, 'return', is not Python: "),
        ("{% block end %}\nX = = 3\n{% endblock %}", "of the result, 'X = = 3', is not Python: "),
        ("{% block end %}\nx = '\\d'\n{% endblock %}", "is not Python: invalid escape sequence"),
        ("{% block end %}\nx is 1\n{% endblock %}", "is not Python: "),
        (
            "{% block end %}\nKubernetesPodOperator(task_id='a')\n{% endblock %}",
            "the file must have one task 'a': got 2",
        ),
        (
            "{% block end %}\nBashOperator(task_id='c')\n{% endblock %}",
            "has the task type BashOperator; write KubernetesPodOperator",
        ),
        (
            "{% block end %}\nsensors.ExternalTaskSensor(task_id='c')\n{% endblock %}",
            "has the task type ExternalTaskSensor",
        ),
    ],
)
def test_refused_results_of_a_template(project: DagProject, body: str, reason: str) -> None:
    error = refusal(project, body)
    assert error.message.startswith("deploy/dag.py.j2: ")
    assert reason in error.message
    assert error.hint == "docs/how-to/dag-template.md lists what the build checks"


def test_a_template_is_code_of_the_project(project: DagProject) -> None:
    body = """
{% block dependencies %}
    dag.catchup = False
    tasks["a"].retries = 9
{% endblock %}
"""
    assert not render(project, body).order


def test_additions_of_a_template(project: DagProject) -> None:
    body = """
{% block end %}
dag.doc_md = {{ dag.summary }}
tasks["c"] = KubernetesPodOperator(task_id="c", dag=dag)
tasks["b"] >> tasks["c"]
labels = {"a": 1}
labels["b"] = tasks["a"].task_id
labels.update(c=len(tasks))
{% endblock %}
"""
    assert render(project, body).assigned("dag.doc_md").startswith("Airflow DAG of the workflow")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{% block end %}", "deploy/dag.py.j2, line 2: "),
        ("\n\n{% block end %}{{ nothing }}{% endblock %}", "line 4: 'nothing'"),
        (
            "{% block end %}{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}{% endblock %}",
            "line 2: a template, a block or a macro calls itself without end",
        ),
        ("{% block end %}{{ dag.nothing }}{% endblock %}", "line 2: "),
        ("{% block end %}\n{{ dag }}{% endblock %}", "line 3: Dag has no literal"),
        ("{% block end %}{{ 1 / 0 }}{% endblock %}", "line 2: division by zero"),
        ("{% block end %}{{ 'a b' | name }}{% endblock %}", "line 2: 'a b' is not a name"),
        ("{% block end %}{{ 'x' | nothing }}{% endblock %}", "line 2: No filter named 'nothing'"),
        (
            "{% block end %}{% set x %}{{ 1 }}{% endset %}A = {{ x }}{% endblock %}",
            "is a value, not code",
        ),
    ],
)
def test_errors_of_jinja(project: DagProject, body: str, reason: str) -> None:
    error = refusal(project, body)
    assert error.message.startswith("deploy/dag.py.j2, line ")
    assert reason in error.message
    assert error.hint == "docs/how-to/dag-template.md describes the values"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("deploy/dag.py.j2", "which is not a file"),
        ("deploy", "which is not a file"),
        ("", "which is empty"),
        ("../dag.py.j2", "which is not in the project"),
        ("/etc/passwd", "which is not in the project"),
    ],
)
def test_a_path_that_is_not_a_template(tmp_path: Path, name: str, why: str) -> None:
    project = DagProject.make(tmp_path / "project", f"template = {name!r}")
    (project.root / "deploy").mkdir()
    with pytest.raises(UserError) as caught:
        project.build(FLOW)
    assert caught.value.message == (
        f"pyproject.toml: tool.bigflow.dags.template is {name!r}, {why}"
    )


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ('{% block end %}\n{% include "other.j2" %}{% endblock %}', 3),
        ('{% from "other.j2" import macro %}', 2),
    ],
)
def test_an_included_template_that_does_not_exist(
    project: DagProject, body: str, line: int
) -> None:
    error = refusal(project, body)
    assert error.message == f"deploy/dag.py.j2, line {line}: there is no template 'other.j2'"
    assert error.hint == "write bigflow/dag.py.j2, or a file in the directory of deploy/dag.py.j2"


def test_an_extended_template_that_does_not_exist(project: DagProject) -> None:
    template = project.root / "deploy" / "dag.py.j2"
    template.parent.mkdir()
    template.write_text('{% extends "bigflow/dag.j2" %}')
    with pytest.raises(UserError) as caught:
        project.build(FLOW)
    assert caught.value.message == (
        "deploy/dag.py.j2, line 1: there is no template 'bigflow/dag.j2'"
    )


def test_a_template_that_extends_itself(project: DagProject) -> None:
    template = project.root / "deploy" / "dag.py.j2"
    template.parent.mkdir()
    template.write_text('{% extends "dag.py.j2" %}')
    with pytest.raises(UserError, match=r"deploy/dag\.py\.j2, line 1: .* calls itself"):
        project.build(FLOW)


@pytest.mark.parametrize(
    ("included", "message"),
    [
        ("A = 1\n{{ nothing }}", "deploy/parts/end.j2, line 2: 'nothing' is undefined"),
        ("A = 1\n\n{{ nothing", "deploy/parts/end.j2, line 3: unexpected end of template"),
    ],
)
def test_an_error_in_an_included_template(project: DagProject, included: str, message: str) -> None:
    parts = project.root / "deploy" / "parts"
    parts.mkdir(parents=True)
    (parts / "end.j2").write_text(included)
    body = '{% block end %}{% include "parts/end.j2" %}{% endblock %}'
    assert refusal(project, body).message.startswith(message)


def test_an_unknown_block(project: DagProject) -> None:
    error = refusal(project, "\n{% block dag_argments %}    params={},\n{% endblock %}")
    assert error.message == (
        "deploy/dag.py.j2, line 3: bigflow/dag.py.j2 has no block 'dag_argments'"
    )
    assert error.hint == "did you mean 'dag_arguments'?"


@pytest.mark.parametrize("text", ["import os", "{{ 1 }}", "# {{ dag.nothing }}"])
def test_text_outside_of_blocks(project: DagProject, text: str) -> None:
    error = refusal(project, f"{{# a comment #}}\n\n{text}\n{{% block end %}}{{% endblock %}}")
    assert error.message == "deploy/dag.py.j2, line 4: text outside of a block would be lost"


def test_a_template_of_two_generations(project: DagProject) -> None:
    (project.root / "deploy").mkdir()
    (project.root / "deploy" / "base.j2").write_text(
        '{% extends "bigflow/dag.py.j2" %}\n'
        "{% block end %}\n{% block team %}{% endblock %}\n{% endblock %}"
    )
    template = project.root / "deploy" / "dag.py.j2"
    template.write_text('{% extends "base.j2" %}{% block team %}TEAM = {{ "x" }}{% endblock %}')
    assert project.source(FLOW).assigned("TEAM") == "x"


def test_a_template_that_is_not_utf_8(project: DagProject) -> None:
    template = project.root / "deploy" / "dag.py.j2"
    template.parent.mkdir()
    template.write_bytes(b"# \xff")
    with pytest.raises(UserError, match=r"deploy/dag\.py\.j2: .*utf-8"):
        project.build(FLOW)


def test_a_template_may_leave_its_line_endings_as_they_are(project: DagProject) -> None:
    template = project.root / "deploy" / "dag.py.j2"
    template.parent.mkdir()
    template.write_bytes(
        b'{% extends "bigflow/dag.py.j2" %}\r\n{% block end %}\r\nA = {{ 1 }}\r\n{% endblock %}\r\n'
    )
    assert "\r" not in project.source(FLOW).text
