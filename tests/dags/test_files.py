"""The files of a build and their content."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
from datetime import timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.descriptions import (
    COMMIT,
    IMAGE,
    START_TIME,
    DagProject,
    job,
    schedule,
    workflow,
)

if TYPE_CHECKING:
    from bigflow_backend.project.workflows import WorkflowDescription

DIAMOND = (
    job("extract"),
    job("left", "extract"),
    job("right", "extract"),
    job("report", "left", "right"),
)


_INFERRED = "dag.timetable.infer_manual_data_interval(run_after=dag_run.run_after).end"
_END = f'(dag_run.data_interval_end or {_INFERRED}).strftime("%Y-%m-%d %H:%M:%S")'
OF_RUN = [
    f"--interval-end={{{{ {_END} }}}}",
    "--run-id={{ run_id | replace('$', '$$') }}",
    "--try-number={{ ti.try_number }}",
    "--params={{ params | tojson | replace('$', '$$') }}",
]


@pytest.fixture
def project(tmp_path: Path) -> DagProject:
    return DagProject.make(tmp_path / "project")


def test_the_files_of_a_build(project: DagProject) -> None:
    made = project.build(workflow("daily", *DIAMOND), workflow("hourly"), version="1.2.0+dirty.x")
    names = ["daily", "hourly"]
    ids = [f"{name}__v1_2_0_dirty_x__2026_01_02_03_00_00" for name in names]
    assert [file.dag_id for file in made.files] == ids
    assert [file.workflow_id for file in made.files] == names
    assert [file.path for file in made.files] == [project.dags / f"{i}_dag.py" for i in ids]
    assert made.files[0].tasks == ("extract", "left", "right", "report")
    assert made.files[0].schedule == "@daily"
    assert made.directory == Path(".dags")
    assert (made.image, made.version, made.start_time) == (IMAGE, "1.2.0+dirty.x", START_TIME)
    assert made.seconds > 0
    assert {path.name for path in project.dags.glob("[!.]*")} == {
        *(f"{i}_dag.py" for i in ids),
        "image_version.txt",
        "manifest.json",
    }


def test_image_version_is_in_the_form_that_bigflow_reads(project: DagProject) -> None:
    project.build(workflow("daily"))
    assert (project.dags / "image_version.txt").read_text() == f"{IMAGE}\n"


def test_the_manifest(project: DagProject) -> None:
    project.build(workflow("daily", *DIAMOND, env_variable="stage", env_default="dev"))
    name = "daily__v1_2_0__2026_01_02_03_00_00_dag.py"
    source = (project.dags / name).read_text()
    assert json.loads((project.dags / "manifest.json").read_text()) == {
        "schema": 2,
        "package": "pipelines",
        "version": "1.2.0",
        "commit": COMMIT,
        "image": IMAGE,
        "start_time": "2026-01-02 03:00:00",
        "deploy_before": None,
        "only": [],
        "dags": [
            {
                "dag_id": "daily__v1_2_0__2026_01_02_03_00_00",
                "file": name,
                "workflow": "daily",
                "module": "pipelines.daily",
                "schedule": {"kind": "cron", "value": "@daily"},
                "timezone": "UTC",
                "start_date": "2026-01-01T00:00:00+00:00",
                "config": {"variable": "stage", "default": "dev"},
                "tasks": ["extract", "left", "right", "report"],
                "version": "1.2.0",
                "commit": COMMIT,
                "image": IMAGE,
                "source": source,
                "retired": None,
                "sha256": hashlib.sha256(source.encode()).hexdigest(),
            }
        ],
    }


def digests(directory: Path) -> dict[str, str]:
    files = sorted(directory.iterdir())
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_equal_builds_give_equal_bytes(tmp_path: Path, project: DagProject) -> None:
    other = DagProject(tmp_path / "elsewhere")
    shutil.copytree(project.root, other.root)
    flows = [workflow("daily", *DIAMOND), workflow("hourly", secrets=("db",))]
    project.build(*flows)
    other.build(*flows, start_time=START_TIME.replace(tzinfo=None))
    assert digests(project.dags) == digests(other.dags)
    at_noon = START_TIME.astimezone(timezone(timedelta(hours=9)))
    project.build(*flows, start_time=at_noon)
    assert digests(project.dags) == digests(other.dags)


def test_a_build_replaces_the_last_one(project: DagProject) -> None:
    project.build(workflow("daily"))
    made = project.build(workflow("hourly"))
    assert made.files[0].path.is_file()
    assert not list(project.dags.glob("daily*"))
    assert [path.name for path in project.root.glob(".dags*")] == [".dags"]


def test_the_file_is_ascii(project: DagProject) -> None:
    source = project.source(workflow("żółw", description="Größe \u2028 \u202e", doc_md="# łąka"))
    assert source.text.isascii()
    assert source.dag["description"] == "Größe \u2028 \u202e"
    assert source.assigned("dag.doc_md") == "# łąka"
    assert source.dag["dag_id"].startswith("żółw__v")


def test_imports_are_plain_lines_and_all_are_used(project: DagProject) -> None:
    source = project.source(workflow("daily"))
    assert source.imports == [
        "import datetime",
        "import sys",
        "import pendulum",
        "from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator",
        "from airflow.timetables.interval import CronDataIntervalTimetable",
    ]
    everything = project.source(
        workflow(
            "daily",
            job("load", cpu_request="1", secrets=("db",)),
            schedule=schedule("timedelta", 3600),
            on_failure_callback="team.alerts.on_failure",
        )
    )
    assert everything.imports[3:] == [
        "from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator",
        "from airflow.timetables.interval import DeltaDataIntervalTimetable",
        "from kubernetes.client import models as k8s",
        "from team.alerts import on_failure as on_failure_callback",
    ]


@pytest.mark.parametrize(
    "flow",
    [
        workflow("daily", *DIAMOND),
        workflow("none", schedule=schedule("none")),
        workflow("delta", job("x", gpu=1), schedule=schedule("timedelta", 60), secrets=("db",)),
        workflow("callback", on_failure_callback="team.alerts.on_failure"),
    ],
    ids=lambda flow: flow.id,
)
def test_ruff_finds_nothing(project: DagProject, flow: WorkflowDescription) -> None:
    project.build(flow)
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--preview", "--no-cache"]
    found = subprocess.run(
        [*command, "--select=AIR,F,E9,DTZ", project.dags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert not found.returncode, found.stdout


def test_the_dag(project: DagProject) -> None:
    dag = project.source(workflow("daily")).dag
    assert dag == {
        "dag_id": "daily__v1_2_0__2026_01_02_03_00_00",
        "schedule": "CronDataIntervalTimetable('@daily', timezone='UTC')",
        "start_date": "pendulum.datetime(2026, 1, 1, tz='UTC')",
        "catchup": True,
        "max_active_runs": 100,
        "tags": [],
        "default_args": {"owner": "airflow", "depends_on_past": True},
    }


def test_attributes_of_a_workflow(project: DagProject) -> None:
    source = project.source(
        workflow(
            "daily",
            catchup=False,
            depends_on_past=False,
            max_active_runs=4,
            tags=("weather", "team"),
            owner="data, platform",
            description="It's {{ daily }}",
            doc_md="# {{ 1/0 }}\n",
            on_failure_callback="team.alerts.on_failure",
        )
    )
    expected = {
        "catchup": False,
        "max_active_runs": 4,
        "tags": ["weather", "team"],
        "description": "It's {{ daily }}",
        "default_args": {
            "owner": "data, platform",
            "depends_on_past": False,
            "on_failure_callback": "on_failure_callback",
        },
    }
    assert expected.items() <= source.dag.items()
    assert "doc_md" not in source.dag
    assert source.assigned("dag.doc_md") == "# {{ 1/0 }}\n"


def test_documentation_is_not_read_as_a_path(project: DagProject) -> None:
    source = project.source(workflow("daily", doc_md="See README.md"))
    assert source.assigned("dag.doc_md") == "See README.md\n"


@pytest.mark.parametrize(
    ("kind", "value", "source"),
    [
        ("cron", "30 6 * * 1-5", "CronDataIntervalTimetable('30 6 * * 1-5', timezone='UTC')"),
        (
            "timedelta",
            5400,
            "DeltaDataIntervalTimetable(datetime.timedelta(seconds=5400))",
        ),
        ("none", None, None),
        ("once", None, "@once"),
        ("continuous", None, "@continuous"),
    ],
)
def test_schedules(project: DagProject, kind: str, value: object, source: object) -> None:
    past = kind != "continuous"
    flow = workflow("daily", schedule=schedule(kind, value), depends_on_past=past)
    assert project.source(flow).dag["schedule"] == source


@pytest.mark.parametrize(
    ("zone", "start", "source"),
    [
        ("UTC", "2026-01-01T00:00:00+00:00", "pendulum.datetime(2026, 1, 1, tz='UTC')"),
        (
            "Europe/Warsaw",
            "2026-07-01T06:30:00+02:00",
            "pendulum.datetime(2026, 7, 1, 6, 30, tz='Europe/Warsaw')",
        ),
        (
            "Asia/Kathmandu",
            "2026-01-01T00:00:09+05:45",
            "pendulum.datetime(2026, 1, 1, 0, 0, 9, tz='Asia/Kathmandu')",
        ),
        # The hour that comes twice when the clocks go back.
        (
            "Europe/Warsaw",
            "2026-10-25T02:30:00+02:00",
            "pendulum.datetime(2026, 10, 25, 0, 30, tz='UTC')",
        ),
        (
            "Europe/Warsaw",
            "2026-10-25T02:30:00+01:00",
            "pendulum.datetime(2026, 10, 25, 1, 30, tz='UTC')",
        ),
    ],
)
def test_start_dates(project: DagProject, zone: str, start: str, source: str) -> None:
    dag = project.source(workflow("daily", timezone=zone, start_date=start)).dag
    assert dag["start_date"] == source
    assert dag["schedule"] == f"CronDataIntervalTimetable('@daily', timezone={zone!r})"


def test_the_order_of_tasks(project: DagProject) -> None:
    source = project.source(workflow("daily", *DIAMOND))
    assert list(source.tasks) == ["extract", "left", "right", "report"]
    assert source.order == {
        ("extract", "left"),
        ("extract", "right"),
        ("left", "report"),
        ("right", "report"),
    }


def test_a_task(project: DagProject) -> None:
    source = project.source(workflow("daily"))
    assert source.tasks == {
        "load": {
            "task_id": "load",
            "name": "daily--load",
            "image": IMAGE,
            "image_pull_policy": "IfNotPresent",
            "kubernetes_conn_id": "kubernetes_default",
            "namespace": "composer-user-workloads",
            "config_file": "/home/airflow/composer_kube_config",
            "cmds": [
                *("python", "-m", "bigflow", "run"),
                *("--runtime", "RUNTIME"),
                *OF_RUN,
                *("--project-package", "pipelines"),
                *("--module", "pipelines.daily"),
                *("--config", "CONFIG"),
            ],
            "arguments": ["--job", "daily.load"],
            "retries": 3,
            "retry_delay": "datetime.timedelta(seconds=60)",
            "execution_timeout": "datetime.timedelta(seconds=10800)",
            "env_vars": {"BIGFLOW_IMAGE": IMAGE, "BIGFLOW_COMMIT": COMMIT},
            "labels": {
                "bigflow-workflow": "daily",
                "bigflow-job": "load",
                "bigflow-version": "1.2.0",
            },
            "startup_timeout_seconds": 600,
            "startup_check_interval_seconds": 1,
            "active_deadline_seconds": 10800 + 600 + 300,
            "on_finish_action": "delete_pod",
            "termination_message_policy": "FallbackToLogsOnError",
            "log_pod_spec_on_failure": False,
            "log_events_on_failure": True,
            "get_logs": True,
            "do_xcom_push": False,
        }
    }


def test_attributes_of_a_job(project: DagProject) -> None:
    toleration = {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}
    source = project.source(
        workflow(
            "daily",
            job(
                "load",
                retry_count=0,
                retry_pause_sec=0.5,
                execution_timeout_sec=90.5,
                cpu_request="500m",
                memory_request="512Mi",
                memory_limit="1Gi",
                gpu=2,
                pool="big-one",
                priority_weight=0,
                environment={"RATE": "5%", "PRICE": "$(X) $$"},
                secrets=("api_key", "db"),
                labels={"team": "data"},
                annotations={"a.b/c": "{{ secret }}"},
                service_account="runner",
                node_selector={"disk": "ssd"},
                tolerations=(toleration,),
                operator_arguments={"deferrable": True, "startup_timeout_seconds": 60},
            ),
            secrets=("db",),
        ),
        commit=None,
    )
    task = source.tasks["load"]
    expected = {
        "retries": 0,
        "retry_delay": "datetime.timedelta(seconds=0.5)",
        "container_resources": (
            "k8s.V1ResourceRequirements(requests={'cpu': '500m', 'memory': '512Mi'},"
            " limits={'memory': '1Gi', 'nvidia.com/gpu': '2'})"
        ),
        "pool": "big-one",
        "priority_weight": 0,
        "env_vars": {"RATE": "5%", "PRICE": "$$(X) $$$$", "BIGFLOW_IMAGE": IMAGE},
        "arguments": ["--job", "daily.load", "--secrets", "db,api_key"],
        "pod_runtime_info_envs": [
            f"k8s.V1EnvVar(name={variable!r}, value_from=k8s.V1EnvVarSource(secret_key_ref="
            f"k8s.V1SecretKeySelector(name={name!r}, key={key!r}, optional=True)))"
            for variable, name, key in (("DB", "db", "db"), ("API_KEY", "api-key", "api_key"))
        ],
        "execution_timeout": "datetime.timedelta(seconds=90.5)",
        "active_deadline_seconds": 91 + 60 + 300,
        "annotations": {"a.b/c": "{{ '{{ secret }}' }}"},
        "service_account_name": "runner",
        "node_selector": {"disk": "ssd"},
        "tolerations": [toleration],
        "deferrable": True,
        "startup_timeout_seconds": 60,
    }
    assert expected.items() <= task.items()
    assert task["labels"].items() >= {"team": "data", "bigflow-job": "load"}.items()


def test_shared_arguments_are_written_once(project: DagProject) -> None:
    source = project.source(workflow("daily", job("a"), job("b", retry_count=0)))
    assert "retries" not in source.assigned("common")
    assert source.assigned("common")["image"] == IMAGE
    assert source.text.count(f"'image': '{IMAGE}'") == 1
    assert [task["retries"] for task in source.tasks.values()] == [3, 0]


@pytest.mark.parametrize(
    ("variable", "default", "template"),
    [
        ("env", None, "{{ var.value['env'] }}"),
        ("my-env.x:1", None, "{{ var.value['my-env.x:1'] }}"),
        ("env", "dev", "{{ var.value.get('env', 'dev') }}"),
        ("env", "it's }}", "{{ var.value.get('env', \"it's }}\") }}"),
    ],
)
def test_the_configuration(
    project: DagProject, variable: str, default: str | None, template: str
) -> None:
    flow = workflow("daily", env_variable=variable, env_default=default)
    assert project.source(flow).assigned("CONFIG") == template


def test_an_image_by_digest(project: DagProject) -> None:
    image = f"localhost:5000/team/pipelines@sha256:{'0123456789abcdef' * 4}"
    source = project.source(workflow("daily"), image=image)
    assert source.tasks["load"]["image"] == image
    assert source.tasks["load"]["env_vars"]["BIGFLOW_IMAGE"] == image


SETTINGS = """\
target = "kubernetes"
kubernetes-conn-id = "cluster"
namespace = "pipelines"
tags = ["team", "weather"]
image-pull-policy = "Always"
image-pull-secrets = ["registry", "mirror"]
startup-timeout-seconds = 900
on-finish-action = "keep_pod"
cpu-request = "250m"
memory-limit = "1Gi"
pool = "pods"
service-account = "runner"
environment = { STAGE = "x", RATE = "1" }
labels = { team = "data", app = "x" }
annotations = { note = "a" }
node-selector = { disk = "ssd" }
"""


def test_defaults_of_the_project(tmp_path: Path) -> None:
    own = job(
        "own",
        cpu_request="1",
        pool="own",
        service_account="own",
        environment={"RATE": "2"},
        labels={"app": "y"},
    )
    project = DagProject.make(tmp_path / "project", SETTINGS)
    source = project.source(workflow("daily", job("plain"), own, tags=("weather", "hot")))
    assert source.dag["tags"] == ["team", "weather", "hot"]
    plain, other = source.tasks["plain"], source.tasks["own"]
    for task in (plain, other):
        expected = {
            "kubernetes_conn_id": "cluster",
            "namespace": "pipelines",
            "image_pull_policy": "Always",
            "image_pull_secrets": "registry,mirror",
            "startup_timeout_seconds": 900,
            "on_finish_action": "keep_pod",
            "annotations": {"note": "a"},
            "node_selector": {"disk": "ssd"},
        }
        assert expected.items() <= task.items()
        assert "config_file" not in task
        assert "in_cluster" not in task
    assert (plain["pool"], other["pool"]) == ("pods", "own")
    assert (plain["service_account_name"], other["service_account_name"]) == ("runner", "own")
    assert plain["env_vars"].items() >= {"STAGE": "x", "RATE": "1"}.items()
    assert other["env_vars"].items() >= {"STAGE": "x", "RATE": "2"}.items()
    assert other["labels"].items() >= {"team": "data", "app": "y"}.items()
    assert "requests={'cpu': '250m'}, limits={'memory': '1Gi'}" in plain["container_resources"]
    assert "requests={'cpu': '1'}, limits={'memory': '1Gi'}" in other["container_resources"]


def test_target_kubernetes_has_a_namespace_only_if_it_is_set(tmp_path: Path) -> None:
    project = DagProject.make(tmp_path / "project", 'target = "kubernetes"')
    task = project.source(workflow("daily")).tasks["load"]
    assert task["kubernetes_conn_id"] == "kubernetes_default"
    assert not {"namespace", "config_file", "in_cluster", "image_pull_secrets"}.intersection(task)


@pytest.mark.parametrize("job_id", ["class", "tasks", "my-job", "DAG", "żółw", "_x", "1st"])
def test_ids_that_are_not_names_of_variables(project: DagProject, job_id: str) -> None:
    source = project.source(workflow("daily", job(job_id), job("last", job_id)))
    assert list(source.tasks) == [job_id, "last"]
    assert source.order == {(job_id, "last")}


def test_a_description_without_a_start_time_is_not_a_user_error(project: DagProject) -> None:
    with pytest.raises(ValueError, match="without a start time"):
        project.build(workflow("daily", start_date=None))


def test_many_workflows_keep_their_order(project: DagProject) -> None:
    flows = [workflow(f"flow_{i}") for i in range(30)]
    made = project.build(*flows)
    assert [file.workflow_id for file in made.files] == [flow.id for flow in flows]


def test_a_build_does_not_change_its_descriptions(project: DagProject) -> None:
    flow = workflow("daily", job("x", environment={"A": "1"}), tags=("t",))
    before: dict[str, Any] = dataclasses.asdict(flow)
    project.build(flow)
    assert dataclasses.asdict(flow) == before
