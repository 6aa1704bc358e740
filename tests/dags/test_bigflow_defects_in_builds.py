"""Defects of BigFlow 1.11.3 in builds, D1 to D8, and the behaviour here.

Each test drives a project through the ``bigflow`` command.
"""

from __future__ import annotations

import json

import pytest

from support.flows import PRELUDE, START, Flows


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
    # The last of three fails; nothing of the build before is touched, nor is anything new there.
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
        ("\n\nimport not_there\n", 3, "ModuleNotFoundError: No module named 'not_there'"),
        ("x = 1\nx = = 2\n", 2, "SyntaxError: invalid syntax"),
        ("int('x')\n", 1, "ValueError: invalid literal for int() with base 10: 'x'"),
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
    by_hand = flows.project.run("-m", "bigflow", "run", "--workflow", "good")  # looked for by name
    assert (by_hand.returncode, "executed load" in by_hand.stdout) == (0, True)


def test_d05_main_modules_are_not_run_and_a_pod_imports_no_script(flows: Flows) -> None:
    def leave(name: str) -> str:
        return f"import pathlib\npathlib.Path({name!r}).touch()\n"

    flows.write(__main__=leave("main"), script=leave("script"))
    flows.build()
    left = flows.project.root / "script"
    left.unlink()  # docs/runtime.md: the build imports every module but __main__
    flows.run_pod("good", "load")
    assert not left.exists()
    assert not (flows.project.root / "main").exists()


def test_d06_neither_modules_nor_files_come_in_the_order_of_the_directory(flows: Flows) -> None:
    names = [f"m{(7 * i) % 40:02}" for i in range(40)]
    for name in names:
        module = f"import sys\nprint(__name__, file=sys.stderr)\n{PRELUDE}"
        flows.write(**{name: f'{module}w = bigflow.Workflow("{name}", [Step("load")])\n'})
    done = flows.project.run("-m", "bigflow", "build-dags", f"--start-time={START}")
    imported = [line for line in done.stderr.splitlines() if line.startswith("pipelines.m")]
    assert imported == [f"pipelines.{name}" for name in sorted(names)]
    manifest = json.loads((flows.dags / "manifest.json").read_text("utf-8"))
    assert [dag["workflow"] for dag in manifest["dags"]] == ["good", *sorted(names)]


def test_d07_the_configuration_of_the_command_line_is_honoured(flows: Flows) -> None:
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


@pytest.mark.parametrize("option", ["--bogus-option", "--start-tim=2026-01-01"])
def test_d08_an_unknown_option_is_an_error(flows: Flows, option: str) -> None:
    output = flows.project.run("-m", "bigflow", "build-dags", option)
    assert output.returncode == 2
    assert f"unknown argument {option!r}" in output.stderr
