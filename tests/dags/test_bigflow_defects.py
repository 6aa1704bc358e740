"""Defects D1 to D23 of BigFlow 1.11.3, and the behaviour here.

Each test runs the ``bigflow`` command on a project. ``test_checks.py`` has the values that a build
refuses, ``tests/runtime`` has those that a description refuses, and ``test_airflow.py`` loads the
files in real Airflows.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.flows import PRELUDE, START

if TYPE_CHECKING:
    from pathlib import Path

    from support.flows import Flows


def test_d01_jobs_without_timeout_build_and_a_failure_leaves_the_last_dags(flows: Flows) -> None:
    flows.write(
        """
        class Plain:
            id = "plain"
            def execute(self, context): print("executed plain")

        plain = bigflow.Workflow("plain", [Plain(), Step("zero", execution_timeout_sec=0)])
        """
    )
    flows.build()
    tasks = flows.source("plain").tasks
    assert [tasks[job_id]["execution_timeout"] for job_id in ("plain", "zero")] == [
        "datetime.timedelta(seconds=10800)"
    ] * 2
    assert "executed plain" in flows.run_pod("plain", "plain")
    # The last of three workflows fails. `refusal` compares all files with those of the last build.
    flows.write(zz=PRELUDE + 'zz = bigflow.Workflow("z" * 240, [Step("load")])\n')
    assert flows.refusal("--start-time=2026-02-02 00:00:00").endswith("characters too long")


def test_d02_two_workflows_of_one_id_are_refused_and_both_named(flows: Flows) -> None:
    flows.write(
        one=PRELUDE + 'first = bigflow.Workflow("twice", [Step("a")])\n',
        other=PRELUDE + 'second = bigflow.Workflow("twice", [Step("b")])\n',
    )
    assert flows.refusal() == (
        "two workflows have the id 'twice': pipelines.one.first and pipelines.other.second"
    )


def test_d03_a_workflow_under_two_names_and_in_two_modules_is_one(flows: Flows) -> None:
    flows.write(
        'rides = same = bigflow.Workflow("rides", [Step("load")])\nlisted = [rides]',
        again="from pipelines.workflow import rides, same\nagain = rides\n",
    )
    (dag,) = (dag for dag in flows.build()["dags"] if dag["workflow"] == "rides")
    assert dag["module"] == "pipelines.workflow"
    assert len(list(flows.dags.glob("rides__*"))) == 1
    done = flows.project.run("-m", "bigflow", "build-dags")
    assert "writing 2 DAG files" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line", "problem"),
    [
        ("x = 1\nraise RuntimeError('no\\nluck')\n", 2, "RuntimeError: no luck"),
        ("import sys\n\nsys.exit(0)\n", 3, "SystemExit: 0"),
    ],
)
def test_d04_a_module_that_fails_is_named_with_its_line_and_others_still_run(
    flows: Flows, module: str, line: int, problem: str
) -> None:
    flows.write(broken=module)
    assert flows.refusal() == (
        f"pipelines/broken.py, line {line}: {problem} (importing pipelines.broken)"
    )
    assert "executed load" in flows.run_pod("good", "load")
    by_name = flows.project.run("-m", "bigflow", "run", "--workflow", "good")
    assert (by_name.returncode, "executed load" in by_name.stdout) == (0, True)


def test_d05_a_build_does_not_run_main_and_a_pod_imports_only_its_module(flows: Flows) -> None:
    def leave(name: str) -> str:
        return f"import pathlib\npathlib.Path({name!r}).touch()\n"

    flows.write(__main__=leave("main"), script=leave("script"))
    flows.build()
    left = flows.project.root / "script"
    left.unlink()  # docs/reference/runtime.md: the build imports all modules except __main__
    flows.run_pod("good", "load")
    assert not left.exists()
    assert not (flows.project.root / "main").exists()


def test_d06_modules_and_files_are_in_alphabetical_order(flows: Flows) -> None:
    names = [f"m{(7 * i) % 40:02}" for i in range(40)]
    for name in names:
        module = f"import sys\nprint(__name__, file=sys.stderr)\n{PRELUDE}"
        flows.write(**{name: f'{module}w = bigflow.Workflow("{name}", [Step("load")])\n'})
    done = flows.project.run("-m", "bigflow", "build-dags", f"--start-time={START}")
    imported = [line for line in done.stderr.splitlines() if line.startswith("pipelines.m")]
    assert imported == [f"pipelines.{name}" for name in sorted(names)]
    manifest = json.loads((flows.dags / "manifest.json").read_text("utf-8"))
    assert [dag["workflow"] for dag in manifest["dags"]] == ["good", *sorted(names)]


def test_d07_the_configuration_of_the_command_line_is_used(flows: Flows) -> None:
    flows.write(
        """
        config = bigflow.Config("dev", {"memory": "1Gi"}).add_configuration("prod", {"memory": "8Gi"})
        sized = bigflow.Workflow(
            "sized", [Step("load", memory_request=config.resolve_property("memory"))]
        )
        """  # noqa: E501
    )
    found = {}
    for options in ((), ("-c", "prod")):
        manifest = flows.build(*options)
        task = flows.source("sized").tasks["load"]
        assert task["image"] == manifest["image"]
        found[options] = (task["image"], task["container_resources"])
    resources = "k8s.V1ResourceRequirements(requests={'memory': '%s'})"
    assert found == {
        (): ("registry.example.com/rides-dev:1.2.0", resources % "1Gi"),
        ("-c", "prod"): ("registry.example.com/rides:1.2.0", resources % "8Gi"),
    }
    assert "unknown configuration 'test'" in flows.refusal("--config", "test")


def test_d08_an_unknown_option_is_an_error(flows: Flows) -> None:
    option = "--start-tim=2026-01-01"
    output = flows.project.run("-m", "bigflow", "build-dags", option)
    assert output.returncode == 2
    assert f"unknown argument {option!r}" in output.stderr


def test_d09_an_id_can_be_other_than_the_name_of_a_variable(flows: Flows) -> None:
    flows.write(
        'odd = bigflow.Workflow("odd", [Step("my-job"), Step("class"), Step("1st"), Step("łąka")])'
    )
    flows.build()
    source = flows.source("odd")
    assert list(source.tasks) == ["my-job", "class", "1st", "łąka"]
    assert ("my-job", "class") in source.order
    assert "executed my-job" in flows.run_pod("odd", "my-job")
    # "simple job" is in BigFlow's own documentation.
    flows.write('odd = bigflow.Workflow("odd", [Step("simple job")])')
    assert flows.refusal() == (
        "workflow 'odd', a job: id is 'simple job', which cannot name a DAG or a task"
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
    assert "0x" not in message  # the address of an object helps nobody


def test_d12_a_job_id_must_be_text(flows: Flows) -> None:
    flows.write('numbered = bigflow.Workflow("numbered", [Step(12)])')
    assert "the id of a pipelines.workflow.Step cannot be 12" in flows.refusal()


def test_d13_a_workflow_id_that_airflow_refuses_is_refused(flows: Flows) -> None:
    flows.write("odd = bigflow.Workflow('two words', [Step('load')])")
    assert flows.refusal() == (
        "workflow pipelines.workflow.odd: id is 'two words', which cannot name a DAG or a task"
    )


def test_d14_a_workflow_id_with_a_slash_is_refused(flows: Flows) -> None:
    flows.write('odd = bigflow.Workflow("team/flow", [Step("load")])')
    assert "id is 'team/flow', which cannot name a DAG" in flows.refusal()


def test_d15_a_workflow_id_cannot_lead_out_of_the_dags(flows: Flows) -> None:
    flows.write("odd = bigflow.Workflow('../../escaped', [Step('load')])")
    around = set(flows.project.root.parent.iterdir())
    assert "id is '../../escaped', which cannot name a DAG" in flows.refusal()
    assert set(flows.project.root.parent.iterdir()) == around


def test_d16_text_of_a_workflow_never_becomes_code(flows: Flows, tmp_path: Path) -> None:
    code = f"\n        __import__('pathlib').Path({str(tmp_path / 'executed')!r}).touch()\n"
    flows.write(f"odd = bigflow.Workflow({'x' + code!r}, [Step('load')])")
    assert flows.refusal().endswith(", which cannot name a DAG or a task")
    text = f"x'\"{code}x"
    flows.write(
        f"""
        text = {text!r}
        job = Step("load", environment={{"NOTE": text}}, annotations={{"note": text}})
        odd = bigflow.Workflow("odd", [job], description=text, doc_md=text)
        """
    )
    flows.build()
    source = flows.source("odd")
    assert (source.dag["description"], source.assigned("dag.doc_md")) == (text, text)
    assert source.tasks["load"]["env_vars"]["NOTE"] == text
    assert not (tmp_path / "executed").exists()


def test_d17_a_name_that_templates_cannot_read_is_refused(flows: Flows) -> None:
    variable = "env}}', PWNED, '{{x"
    flows.write(f"odd = bigflow.Workflow('odd', [Step('load')], env_variable={variable!r})")
    assert flows.refusal().startswith(
        f"workflow 'odd': env_variable is {variable!r}, which Airflow's templates cannot read"
    )


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        ("Step('load')", "the schedule of workflow 'odd' cannot be <pipelines.workflow.Step ob"),
        ("'@dayly'", "schedule_interval is '@dayly', not a valid schedule"),
        ("datetime.timedelta(0)", "schedule_interval cannot be datetime.timedelta(0)"),
    ],
)
def test_d18_an_invalid_schedule_is_refused(flows: Flows, schedule: str, problem: str) -> None:
    flows.write(f"odd = bigflow.Workflow('odd', [Step('load')], {schedule})")
    assert problem in flows.refusal()


def test_d19_an_id_that_is_too_long_for_a_file_is_refused(flows: Flows) -> None:
    flows.write(f"odd = bigflow.Workflow({'x' * 260!r}, [Step('load')])")
    assert flows.refusal().endswith("characters too long")


def test_d20_a_workflow_id_must_be_text(flows: Flows) -> None:
    flows.write("\nodd = bigflow.Workflow(None, [Step('load')])")
    assert flows.refusal() == (
        "pipelines/workflow.py, line 10: the id of a workflow cannot be None"
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
        return {path.name: path.read_bytes() for path in flows.dags.glob("[!.]*")}

    def check(start_time: str, starts: dict[str, str]) -> None:
        files = built(start_time, "Asia/Kathmandu")
        assert files == built(start_time, "America/New_York")
        assert len(files) == 7  # five DAGs, the manifest, the image's version
        for name, start in starts.items():
            assert flows.source(name).dag["start_date"] == f"pendulum.datetime({start})"

    check(
        "2020-08-01 14:00:00",
        {
            "UTC": "2020, 8, 1, 14, tz='UTC'",
            "New_York": "2020, 8, 1, 10, tz='America/New_York'",
            "Warsaw": "2020, 8, 1, 16, tz='Europe/Warsaw'",
        },
    )
    check("2020-12-01 14:00:00", {"New_York": "2020, 12, 1, 9, tz='America/New_York'"})


def test_d23_jobs_that_form_a_cycle_are_named_without_a_traceback(flows: Flows) -> None:
    flows.write(
        "a, b, c = Step('a'), Step('b'), Step('c')\n"
        "odd = bigflow.Workflow('odd', {a: [b], b: [c], c: [a]})"
    )
    place, _, cycle = flows.refusal().partition(": the jobs form a cycle: ")
    assert place == "pipelines/workflow.py, line 10"
    assert cycle.removesuffix(" (importing pipelines.workflow)") in {
        "a -> b -> c -> a",
        "b -> c -> a -> b",
        "c -> a -> b -> c",
    }
