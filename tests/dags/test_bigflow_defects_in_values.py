"""Defects of BigFlow 1.11.3 in values of workflows, D9 to D23, and the behaviour here.

Each test drives a project through the ``bigflow`` command, and a real Airflow where the defect came
to light there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from support.airflow import Airflow
    from support.flows import Flows


def test_d09_ids_need_not_be_names_of_variables(flows: Flows, airflow: Airflow) -> None:
    flows.write(
        'odd = bigflow.Workflow("odd", [Step("my-job"), Step("class"), Step("1st"), Step("łąka")])'
    )
    flows.build()
    answer = airflow.read_dags(*flows.dags.glob("*.py"))["odd"]
    assert (answer["errors"], answer["warnings"]) == ([], [])
    (dag,) = answer["dags"].values()
    assert dag["tasks"].keys() == {"my-job", "class", "1st", "łąka"}
    assert dag["tasks"]["class"]["upstream"] == ["my-job"]
    assert "executed my-job" in flows.run_pod("odd", "my-job")
    for job_id in ("my job", "simple job"):  # the second is of BigFlow's own documentation
        flows.write(f'odd = bigflow.Workflow("odd", [Step("{job_id}")])')
        assert flows.refusal() == (
            f"workflow 'odd', a job: id is '{job_id}', which cannot name a DAG or a task"
        )


def test_d10_a_job_id_with_a_dot_is_refused(flows: Flows) -> None:
    flows.write('dotted = bigflow.Workflow("dotted", [Step("a.b")])')
    assert flows.refusal() == (
        "workflow 'dotted', a job: id is 'a.b', which cannot name a DAG or a task"
    )


def test_d11_two_jobs_of_one_id_are_refused(flows: Flows) -> None:
    flows.write('\n\ntwice = bigflow.Workflow("twice", [Step("load"), Step("load")])')
    message = flows.refusal()
    assert message.startswith("pipelines/workflow.py, line 11: two jobs have the id 'load': ")
    assert "0x" not in message  # the address of an object identifies nothing


def test_d12_a_job_id_must_be_text(flows: Flows) -> None:
    flows.write('numbered = bigflow.Workflow("numbered", [Step(12)])')
    assert "the id of a pipelines.workflow.Step cannot be 12" in flows.refusal()


@pytest.mark.parametrize("workflow_id", ["it's", 'say "x"', "two words", "back\\slash", "a\tb"])
def test_d13_a_workflow_id_that_airflow_would_refuse(flows: Flows, workflow_id: str) -> None:
    flows.write(f"odd = bigflow.Workflow({workflow_id!r}, [Step('load')])")
    assert flows.refusal() == (
        f"workflow pipelines.workflow.odd: id is {workflow_id!r}, which cannot name a DAG or a task"
    )


def test_d14_a_workflow_id_with_a_slash_is_refused(flows: Flows) -> None:
    flows.write('odd = bigflow.Workflow("team/flow", [Step("load")])')
    assert "id is 'team/flow', which cannot name a DAG" in flows.refusal()


@pytest.mark.parametrize("workflow_id", ["../../escaped", "..", "/escaped"])
def test_d15_no_workflow_id_writes_outside_of_the_dags(flows: Flows, workflow_id: str) -> None:
    flows.write(f"odd = bigflow.Workflow({workflow_id!r}, [Step('load')])")
    around = set(flows.project.root.parent.iterdir())
    assert f"id is {workflow_id!r}, which cannot name a DAG" in flows.refusal()
    assert set(flows.project.root.parent.iterdir()) == around


def test_d16_nothing_that_a_workflow_says_is_executed_by_airflow(
    flows: Flows, airflow: Airflow, tmp_path: Path
) -> None:
    mark = tmp_path / "executed"
    code = f"\n        __import__('pathlib').Path({str(mark)!r}).touch()\n"
    flows.write(f"odd = bigflow.Workflow({'x' + code!r}, [Step('load')])")
    assert flows.refusal().endswith(", which cannot name a DAG or a task")
    texts = [f"x{code}", f'x"""{code}"""', f"x'''{code}'''", f"x\\{code}", f"x\u2028{code}"]
    flows.write(
        f"""
        texts = {texts!r}
        flows = [
            bigflow.Workflow(
                f"odd_{{i}}",
                [Step("load", environment={{"NOTE": text}}, annotations={{"note": text}})],
                description=text,
                doc_md=text,
            )
            for i, text in enumerate(texts)
        ]
        """
    )
    flows.build()
    answers = airflow.read_dags(*flows.dags.glob("odd_*.py"))
    for i, text in enumerate(texts):
        assert (answers[f"odd_{i}"]["errors"], answers[f"odd_{i}"]["warnings"]) == ([], [])
        (dag,) = answers[f"odd_{i}"]["dags"].values()
        assert (dag["description"], dag["doc_md"]) == (text, text)
        assert dag["tasks"]["load"]["environment"]["NOTE"] == text
    assert not mark.exists()


@pytest.mark.parametrize("variable", ["it's", "a\nb", "env}}', PWNED, '{{x", 'say "x"'])
def test_d17_an_invalid_name_of_a_variable_is_refused(flows: Flows, variable: str) -> None:
    flows.write(f"odd = bigflow.Workflow('odd', [Step('load')], env_variable={variable!r})")
    assert flows.refusal().startswith(
        f"workflow 'odd': env_variable is {variable!r}, which Airflow's templates cannot read"
    )


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        ("pathlib.Path('x')", "the schedule of workflow 'odd' cannot be PosixPath('x')"),
        ("Step('load')", "the schedule of workflow 'odd' cannot be <pipelines.workflow.Step ob"),
        (
            "'61 * * * *'",
            "schedule_interval is '61 * * * *', not a valid schedule: '61' is not valid",
        ),
        ("'@dayly'", "schedule_interval is '@dayly', not a valid schedule"),
        (
            "'* * * *'",
            "schedule_interval is '* * * *', not a valid schedule: it must have five fields",
        ),
        ("'0 0 30 2 *'", "not a valid schedule: its months do not have such a day"),
        ("''", "schedule_interval is '', not a line of text"),
        ("datetime.timedelta(0)", "schedule_interval cannot be datetime.timedelta(0)"),
    ],
)
def test_d18_an_invalid_schedule_is_refused(flows: Flows, schedule: str, problem: str) -> None:
    flows.write(f"odd = bigflow.Workflow('odd', [Step('load')], {schedule})")
    assert problem in flows.refusal()


def test_d19_an_id_that_is_too_long_for_a_file(flows: Flows) -> None:
    flows.write(f"odd = bigflow.Workflow({'x' * 260!r}, [Step('load')])")
    assert flows.refusal().endswith("characters too long")


@pytest.mark.parametrize("workflow_id", ["", None, 12])
def test_d20_an_id_that_is_empty_or_no_text_is_refused(flows: Flows, workflow_id: object) -> None:
    flows.write(f"\nodd = bigflow.Workflow({workflow_id!r}, [Step('load')])")
    assert flows.refusal() == (
        f"pipelines/workflow.py, line 10: the id of a workflow cannot be {workflow_id!r}"
        " (importing pipelines.workflow)"
    )


def test_d21_workflows_in_lists_dicts_and_from_factories_are_found(flows: Flows) -> None:
    flows.write(
        """
        def make(name):
            return bigflow.Workflow(name, [Step("load")])

        listed = [make("in_a_list"), [make("in_a_list_in_it")]]
        by_name = {"x": make("in_a_dict")}
        made = make("from_a_factory")
        """
    )
    found = [dag["workflow"] for dag in flows.build()["dags"]]
    assert found == ["from_a_factory", "good", "in_a_dict", "in_a_list", "in_a_list_in_it"]
    assert "executed load" in flows.run_pod("in_a_list_in_it", "load")


def test_d22_the_first_hour_is_the_start_time_wherever_it_is_built(flows: Flows) -> None:
    flows.write(
        """
        zones = ("UTC", "America/New_York", "Europe/Warsaw", "Asia/Kathmandu")
        flows = [
            bigflow.Workflow(
                zone.rpartition("/")[2], [Step("load")], "@hourly", bigflow.hourly_start_time,
                timezone=zone,
            )
            for zone in zones
        ]
        """
    )

    def built(start_time: str, machine: str) -> dict[str, bytes]:
        flows.build(f"--start-time={start_time}", TZ=machine)
        return {path.name: path.read_bytes() for path in flows.dags.iterdir()}

    summer, winter = "2020-08-01 14:00:00", "2020-12-01 14:00:00"
    for start_time in (summer, winter):
        machines = ("UTC", "America/New_York", "Europe/Warsaw", "Asia/Kathmandu")
        first, *others = [built(start_time, machine) for machine in machines]
        assert all(other == first for other in others)
        assert len(first) == 7  # five DAGs, the manifest, the image's version
    built(summer, "UTC")
    starts = {name: flows.source(name).dag["start_date"] for name in ("UTC", "New_York", "Warsaw")}
    assert starts == {
        "UTC": "pendulum.datetime(2020, 8, 1, 14, tz='UTC')",
        "New_York": "pendulum.datetime(2020, 8, 1, 10, tz='America/New_York')",
        "Warsaw": "pendulum.datetime(2020, 8, 1, 16, tz='Europe/Warsaw')",
    }
    built(winter, "UTC")
    assert flows.source("New_York").dag["start_date"] == (
        "pendulum.datetime(2020, 12, 1, 9, tz='America/New_York')"
    )


@pytest.mark.parametrize(
    ("definition", "circle"),
    [
        ("{a: [b], b: [c], c: [a]}", {"a -> b -> c -> a", "b -> c -> a -> b", "c -> a -> b -> c"}),
        ("{a: [a]}", {"a -> a"}),
    ],
)
def test_d23_jobs_that_wait_for_each_other_are_named_without_a_traceback(
    flows: Flows, definition: str, circle: set[str]
) -> None:
    flows.write(
        f"a, b, c = Step('a'), Step('b'), Step('c')\nodd = bigflow.Workflow('odd', {definition})"
    )
    message = flows.refusal()
    assert message.startswith("pipelines/workflow.py, line 10: the jobs form a cycle: ")
    assert message.partition("cycle: ")[2].removesuffix(" (importing pipelines.workflow)") in circle
