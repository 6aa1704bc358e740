"""Whatever a user writes, a build refuses it or its file says just that: no value becomes code."""

from __future__ import annotations

import ast
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2.sandbox
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bigflow_backend.errors import UserError
from support.descriptions import DagProject, DagSource, job, schedule, workflow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bigflow_backend.describe import WorkflowDescription

PIECES = (
    st.sampled_from(["PWNED", "{{ PWNED }}", "{{", "}}", "{%", "%}", "{#", "#}", "$", "$(X)", "$$"])
    | st.sampled_from(["'", '"', "'''", '"""', "\\", "#", ",", ")", "(", "**", "=", "../", " "])
    | st.sampled_from(["\n", "\r\n", "\n    ", "\t", "\u2028", "\u202e", "\x0c", "\ufeff"])
    | st.sampled_from(["ż", "\U0001f600", "x", "_1"])
)
HOSTILE = st.lists(PIECES, max_size=8).map("".join)
TEXT = HOSTILE | st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)
LINE = TEXT.filter(lambda text: text.isprintable() and text == text.strip() != "")
REFUSED = TEXT | st.sampled_from(["a\0", "\ud800", "", "a\n", " a"])
WORD = st.from_regex(r"\A[a-z][a-z0-9_]{0,8}\Z")


def mostly(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A value that passes its check, more often than not: else no file would ever be made."""
    return st.integers(0, 63).flatmap(lambda dice: REFUSED if dice == 37 else good)


def table(keys: st.SearchStrategy[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.dictionaries(mostly(keys), values, max_size=2)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=4,
)
ARGUMENTS = st.dictionaries(
    st.sampled_from(["affinity", "security_context"]), st.dictionaries(TEXT, PLAIN, max_size=2)
)


@st.composite
def jobs(draw: st.DrawFn) -> list[Any]:
    ids = draw(st.lists(mostly(WORD), min_size=1, max_size=3, unique=True))
    return [
        job(
            job_id,
            *(draw(st.lists(st.sampled_from(ids[:i]), unique=True)) if i else []),
            retry_count=draw(st.integers(0, 5)),
            retry_pause_sec=draw(st.integers(0, 100) | st.floats(0, 100)),
            execution_timeout_sec=draw(st.sampled_from([0, 60, 0.5])),
            memory_limit=draw(st.none() | mostly(st.just("1Gi"))),
            pool=draw(st.none() | mostly(LINE)),
            priority_weight=draw(st.none() | st.integers(-5, 5)),
            environment=draw(table(WORD, mostly(TEXT))),
            secrets=draw(st.lists(mostly(WORD), max_size=1).map(tuple)),
            labels=draw(table(WORD, mostly(WORD))),
            annotations=draw(table(WORD, mostly(TEXT))),
            service_account=draw(st.none() | mostly(st.just("runner"))),
            node_selector=draw(table(WORD, mostly(WORD))),
            operator_arguments=draw(ARGUMENTS),
        )
        for i, job_id in enumerate(ids)
    ]


SCHEDULES = (
    st.sampled_from(["@daily", "0 6 * * *"]).map(lambda cron: schedule("cron", cron))
    | st.integers(1, 10**6).map(lambda seconds: schedule("timedelta", seconds))
    | st.sampled_from(["none", "once", "continuous"]).map(schedule)
)


@st.composite
def workflows(draw: st.DrawFn) -> WorkflowDescription:
    return workflow(
        draw(mostly(WORD)),
        *draw(jobs()),
        module="pipelines.daily",
        variable="flow",
        schedule=draw(SCHEDULES),
        timezone=draw(mostly(st.sampled_from(["UTC", "Europe/Warsaw"]))),
        catchup=draw(st.booleans()),
        env_variable=draw(mostly(st.just("env"))),
        env_default=draw(st.none() | mostly(LINE)),
        on_failure_callback=draw(st.none() | mostly(st.just("team.alerts.failed"))),
        tags=tuple(draw(st.lists(mostly(LINE), max_size=2))),
        owner=draw(mostly(LINE)),
        description=draw(st.none() | mostly(TEXT)),
        doc_md=draw(st.none() | mostly(TEXT)),
    )


@pytest.fixture(scope="module")
def project() -> Iterator[DagProject]:
    with tempfile.TemporaryDirectory() as directory:
        yield DagProject.make(Path(directory) / "project", 'labels = { team = "data" }')


SANDBOX = jinja2.sandbox.SandboxedEnvironment(undefined=jinja2.StrictUndefined)


class Variables(dict[str, str]):
    """``var.value`` without any Variable."""


def rendered(text: str) -> str:
    return SANDBOX.from_string(text).render(var={"value": Variables()})


KNOWN_NAMES = {
    *("DAG", "CONFIG", "RUNTIME", "KubernetesPodOperator", "Secret", "common", "dag", "tasks"),
    *("CronDataIntervalTimetable", "DeltaDataIntervalTimetable", "ImportError"),
    *("datetime", "k8s", "on_failure_callback", "pendulum"),
}


def check(project: DagProject, flow: WorkflowDescription) -> bool:
    """Builds a workflow and compares its file with it; whether it was not refused."""
    try:
        made = project.build(flow)
    except UserError as error:
        if not (error.message.isprintable() and error.hint.isprintable()):
            raise
        return False
    assert made.files[0].path.parent == project.dags
    assert len(list(project.dags.iterdir())) == 3
    source = DagSource(made.files[0].path.read_text("ascii"))
    compile(source.text, "<dag>", "exec", dont_inherit=True)
    names = {node.id for node in ast.walk(source.tree) if isinstance(node, ast.Name)}
    assert names <= KNOWN_NAMES
    assert source.dag.get("description") == flow.description
    if flow.doc_md is not None:
        assert source.assigned("dag.doc_md").removesuffix("\n") == flow.doc_md.removesuffix("\n")
    assert source.dag["default_args"]["owner"] == flow.owner
    assert source.dag["tags"] == list(dict.fromkeys(flow.tags))
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
    return True


def check_examples(project: DagProject, number: int) -> None:
    accepted: list[bool] = []

    @settings(deadline=None, max_examples=number, suppress_health_check=[HealthCheck.too_slow])
    @given(flow=workflows())
    def check_each(flow: WorkflowDescription) -> None:
        accepted.append(check(project, flow))

    check_each()
    assert sum(accepted) > number / 4  # else it would be the checks alone that were tested


def test_hostile_workflows(project: DagProject) -> None:
    check_examples(project, 100)


@pytest.mark.slow
def test_thousands_of_hostile_workflows(project: DagProject) -> None:
    check_examples(project, 5000)
