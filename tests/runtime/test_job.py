"""Job, JobContext and Workflow: names, defaults, and runs."""
# ruff: noqa: DTZ001 - runtimes and start times are naive

from __future__ import annotations

import datetime as dt
from typing import Any
from unittest import mock

import pytest

import bigflow
from bigflow import BigflowError, Job, JobContext, Workflow
from bigflow.job import parse_runtime


class Recorder(Job):
    """Record the contexts of its runs."""

    def __init__(self, *arguments: Any, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.contexts: list[JobContext] = []

    def execute(self, context: JobContext) -> None:
        self.contexts.append(context)


def test_the_defaults_of_a_job() -> None:
    assert (Job.retry_count, Job.retry_pause_sec, Job.execution_timeout_sec) == (3, 60, 10800)


def test_the_defaults_of_a_workflow() -> None:
    workflow = Workflow("w", [])
    assert workflow.schedule_interval == "@daily"
    assert workflow.start_time_factory is bigflow.daily_start_time
    assert (workflow.depends_on_past, workflow.secrets, workflow.env_variable) == (True, (), "env")


def test_the_fields_of_a_context() -> None:
    assert JobContext._fields == (
        *("runtime", "runtime_str", "workflow", "workflow_id", "env"),
        *("run_id", "try_number", "interval_end", "params"),
    )


def test_an_unknown_keyword_names_the_nearest_one() -> None:
    with pytest.raises(
        TypeError, match=r"^Recorder\(\) .*'memory_limits'; did you mean 'memory_limit'"
    ):
        Recorder("a", memory_limits="1Gi")
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'colour'$"):
        Workflow("w", [], colour="green")  # type: ignore[call-arg]


def test_attributes_as_keywords_in_the_class_and_on_the_object() -> None:
    class InClass(Recorder):
        id = "in_class"
        retry_count = 7
        labels = {"team": "weather"}  # noqa: RUF012 - as users write it

    job = InClass(retry_pause_sec=5)
    job.memory_limit = "1Gi"
    assert (job.id, job.retry_count, job.retry_pause_sec) == ("in_class", 7, 5)
    assert (job.execution_timeout_sec, job.labels, job.memory_limit) == (
        10800,
        {"team": "weather"},
        "1Gi",
    )
    assert Recorder("a", retry_count=0).retry_count == 0
    assert Recorder("b").retry_count == 3


def test_a_job_without_execute_cannot_be_created() -> None:
    class Lazy(Job):
        id = "lazy"

    with pytest.raises(TypeError, match="execute"):
        Lazy()  # type: ignore[abstract]


def test_a_workflow_runs_its_jobs_in_order_with_one_context() -> None:
    jobs = [Recorder("a"), Recorder("b")]
    workflow = Workflow("w", jobs)
    workflow.run(dt.datetime(2026, 1, 1, 10))
    contexts = [context for job in jobs for context in job.contexts]
    assert contexts == [contexts[0], contexts[0]]
    assert contexts[0] == JobContext(
        dt.datetime(2026, 1, 1, 10), "2026-01-01 10:00:00", workflow, "w", None
    )


def test_an_older_job_gets_the_runtime_as_text() -> None:
    got = []

    class Old:
        id = "old"

        def run(self, runtime: str) -> None:
            got.append(runtime)

    Workflow("w", [Old()]).run_job("old", "2026-01-01")
    Workflow("w", [Old()]).run_job("old", dt.date(2026, 1, 2))
    assert got == ["2026-01-01", "2026-01-02 00:00:00"]


def test_a_job_runs_outside_of_a_workflow_too() -> None:
    job = Recorder("a")
    job.run("2026-01-01")
    assert job.contexts[0].runtime == dt.datetime(2026, 1, 1)
    assert job.contexts[0].workflow is None


def test_an_unknown_job_is_an_error_that_names_the_others() -> None:
    with pytest.raises(BigflowError) as caught:
        Workflow("w", [Recorder("a"), Recorder("b")]).run_job("c")
    assert caught.value.message == "workflow 'w' has no job 'c'"
    assert caught.value.hint == "its jobs: a, b"


@pytest.mark.parametrize("workflow_id", ["", None, 12, b"w"])
def test_an_id_that_is_not_a_string(workflow_id: Any) -> None:
    with pytest.raises(BigflowError, match="the id of a workflow cannot be"):
        Workflow(workflow_id, [])


@pytest.mark.parametrize("interval", [object(), 3600, ["@daily"]])
def test_a_schedule_of_another_type(interval: Any) -> None:
    with pytest.raises(BigflowError, match="the schedule of workflow 'w' cannot be"):
        Workflow("w", [], interval)


class TestContext:
    def test_the_default_is_the_current_time_in_utc(self) -> None:
        def now() -> dt.datetime:
            return dt.datetime.now(dt.timezone.utc).replace(tzinfo=None)

        before = now().replace(microsecond=0)
        context = JobContext.make()
        assert before <= context.runtime <= now()
        assert context.runtime == parse_runtime(context.runtime_str)

    def test_env_is_bf_env(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("bf_env", "prod")
        assert JobContext.make().env == "prod"
        assert JobContext.make(env="dev").env == "dev"

    def test_of_two_workflow_ids(self) -> None:
        with pytest.raises(BigflowError, match="workflow_id is 'v' but the workflow has 'w'"):
            JobContext.make(workflow=Workflow("w", []), workflow_id="v")

    def test_keeps_given_values(self) -> None:
        context = JobContext.make(runtime=dt.datetime(2026, 1, 1), runtime_str="then")
        assert (context.runtime_str, context.workflow_id) == ("then", None)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31", dt.datetime(2026, 1, 31)),
        ("2026-01-31 07:05", dt.datetime(2026, 1, 31, 7, 5)),
        ("2026-01-31 07:05:09", dt.datetime(2026, 1, 31, 7, 5, 9)),
        ("2026-01-31T07:05", dt.datetime(2026, 1, 31, 7, 5)),
        ("2026-01-31T07:05:09Z", dt.datetime(2026, 1, 31, 7, 5, 9)),
        ("2026-01-31T07:05:09.500000+02:00", dt.datetime(2026, 1, 31, 5, 5, 9)),
    ],
)
def test_runtimes(text: str, moment: dt.datetime) -> None:
    assert parse_runtime(text) == moment


def test_the_text_of_a_runtime_has_the_form_of_airflow() -> None:
    texts = ("2026-01-31", "2026-01-31 07:05", "2026-01-31T09:05+02:00")
    assert [JobContext.make(runtime=text).runtime_str for text in texts] == [
        "2026-01-31",
        "2026-01-31 07:05",
        "2026-01-31 07:05:00",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026",
        "2026-01",
        "2026-02-30",
        "20260131",
        "2026-1-31",
        "2026-W05-6",
        "2026-01-31 07",
        "2026-01-31Z",
        "2026-01-31+02:00",
        "0001-01-01T00:00+02:00",
        "2026-01-31 ",
        " 2026-01-31",
        "2026-01-31\n",
        "٢٠٢٦-01-31",
        "{{ ts }}",
    ],
)
def test_an_invalid_runtime(text: str) -> None:
    with pytest.raises(BigflowError, match="is not a valid date and time"):
        parse_runtime(text)


def test_params_of_a_run_in_this_process() -> None:
    job = Recorder("a")
    workflow = Workflow("w", [job], params={"days": bigflow.Param(7), "mode": "full"})
    workflow.run("2026-01-01")
    workflow.run_job("a", "2026-01-01", params={"days": 1})
    Workflow("other", [job]).run("2026-01-01")
    assert [context.params for context in job.contexts] == [
        {"days": 7, "mode": "full"},
        {"days": 1, "mode": "full"},
        None,
    ]


def test_a_context_with_another_kind_of_workflow() -> None:
    assert JobContext.make(workflow=mock.Mock(workflow_id="w"), runtime="2026-01-01").params is None


def test_a_start_date_and_a_factory() -> None:
    with pytest.raises(BigflowError, match="has a start_date and a start_time_factory"):
        Workflow("w", [], None, bigflow.hourly_start_time, start_date="2026-01-01")
