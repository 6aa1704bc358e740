"""A build refuses a hostile value, or writes a file with that value: no value becomes code.

This is the proof for our own template. A build verifies only the templates of projects.
"""

from __future__ import annotations

import ast
import functools
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2.sandbox
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bigflow_backend.ground.errors import BigflowWarning, UserError
from support.descriptions import DagProject, DagSource, job, schedule, workflow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bigflow_backend.project.workflows import WorkflowDescription

PIECES = (
    *("PWNED", "{{ PWNED }}", "{{", "}}", "{%", "%}", "{#", "#}", "$", "$(X)", "$$"),
    *("'", '"', "'''", '"""', "\\", "#", ",", ")", "(", "**", "=", "../", " "),
    *("\n", "\r\n", "\n    ", "\t", "\u2028", "\u202e", "\x0c", "\ufeff"),
    *("ż", "\U0001f600", "x", "_1"),
)
LETTERS = {chr(ord("A") + i): piece for i, piece in enumerate(PIECES)}
# Drawing one text, of a letter for each piece, takes a tenth of the time of drawing a list.
HOSTILE = st.text("".join(LETTERS), max_size=8).map(
    lambda letters: "".join(LETTERS[letter] for letter in letters)
)
TEXT = HOSTILE | st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)
LINE = TEXT.map(lambda text: "".join(filter(str.isprintable, text)).strip() or "line")
REFUSED = TEXT | st.sampled_from(["a\0", "\ud800", "", "a\n", " a"])
WORD = st.text("abcxyz_019", max_size=8).map("w{}w".format)
IDS = st.lists(WORD, min_size=1, max_size=3, unique=True)

# Airflow renders some parts of a pod's objects, so the build refuses templates in them.
UNTEMPLATED = LINE.filter(lambda text: not any(mark in text for mark in ("{{", "{%", "{#")))


def table(values: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.just({}) | st.dictionaries(WORD, values, max_size=2)


JOB = {
    "retry_count": st.integers(0, 5),
    "retry_pause_sec": st.integers(0, 100) | st.floats(0, 100),
    "execution_timeout_sec": st.sampled_from([0, 60, 0.5]),
    "memory_limit": st.sampled_from([None, "1Gi"]),
    "pool": st.none() | WORD,
    "priority_weight": st.none() | st.integers(-5, 5),
    "environment": table(TEXT),
    "secrets": st.lists(WORD, max_size=1).map(tuple),
    "labels": table(WORD),
    "annotations": table(TEXT),
    "service_account": st.sampled_from([None, "runner"]),
    "node_selector": table(WORD),
    "operator_arguments": st.fixed_dictionaries(
        {},
        optional={
            "queue": LINE,
            "security_context": st.fixed_dictionaries(
                {"seLinuxOptions": st.dictionaries(st.sampled_from(["level", "role"]), UNTEMPLATED)}
            ),
            "container_security_context": st.fixed_dictionaries(
                {"capabilities": st.fixed_dictionaries({"add": st.lists(UNTEMPLATED, max_size=2)})}
            ),
        },
    ),
}
SCHEDULES = (
    st.sampled_from(["@daily", "0 6 * * *"]).map(lambda cron: schedule("cron", cron))
    | st.integers(1, 10**6).map(lambda seconds: schedule("timedelta", seconds))
    | st.sampled_from(["none", "once", "continuous"]).map(schedule)
)
WORKFLOW = {
    "schedule": SCHEDULES,
    "timezone": st.sampled_from(["UTC", "Europe/Warsaw"]),
    "catchup": st.booleans(),
    "env_variable": st.just("env"),
    "env_default": st.none() | LINE,
    "on_failure_callback": st.sampled_from([None, "team.alerts.failed"]),
    "tags": st.lists(LINE, max_size=2).map(tuple),
    "owner": LINE,
    "description": st.none() | TEXT,
    "doc_md": st.none() | TEXT,
}
# The build must refuse hostile text in these names and keys of tables.
NAMES = ("id", "memory_limit", "pool", "secrets", "service_account", "tables")
WORKFLOW_NAMES = ("id", "timezone", "env_variable", "env_default", "callback", "tags", "owner")

BREAKABLE = (*NAMES, *WORKFLOW_NAMES)


@st.composite
def workflows(draw: st.DrawFn) -> WorkflowDescription:
    ids = draw(IDS)
    jobs = [
        job(job_id, *ids[: i and draw(st.integers(0, i))], **draw(st.fixed_dictionaries(JOB)))
        for i, job_id in enumerate(ids)
    ]
    flow = workflow(
        draw(WORD),
        *jobs,
        **draw(st.fixed_dictionaries(WORKFLOW)),
        module="pipelines.daily",
        variable="flow",
    )
    # One workflow of twenty has a broken name. With more, the build would rarely write a file.
    dice = draw(st.integers(0, 20 * len(BREAKABLE))) - 100
    if 0 <= dice < len(BREAKABLE):
        return with_broken_name(flow, BREAKABLE[dice], draw(REFUSED))
    return flow


def with_broken_name(flow: WorkflowDescription, name: str, text: str) -> WorkflowDescription:
    """Return the workflow with ``text`` as one of its names, or as a name of its last job."""
    *others, last = flow.jobs
    changes: dict[str, Any] = {name: text}
    if name == "callback":
        changes = {"on_failure_callback": text}
    elif name == "tags":
        changes = {"tags": (*flow.tags, text)}
    if name in WORKFLOW_NAMES:
        return replace(flow, **changes)
    if name == "tables":
        tables = ("environment", "labels", "annotations", "node_selector")
        changes = {field: {**getattr(last, field), text: "x"} for field in tables}
    elif name == "secrets":
        changes = {name: (*last.secrets, text)}
    return replace(flow, jobs=(*others, replace(last, **changes)))


@pytest.fixture(scope="module")
def project() -> Iterator[DagProject]:
    with tempfile.TemporaryDirectory() as directory:
        yield DagProject.make(Path(directory) / "project", 'labels = { team = "data" }')


SANDBOX = jinja2.sandbox.SandboxedEnvironment(undefined=jinja2.StrictUndefined)


class Variables(dict[str, str]):
    """``var.value`` without any Variable."""


@functools.cache
def rendered(text: str) -> str:
    return SANDBOX.from_string(text).render(var={"value": Variables()})


KNOWN_NAMES = {
    *("DAG", "CONFIG", "RUNTIME", "KubernetesPodOperator", "common", "dag", "tasks"),
    *("CronDataIntervalTimetable", "DeltaDataIntervalTimetable", "ImportError"),
    *("datetime", "k8s", "on_failure_callback", "pendulum"),
}


def check(project: DagProject, flows: list[WorkflowDescription]) -> bool:
    """Build workflows and compare the files with them. Return False if the build refuses one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BigflowWarning)
            made = project.build(*flows)
    except UserError as error:
        if not (error.message.isprintable() and error.hint.isprintable()):
            raise
        return False
    assert len(list(project.dags.glob("[!.]*"))) == 2 + len(flows)
    for flow, file in zip(flows, made.files, strict=True):
        assert file.path.parent == project.dags
        compare(flow, DagSource(file.path.read_text("ascii")))
    return True


def compare(flow: WorkflowDescription, source: DagSource) -> None:
    compile(source.text, "<dag>", "exec", dont_inherit=True)
    # The class is the same in each file.
    parts = [part for part in source.tree.body if not isinstance(part, ast.ClassDef)]
    nodes = [node for part in parts for node in ast.walk(part)]
    assert {node.id for node in nodes if isinstance(node, ast.Name)} <= KNOWN_NAMES
    dag = source.dag
    assert dag.get("description") == flow.description
    if flow.doc_md is not None:
        assert source.assigned("dag.doc_md").removesuffix("\n") == flow.doc_md.removesuffix("\n")
    assert dag["default_args"]["owner"] == flow.owner
    assert dag["tags"] == list(dict.fromkeys(flow.tags))
    if flow.env_default is not None:
        assert rendered(source.assigned("CONFIG")) == flow.env_default
    tasks = source.tasks
    assert list(tasks) == [job.id for job in flow.jobs]
    for described in flow.jobs:
        task = tasks[described.id]
        environment = {name: rendered(text) for name, text in task["env_vars"].items()}
        expected = {
            name: text.replace("$", "$$") if "$(" in text or "$$" in text else text
            for name, text in described.environment.items()
        }
        assert expected.items() <= environment.items()
        annotations = {key: rendered(text) for key, text in task.get("annotations", {}).items()}
        assert annotations == described.annotations
        assert task.get("pool") == (described.pool or None)
        for name, value in described.operator_arguments.items():
            assert task[name] == value
    assert source.order == {(up, j.id) for j in flow.jobs for up in j.depends_on}


AT_ONCE = 4


def check_examples(project: DagProject, number: int) -> None:
    """Check ``number`` workflows, some in one build: they share an Airflow."""
    accepted: list[bool] = []

    @settings(
        deadline=None,
        max_examples=number // AT_ONCE,
        suppress_health_check=[HealthCheck.too_slow],  # on a busy machine
    )
    @given(flows=st.lists(workflows(), min_size=AT_ONCE, max_size=AT_ONCE))
    def check_each(flows: list[WorkflowDescription]) -> None:
        distinct = [
            replace(flow, id=f"{flow.id}{i}" if flow.id.isidentifier() else flow.id)
            for i, flow in enumerate(flows)
        ]
        accepted.append(check(project, distinct))

    check_each()
    assert sum(accepted) > len(accepted) / 4  # otherwise the test covers only the checks


def test_hostile_workflows(project: DagProject) -> None:
    check_examples(project, 200)


@pytest.mark.slow
def test_thousands_of_hostile_workflows(project: DagProject) -> None:
    check_examples(project, 5000)
