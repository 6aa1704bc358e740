"""The output of `bigflow describe`: workflows, their values, and the schema."""

from __future__ import annotations

import copy
import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import bigflow
from bigflow import Workflow
from bigflow.describe.discovery import FoundWorkflow
from bigflow.describe.workflows import _describe_workflow
from bigflow.errors import BigflowError
from support.runtime import SAMPLE, describe, write_files

SCHEMA = json.loads((Path(bigflow.__file__).parent / "describe" / "schema.json").read_text("utf-8"))


def valid(document: object) -> bool:
    return bool(jsonschema.Draft202012Validator(SCHEMA).is_valid(document))


class Job:
    """A job that does not inherit and has only the required attributes."""

    def __init__(self, **attributes: Any) -> None:
        self.id = "j"
        vars(self).update(attributes)

    def execute(self, context: object) -> None:
        raise NotImplementedError


def described(workflow: Workflow) -> dict[str, Any]:
    return _describe_workflow(FoundWorkflow(workflow, "p.m", "w"), None)


def described_job(**attributes: Any) -> dict[str, Any]:
    job: dict[str, Any] = described(Workflow("w", [Job(**attributes)]))["jobs"][0]
    return job


class TestSchema:
    def test_the_schema_is_valid(self) -> None:
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--project-package", "runtime_sample"],
            ["--project-package", "runtime_sample", "--start-time", "2026-01-01"],
            ["--deployment-config", "deployment_config.py"],
            ["--deployment-config", "deployment_config.py", "--config", "test"],
            ["--project-package", "nothing_of_that_name"],
        ],
    )
    def test_fits_every_output(self, arguments: list[str]) -> None:
        assert valid(describe(*arguments, cwd=SAMPLE))

    def test_refuses_a_missing_or_added_field(self) -> None:
        answer = describe("--project-package", "runtime_sample", cwd=SAMPLE)
        for path in ([], ["workflows", 0], ["workflows", 1, "jobs", 0]):
            for key in (*at(answer, path), "added"):
                changed = copy.deepcopy(answer)
                if key == "added":
                    at(changed, path)[key] = None
                else:
                    del at(changed, path)[key]
                assert not valid(changed), (path, key)

    def test_refuses_a_value_of_another_type(self) -> None:
        answer = describe("--project-package", "runtime_sample", cwd=SAMPLE)
        for path in ([], ["workflows", 0], ["workflows", 1, "jobs", 0]):
            for key in at(answer, path):
                changed = copy.deepcopy(answer)
                at(changed, path)[key] = 3.5 if "_sec" not in key else "3.5"
                assert not valid(changed), (path, key)


def at(document: Any, path: list[Any]) -> Any:
    for key in path:
        document = document[key]
    return document


def test_the_defaults_are_bigflows() -> None:
    answer = described(Workflow("w", [Job()]))
    job = answer.pop("jobs")[0]
    assert answer == {
        "id": "w",
        "module": "p.m",
        "variable": "w",
        "schedule": {"kind": "cron", "value": "@daily"},
        "timezone": "UTC",
        "start_date": None,
        "start_from": "default",
        "params": {},
        "catchup": True,
        "depends_on_past": True,
        "max_active_runs": None,
        "env_variable": "env",
        "env_default": None,
        "secrets": [],
        "on_failure_callback": None,
        "tags": [],
        "owner": "airflow",
        "description": None,
        "doc_md": None,
    }
    assert job == {
        "id": "j",
        "depends_on": [],
        "retry_count": 3,
        "retry_pause_sec": 60,
        "execution_timeout_sec": 10800,
        "cpu_request": None,
        "cpu_limit": None,
        "memory_request": None,
        "memory_limit": None,
        "gpu": None,
        "pool": None,
        "priority_weight": None,
        "environment": {},
        "secrets": [],
        "labels": {},
        "annotations": {},
        "service_account": None,
        "node_selector": {},
        "tolerations": [],
        "outlets": [],
        "operator_arguments": {},
    }


def test_assets() -> None:
    rides = bigflow.Asset("gs://bucket/rides")
    for schedule in (rides, [rides], (rides,)):
        answer = described(Workflow("w", [Job(outlets=[rides, "s3://b"])], schedule))
        assert answer["schedule"] == {"kind": "assets", "value": ["gs://bucket/rides"]}
        assert answer["jobs"][0]["outlets"] == ["gs://bucket/rides", "s3://b"]


def test_params() -> None:
    days = bigflow.Param(7, "How many", type="integer", minimum=1)
    answer = described(Workflow("w", [Job()], params={"days": days, "x": {"default": 1}}))
    again = {
        "days": {
            "has_default": True,
            "default": 7,
            "description": "How many",
            "limits": {"type": "integer", "minimum": 1},
        },
        "x": {"has_default": True, "default": {"default": 1}, "description": None, "limits": {}},
    }
    assert answer["params"] == again
    assert described(Workflow("w", [Job()], params=again))["params"] == again
    required = described(Workflow("w", [Job()], None, params={"day": bigflow.Param()}))
    assert required["params"]["day"]["has_default"] is False


@pytest.mark.parametrize("value", [{1: 2}, {"a": object()}, {"a": bigflow.Param({1})}, [1]])
def test_params_that_are_not_plain_data(value: Any) -> None:
    with pytest.raises(BigflowError, match="params"):
        described(Workflow("w", [Job()], params=value))


@pytest.mark.parametrize(
    ("start", "zone", "described_start"),
    [
        ("2026-01-31", "UTC", "2026-01-31T00:00:00+00:00"),
        ("2026-07-01", "Europe/Warsaw", "2026-07-01T00:00:00+02:00"),
        ("2026-01-31 06:00", "UTC", "2026-01-31T06:00:00+00:00"),
        ("2026-01-31T06:00:00+02:00", "UTC", "2026-01-31T04:00:00+00:00"),
        (date(2026, 1, 31), "UTC", "2026-01-31T00:00:00+00:00"),
        (datetime(2026, 1, 31, 6), "Europe/Warsaw", "2026-01-31T06:00:00+01:00"),  # noqa: DTZ001
    ],
)
def test_a_fixed_start_date(start: Any, zone: str, described_start: str) -> None:
    workflow = Workflow("w", [Job()], start_date=start, timezone=zone)
    found = FoundWorkflow(workflow, "p.m", "w")
    for built in (datetime(2026, 1, 1), datetime(2030, 1, 1)):  # noqa: DTZ001
        answer = _describe_workflow(found, built)
        assert (answer["start_date"], answer["start_from"]) == (described_start, "start_date")


@pytest.mark.parametrize("start", ["soon", "", 7, "2026-13-01", "2026-01-01T00:00:00.5"])
def test_a_start_date_that_is_not_one(start: Any) -> None:
    found = FoundWorkflow(Workflow("w", [Job()], start_date=start), "p.m", "w")
    with pytest.raises(BigflowError, match="start_date cannot be"):
        _describe_workflow(found, datetime(2026, 1, 1))  # noqa: DTZ001


def test_the_origin_of_a_start_date() -> None:
    own = Workflow("w", [Job()], "@daily", bigflow.hourly_start_time)
    assert described(own)["start_from"] == "factory"


def test_all_attributes_are_described() -> None:
    workflow = {
        "timezone": "Europe/Warsaw",
        "catchup": False,
        "depends_on_past": False,
        "max_active_runs": 4,
        "env_variable": "env_{{x}}\n'",
        "env_default": "dev",
        "secrets": ["a", "b"],
        "on_failure_callback": "alerts.page",
        "tags": ["x"],
        "owner": "team",
        "description": "żółw \ud800 \u2028",
        "doc_md": "# h",
    }
    job = {
        "retry_count": 0,
        "retry_pause_sec": 0.5,
        "execution_timeout_sec": 60,
        "cpu_request": "500m",
        "cpu_limit": "1",
        "memory_request": "1Gi",
        "memory_limit": "2Gi",
        "gpu": 1,
        "pool": "small",
        "priority_weight": -5,
        "environment": {"A": "{{ b }}"},
        "secrets": ["c"],
        "labels": {"team": "x"},
        "annotations": {"a/b": "c"},
        "service_account": "runner",
        "node_selector": {"disk": "ssd"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "tolerationSeconds": 30}],
        "operator_arguments": {"deferrable": True, "x": [1, 2.5, None, {"y": "z"}]},
    }
    answer = described(Workflow("w", [Job(**job)], **workflow))  # type: ignore[arg-type]
    assert {key: answer[key] for key in workflow} == workflow
    assert {key: answer["jobs"][0][key] for key in job} == job


@pytest.mark.parametrize(
    ("interval", "schedule"),
    [
        ("0 6 * * 1", ("cron", "0 6 * * 1")),
        ("@hourly", ("cron", "@hourly")),
        ("@once", ("once", None)),
        ("@continuous", ("continuous", None)),
        (None, ("none", None)),
        (timedelta(hours=2), ("timedelta", 7200)),
        (timedelta(milliseconds=1500), ("timedelta", 1.5)),
    ],
)
def test_schedules(interval: Any, schedule: tuple[str, Any]) -> None:
    answer = described(Workflow("w", [], interval))
    assert (answer["schedule"]["kind"], answer["schedule"]["value"]) == schedule


def test_a_timeout_of_0_or_none_is_the_default() -> None:
    assert described_job(execution_timeout_sec=0)["execution_timeout_sec"] == 10800
    assert described_job(execution_timeout_sec=None)["execution_timeout_sec"] == 10800


def test_a_quantity_can_be_a_number() -> None:
    job = described_job(cpu_request=0.5, memory_limit=2**30)
    assert (job["cpu_request"], job["memory_limit"]) == ("0.5", "1073741824")


def test_tuples_become_lists() -> None:
    assert described_job(secrets=("a",), operator_arguments={"x": (1, 2)})["secrets"] == ["a"]


@pytest.mark.parametrize(
    ("attribute", "value", "reported"),
    [
        ("retry_count", -1, "retry_count cannot be -1"),
        ("retry_count", 2**31, "retry_count cannot be 2147483648"),
        ("retry_pause_sec", 2e9, "retry_pause_sec cannot be 2000000000.0"),
        ("gpu", 1025, "gpu cannot be 1025"),
        ("retry_count", 2.0, "retry_count cannot be 2.0"),
        ("retry_count", True, "retry_count cannot be True"),
        ("retry_count", "3", "retry_count cannot be '3'"),
        ("retry_count", None, "retry_count cannot be None"),
        ("retry_pause_sec", float("nan"), "retry_pause_sec cannot be nan"),
        ("retry_pause_sec", -0.1, "retry_pause_sec cannot be -0.1"),
        ("execution_timeout_sec", float("inf"), "execution_timeout_sec cannot be inf"),
        ("execution_timeout_sec", "60", "execution_timeout_sec cannot be '60'"),
        ("cpu_request", b"1", "cpu_request cannot be b'1'"),
        ("cpu_limit", True, "cpu_limit cannot be True"),
        ("gpu", 0, "gpu cannot be 0"),
        ("gpu", "1", "gpu cannot be '1'"),
        ("pool", 3, "pool cannot be 3"),
        ("priority_weight", 1.5, "priority_weight cannot be 1.5"),
        ("environment", {"A": 1}, "environment['A'] cannot be 1"),
        ("environment", {1: "A"}, "environment cannot be {1: 'A'}"),
        ("environment", [("A", "b")], "environment cannot be [('A', 'b')]"),
        ("secrets", "password", "secrets cannot be 'password'"),
        ("secrets", ["a", 1], "secrets[1] cannot be 1"),
        ("labels", None, "labels cannot be None"),
        ("tolerations", {"key": "gpu"}, "tolerations cannot be {'key': 'gpu'}"),
        ("tolerations", ["gpu"], "tolerations[0] cannot be 'gpu'"),
        (
            "operator_arguments",
            {"x": [{"y": b""}]},
            "operator_arguments['x'][0]['y'] cannot be",
        ),
        ("operator_arguments", {"x": float("nan")}, "operator_arguments['x'] cannot be nan"),
    ],
)
def test_an_invalid_attribute_of_a_job(attribute: str, value: Any, reported: str) -> None:
    with pytest.raises(BigflowError) as caught:
        described_job(**{attribute: value})
    assert caught.value.message.startswith(f"job 'j' of workflow 'w' (p.m): {reported}")
    assert caught.value.hint.startswith("give ")


@pytest.mark.parametrize(
    ("attribute", "value", "reported"),
    [
        ("timezone", "Europe/Warszawa", "unknown time zone 'Europe/Warszawa'"),
        ("timezone", "../Europe/Warsaw", "unknown time zone '../Europe/Warsaw'"),
        ("timezone", "Europe", "unknown time zone 'Europe'"),
        ("timezone", "", "unknown time zone ''"),
        ("timezone", None, "timezone cannot be None"),
        ("catchup", 1, "catchup cannot be 1"),
        ("depends_on_past", "no", "depends_on_past cannot be 'no'"),
        ("max_active_runs", 0, "max_active_runs cannot be 0"),
        ("env_variable", None, "env_variable cannot be None"),
        ("env_default", 1, "env_default cannot be 1"),
        ("secrets", "db", "secrets cannot be 'db'"),
        ("on_failure_callback", print, f"on_failure_callback cannot be {print!r}"),
        ("on_failure_callback", described, "on_failure_callback cannot be <function described>"),
        ("tags", [object()], "tags[0] cannot be <object object>"),
        ("tags", {"a"}, "tags cannot be {'a'}"),
        ("owner", None, "owner cannot be None"),
        ("description", 1, "description cannot be 1"),
        ("doc_md", b"", "doc_md cannot be b''"),
        ("schedule_interval", timedelta(0), "schedule_interval cannot be"),
    ],
)
def test_an_invalid_attribute_of_a_workflow(attribute: str, value: Any, reported: str) -> None:
    with pytest.raises(BigflowError) as caught:
        described(Workflow("w", [], **{attribute: value}))
    assert caught.value.message.startswith(f"workflow 'w' (p.m): {reported}")


def test_a_log_config_of_bigflow(capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"gcp_project_id": "p", "log_level": "INFO"}
    assert described(Workflow("w", [Job()], log_config=settings)) == described(
        Workflow("w", [Job()])
    )
    warning, *more = capsys.readouterr().err.splitlines()
    assert warning.startswith("bigflow: warning: workflow 'w' (")
    assert warning.endswith("): log_config has no effect; the output of a pod is its log")
    assert more == []


def test_utc_needs_no_time_zone_database(tmp_path: Path) -> None:
    write_files(tmp_path, {"p.py": "import bigflow\nw = bigflow.Workflow('w', [])"})
    arguments = ["--project-package", "p", "--start-time", "2026-01-01"]
    answer = describe(*arguments, cwd=tmp_path, env={"PYTHONTZPATH": ""})
    assert answer["workflows"][0]["start_date"] == "2025-12-31T00:00:00+00:00"
