"""Real Airflows load the files: without errors or warnings, and with equal results."""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings

from bigflow_backend.dags.airflow.releases import AirflowRelease, airflow_release
from bigflow_backend.dags.file.literals import airflow_text, kubernetes_text
from support.airflow import AIRFLOW_2, AIRFLOW_3, installed_airflow
from support.descriptions import IMAGE, DagProject, job, param, schedule, workflow
from support.texts import HOSTILE as HOSTILE_TEXT
from support.texts import TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.airflow import Airflow

OTHERS = tuple(
    airflow_release(text)
    for text in ("2.7.3", "2.8.4", "2.9.3", "2.10.5", "3.0.6", "3.1.8", "3.2.2", "3.4.0b2")
)

pytestmark = pytest.mark.airflow

EXECUTED = Path(tempfile.gettempdir()) / f"bigflow-executed-{os.getpid()}"
CODE = f"\n        __import__('pathlib').Path({str(EXECUTED)!r}).touch()\n"
CODES = (f"x{CODE}", f'x"""{CODE}"""', f"x'''{CODE}'''", f"x\\{CODE}", f"x\u2028{CODE}")
"""Texts that create a file if any of them becomes code."""

HOSTILE = "{{ 1 / 0 }} {% raw %} 'quoted' \\ $(HOME) $$ \r\n\u2028 żółw\n"

EVERYTHING = workflow(
    "everything",
    job("extract"),
    job(
        "load",
        "extract",
        retry_count=0,
        execution_timeout_sec=90,
        cpu_request="500m",
        memory_request="256Mi",
        memory_limit="512Mi",
        gpu=1,
        pool="default_pool",
        priority_weight=7,
        environment={"NOTE": HOSTILE},
        secrets=("api_key",),
        labels={"team": "data"},
        annotations={"example.com/note": "x"},
        service_account="runner",
        node_selector={"disk": "ssd"},
        tolerations=({"key": "gpu", "operator": "Exists", "effect": "NoSchedule"},),
    ),
    secrets=("db_password",),
    description=HOSTILE,
    doc_md=HOSTILE + "See README.md",
    tags=("x" * 100,),
    owner="data, platform",
    on_failure_callback="json.dumps",
    max_active_runs=3,
    catchup=False,
    depends_on_past=False,
)

OPERATOR_ARGUMENTS: dict[str, Any] = {
    "active_deadline_seconds": 3600,
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
                ]
            }
        },
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 1,
                    "podAffinityTerm": {
                        "topologyKey": "kubernetes.io/hostname",
                        "labelSelector": {"matchLabels": {"app": "x"}},
                    },
                }
            ]
        },
    },
    "base_container_name": "main",
    "container_security_context": {"runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}},
    "deferrable": True,
    "dns_config": {"nameservers": ["10.0.0.10"], "options": [{"name": "ndots", "value": "2"}]},
    "dnspolicy": "ClusterFirst",
    "env_from": [{"configMapRef": {"name": "settings"}, "prefix": "S_"}],
    "get_logs": False,
    "host_aliases": [{"ip": "10.0.0.1", "hostnames": ["db.example.com"]}],
    "hostname": "worker",
    "hostnetwork": False,
    "ignore_first_depends_on_past": True,
    "image_pull_policy": "Always",
    "log_events_on_failure": False,
    "log_pod_spec_on_failure": False,
    "max_active_tis_per_dag": 2,
    "max_active_tis_per_dagrun": 2,
    "max_retry_delay": 600,
    "on_finish_action": "keep_pod",
    "poll_interval": 1.5,
    "pool_slots": 2,
    "priority_class_name": "high",
    "queue": "default",
    "retry_exponential_backoff": True,
    "schedulername": "other",
    "security_context": {"runAsUser": 1000},
    "skip_on_exit_code": [42, 99],
    "startup_check_interval_seconds": 5,
    "startup_timeout_seconds": 60,
    "subdomain": "workers",
    "termination_grace_period": 30,
    "termination_message_policy": "FallbackToLogsOnError",
    "trigger_rule": "all_done",
    "volume_mounts": [
        {"name": "data", "mountPath": "/data", "subPath": "rides", "readOnly": True},
        {"name": "scratch", "mountPath": "/scratch"},
        {"name": "table", "mountPath": "/table"},
        {"name": "token", "mountPath": "/token"},
    ],
    "volumes": [
        {"name": "data", "persistentVolumeClaim": {"claimName": "rides"}},
        {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
        {"name": "table", "configMap": {"name": "t", "items": [{"key": "a.csv", "path": "a"}]}},
        {"name": "token", "secret": {"secretName": "token", "defaultMode": 0o400}},
    ],
    "wait_for_downstream": True,
    "weight_rule": "absolute",
}

WORKFLOWS = {
    flow.id: flow
    for flow in (
        EVERYTHING,
        workflow("plain"),
        workflow("every", schedule=schedule("timedelta", 7200)),
        workflow("by_hand", schedule=schedule("none")),
        workflow(
            "triggered",
            job("load", outlets=("gs://bucket/report",)),
            schedule=schedule("assets", ("gs://bucket/rides", "s3://bucket/weather")),
        ),
        workflow(
            "asks",
            params={
                "days": param(7, "How many", type="integer", minimum=1),
                "note": param("{{ 1 }}"),
                "options": param({"a": [1, None]}),
            },
        ),
        workflow("arguments", job("load", operator_arguments=OPERATOR_ARGUMENTS)),
        workflow("defaulted", env_variable="no-such.variable", env_default="it's {{ dev"),
        workflow(
            "warsaw",
            timezone="Europe/Warsaw",
            start_date="2026-10-24T00:00:00+02:00",
        ),
        workflow("hourly", schedule=schedule("timedelta", 5400)),
        workflow("weekdays", schedule=schedule("cron", "30 6 * * 1-5")),
        workflow("once", schedule=schedule("once")),
        workflow("by_hand", schedule=schedule("none")),
        workflow("always", schedule=schedule("continuous"), depends_on_past=False),
        workflow("missing", env_variable="no-such.variable"),
        workflow("żółw", job("my-job"), job("class", "my-job"), job("1st"), job("łąka")),
        *(
            workflow(
                f"code_{i}",
                job("load", environment={"NOTE": code}, annotations={"note": code}),
                description=code,
                doc_md=code,
            )
            for i, code in enumerate(CODES)
        ),
    )
}


@pytest.fixture(
    scope="session",
    params=[AIRFLOW_2, AIRFLOW_3, *(pytest.param(r, marks=pytest.mark.slow) for r in OTHERS)],
    ids=lambda release: release.text,
)
def any_airflow(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Airflow]:
    """Each release in turn; of those that are not kept, one at a time takes up space."""
    release: AirflowRelease = request.param
    if release in {AIRFLOW_2, AIRFLOW_3}:
        yield request.getfixturevalue("airflow_2" if release is AIRFLOW_2 else "airflow_3")
        return
    place = tmp_path_factory.mktemp("airflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIGFLOW_AIRFLOW_CACHE", str(place / "cache"))
        yield installed_airflow(release, place / "home")
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    drawn: list[str] = []

    @settings(max_examples=2000, database=None, deadline=None)
    @given(text=HOSTILE_TEXT | TEXT)
    def draw(text: str) -> None:
        drawn.append(text)

    draw()
    return drawn


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> DagProject:
    project = DagProject.make(tmp_path_factory.mktemp("dags") / "project")
    environment = {f"TEXT_{i}": text for i, text in enumerate(texts)}
    project.build(*WORKFLOWS.values(), workflow("texts", job("load", environment=environment)))
    return project


@pytest.fixture(scope="module")
def answers(any_airflow: Airflow, project: DagProject) -> dict[str, Any]:
    """Return the result of one process of the Airflow, for the file of each workflow."""
    airflow = any_airflow.with_variables(AIRFLOW_VAR_ENV="prod")
    return airflow.read_dags(*project.dags.glob("*.py"))


@pytest.fixture(scope="module")
def dags(answers: dict[str, Any]) -> dict[str, Any]:
    return {name: next(iter(answer["dags"].values())) for name, answer in answers.items()}


def test_every_file_loads_without_error_or_warning(answers: dict[str, Any]) -> None:
    assert answers.keys() == {*WORKFLOWS, "texts"}
    for answer in answers.values():
        assert (answer["errors"], answer["warnings"]) == ([], [])
        assert len(answer["dags"]) == 1


def test_attributes_of_a_workflow(dags: dict[str, Any]) -> None:
    dag = dags["everything"]
    assert dag["description"] == HOSTILE
    assert dag["doc_md"] == HOSTILE + "See README.md\n"
    assert (dag["tags"], dag["catchup"], dag["max_active_runs"]) == (["x" * 100], False, 3)
    assert [task["depends_on_past"] for task in dag["tasks"].values()] == [False, False]
    assert all("dumps" in task["callback"] for task in dag["tasks"].values())


def test_attributes_of_a_job(dags: dict[str, Any]) -> None:
    task = dags["everything"]["tasks"]["load"]
    assert task["upstream"] == ["extract"]
    assert task["name"] == "everything--load"
    assert (task["retries"], task["timeout"]) == (0, 90)
    assert task["variables"] == [
        {
            "name": variable,
            "valueFrom": {"secretKeyRef": {"name": name, "key": key, "optional": True}},
        }
        for variable, name, key in (
            ("DB_PASSWORD", "db-password", "db_password"),
            ("API_KEY", "api-key", "api_key"),
        )
    ]
    assert task["command"][-4:] == ["--job", "everything.load", "--secrets", "db_password,api_key"]
    assert task["deadline"] == 90 + 600 + 300
    assert task["messages"] == [False, "FallbackToLogsOnError"]
    assert task["startup_check"] == 1
    assert task["resources"] == {
        "requests": {"cpu": "500m", "memory": "256Mi"},
        "limits": {"memory": "512Mi", "nvidia.com/gpu": "1"},
    }
    assert task["on_finish_action"] == "delete_pod"
    assert task["environment"]["NOTE"] == HOSTILE.replace("$", "$$")
    assert task["environment"]["BIGFLOW_IMAGE"] == IMAGE


def test_the_objects_of_a_pod(dags: dict[str, Any]) -> None:
    found = dags["arguments"]["tasks"]["load"]["objects"]
    assert found == {name: OPERATOR_ARGUMENTS[name] for name in found}


def test_the_command_of_a_pod(dags: dict[str, Any]) -> None:
    assert dags["plain"]["tasks"]["load"]["command"] == [
        *("python", "-m", "bigflow", "run"),
        *("--runtime", "2026-01-02 00:00:00"),
        *("--interval-end=2026-01-03 00:00:00", "--run-id=scheduled__$$(HOME)", "--try-number=1"),
        '--params={"note": "it\\u0027s \\u003c$$(HOME)\\u003e {{ 1 }}"}',
        *("--project-package", "pipelines"),
        *("--module", "pipelines.plain"),
        *("--config", "prod"),
        *("--job", "plain.load"),
    ]


@pytest.mark.parametrize(
    ("name", "runtime"),
    [
        ("plain", "2026-01-02 00:00:00"),  # the last whole day before the request
        ("every", "2026-01-03 02:05:06"),  # two hours before the request
        ("by_hand", "2026-01-03 04:05:06"),
        ("triggered", "2026-01-03 04:05:06"),
    ],
)
def test_a_run_without_a_logical_date(dags: dict[str, Any], name: str, runtime: str) -> None:
    task = dags[name]["tasks"]["load"]
    assert task["runtime without a logical date"] == runtime


def test_params_and_assets(dags: dict[str, Any]) -> None:
    assert dags["asks"]["params"] == {"days": 7, "note": "{{ 1 }}", "options": {"a": [1, None]}}
    assert dags["triggered"]["triggers"] == ["gs://bucket/rides", "s3://bucket/weather"]
    assert dags["triggered"]["tasks"]["load"]["outlets"] == ["gs://bucket/report"]


@pytest.mark.slow
def test_retired_dags_and_their_successors(any_airflow: Airflow, tmp_path: Path) -> None:
    project = DagProject.make(tmp_path / "project")
    flows = [WORKFLOWS[name] for name in ("plain", "by_hand", "triggered", "asks")]
    old = {file.path.name for file in project.build(*flows, version="1.2.0").files}
    takeover = datetime(2026, 1, 10, 10, 30, tzinfo=timezone.utc)
    project.build(*flows, version="1.3.0", takeover=takeover)
    for retired in (True, False):
        files = [path for path in project.dags.glob("*.py") if (path.name in old) is retired]
        answers = any_airflow.read_dags(*files)
        for answer in answers.values():
            assert (answer["errors"], answer["warnings"]) == ([], [])
        dags = {name: next(iter(answer["dags"].values())) for name, answer in answers.items()}
        assert {tuple(dag["tags"]) for dag in dags.values()} == {("retired",) if retired else ()}
        ends = {name: dag["end_date"] for name, dag in dags.items() if dag["end_date"]}
        end = "2026-01-09 23:59:59"
        assert ends == ({"plain": end, "asks": end} if retired else {})
        assert bool(dags["triggered"]["triggers"]) is not retired
        assert {dag["paused"] for dag in dags.values()} == {None if retired else False}


def test_the_default_configuration_of_a_workflow(dags: dict[str, Any]) -> None:
    assert dags["defaulted"]["tasks"]["load"]["command"][15] == "it's {{ dev"


def test_a_missing_variable_fails_the_task_and_is_named(dags: dict[str, Any]) -> None:
    assert "no-such.variable" in dags["missing"]["tasks"]["load"]["command"]["error"]


def test_text_never_becomes_code(dags: dict[str, Any]) -> None:
    for i, code in enumerate(CODES):
        dag = dags[f"code_{i}"]
        assert (dag["description"], dag["doc_md"]) == (code, code)
        assert dag["tasks"]["load"]["environment"]["NOTE"] == code
    assert not EXECUTED.exists()


def test_text_survives_the_templates_of_airflow(dags: dict[str, Any], texts: list[str]) -> None:
    environment = dags["texts"]["tasks"]["load"]["environment"]
    rendered = [environment[f"TEXT_{i}"] for i in range(len(texts))]
    assert rendered == [kubernetes_text(text) for text in texts]
    assert sum(airflow_text(text) != text for text in texts) > len(texts) / 10


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        (
            "plain",  # the run of a day begins when the day has ended
            [
                ("2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"),
                ("2026-01-02T00:00:00+00:00", "2026-01-03T00:00:00+00:00"),
                ("2026-01-03T00:00:00+00:00", "2026-01-04T00:00:00+00:00"),
            ],
        ),
        (
            "warsaw",  # 25 October has 25 hours
            [
                ("2026-10-23T22:00:00+00:00", "2026-10-24T22:00:00+00:00"),
                ("2026-10-24T22:00:00+00:00", "2026-10-25T23:00:00+00:00"),
                ("2026-10-25T23:00:00+00:00", "2026-10-26T23:00:00+00:00"),
            ],
        ),
        (
            "hourly",
            [
                ("2026-01-01T00:00:00+00:00", "2026-01-01T01:30:00+00:00"),
                ("2026-01-01T01:30:00+00:00", "2026-01-01T03:00:00+00:00"),
                ("2026-01-01T03:00:00+00:00", "2026-01-01T04:30:00+00:00"),
            ],
        ),
        (
            "weekdays",  # 2 January is a Friday
            [
                ("2026-01-01T06:30:00+00:00", "2026-01-02T06:30:00+00:00"),
                ("2026-01-02T06:30:00+00:00", "2026-01-05T06:30:00+00:00"),
                ("2026-01-05T06:30:00+00:00", "2026-01-06T06:30:00+00:00"),
            ],
        ),
        ("once", [("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00")]),
        ("by_hand", []),
    ],
)
def test_the_first_runs(dags: dict[str, Any], name: str, runs: list[tuple[str, str]]) -> None:
    found = [tuple(moment.replace(" ", "T") for moment in run) for run in dags[name]["runs"]]
    assert found[:3] == runs


def test_ids_of_every_script(dags: dict[str, Any]) -> None:
    tasks = dags["żółw"]["tasks"]
    assert tasks.keys() == {"my-job", "class", "1st", "łąka"}
    assert tasks["class"]["upstream"] == ["my-job"]
    assert tasks["my-job"]["command"][-1] == "żółw.my-job"
