"""The build refuses invalid values, with the workflow, the job and the field."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import BigflowWarning, UserError
from support.descriptions import DagProject, job, param, schedule, workflow

if TYPE_CHECKING:
    from pathlib import Path

    from bigflow_backend.project.workflows import WorkflowDescription


@pytest.fixture
def project(tmp_path: Path) -> DagProject:
    return DagProject.make(tmp_path / "project")


def refusal(project: DagProject, *workflows: WorkflowDescription, **build: Any) -> UserError:
    """Return the error of a build; it has two lines, and ``.dags/`` stays unchanged."""
    project.dags.mkdir()
    (project.dags / "of_the_last_build").touch()
    with pytest.raises(UserError) as caught:
        project.build(*workflows, **build)
    assert [path.name for path in project.dags.iterdir()] == ["of_the_last_build"]
    assert caught.value.message.isprintable()
    assert caught.value.hint.isprintable()
    assert caught.value.hint
    return caught.value


WRONG_WORKFLOWS: list[tuple[str, Any]] = [
    ("env_variable", ""),
    ("env_variable", "my env"),
    ("env_variable", "env}}', PWNED, '{{x"),
    ("env_variable", "env\n"),
    ("env_variable", "env?x"),
    ("env_variable", "__class__"),
    ("env_variable", "get"),
    ("env_variable", "x" * 251),
    ("env_default", ""),
    ("env_default", "dev\nprod"),
    ("env_default", "-x"),
    ("timezone", "Mars/Olympus"),
    ("timezone", "../../etc/passwd"),
    ("timezone", "localtime"),
    ("start_date", "0001-03-30T00:00:00+00:00"),
    ("start_date", "1969-12-31T00:00:00+01:00"),
    ("start_date", "2201-01-01T00:00:00+00:00"),
    ("secrets", ("db-password",)),
    ("secrets", ("_db",)),
    ("secrets", ("db_",)),
    ("secrets", ("1db",)),
    ("secrets", ("x" * 64,)),
    ("secrets", ("db\n",)),
    ("on_failure_callback", "alert"),
    ("on_failure_callback", "__future__.annotations"),
    ("on_failure_callback", "alerts.on failure"),
    ("on_failure_callback", "alerts.class"),
    ("on_failure_callback", "os;import os.path"),
    ("tags", ("x" * 101,)),
    ("tags", ("",)),
    ("tags", ("a\nb",)),
    ("owner", ""),
    ("owner", "x" * 501),
    ("description", "a\0b"),
    ("doc_md", "\ud800"),
]


@pytest.mark.parametrize(("field", "value"), WRONG_WORKFLOWS)
def test_values_of_a_workflow(project: DagProject, field: str, value: Any) -> None:
    error = refusal(project, workflow("daily", **{field: value}))
    assert error.message.startswith(f"workflow 'daily': {field} is ")


@pytest.mark.parametrize(
    "params",
    [
        {"": param(1)},
        {"a\0": param(1)},
        {"a": param("\0")},
        {"a": param(1, minimum=2)},
        {"a": param(1, exclusiveMaximum=1)},
        {"a": param("x", type="integer")},
        {"a": param(True, type=["number", "null"])},
        {"a": param("x", enum=["y"])},
        {"a": param("x", pattern="^y")},
        {"a": param("x", pattern="(")},
        {"a": param("xyz", maxLength=2)},
        {"a": param(1, type="int")},
        {"a": param(1, lowest=1)},
        {"a": {**param(None), "has_default": False}},
    ],
)
def test_params(project: DagProject, params: Any) -> None:
    error = refusal(project, workflow("daily", params=params))
    assert error.message.startswith("workflow 'daily': params")


@pytest.mark.parametrize(
    "uris",
    [
        ("gs://a", "gs://a"),
        ("airflow://x",),
        ("gs://ą",),
        ("gs://a#b",),
        ("gs://user:x@a",),
        ("",),
        ("gs://" + "x" * 1500,),
    ],
)
def test_assets(project: DagProject, uris: tuple[str, ...]) -> None:
    error = refusal(project, workflow("daily", schedule=schedule("assets", uris)))
    assert error.message.startswith("workflow 'daily': schedule_interval is ")
    shutil.rmtree(project.dags)
    error = refusal(project, workflow("daily", job("load", outlets=uris)))
    assert error.message.startswith("workflow 'daily', job 'load': outlets is ")


WRONG_JOBS: list[tuple[str, Any]] = [
    ("cpu_request", "half"),
    ("cpu_request", "0"),
    ("cpu_limit", "-1"),
    ("memory_request", "1 GB"),
    ("memory_limit", "1gi"),
    ("pool", ""),
    ("pool", "x" * 251),
    ("pool", "my pool"),
    ("pool", "{%"),
    ("pool", "żółw"),
    ("pool", "pool\n"),
    ("secrets", ("a b",)),
    ("service_account", "Runner"),
    ("service_account", "runner\n"),
]


@pytest.mark.parametrize(("field", "value"), WRONG_JOBS)
def test_values_of_a_job(project: DagProject, field: str, value: Any) -> None:
    error = refusal(project, workflow("daily", job("load", **{field: value})))
    assert error.message.startswith(f"workflow 'daily', job 'load': {field} is ")


WRONG_ITEMS: list[tuple[str, Any, str]] = [
    ("environment", {"1X": ""}, "environment has the key '1X'"),
    ("environment", {"A-B": ""}, "environment has the key 'A-B'"),
    ("environment", {"A\n": ""}, r"environment has the key 'A\n'"),
    ("labels", {"a b": "x"}, "labels has the key 'a b'"),
    ("annotations", {"a/b/c": "x"}, "annotations has the key 'a/b/c'"),
    ("node_selector", {"": "x"}, "node_selector has the key ''"),
    ("environment", {"A": "x\0"}, "environment['A'] is"),
    ("environment", {"BIGFLOW_IMAGE": "x"}, "environment has 'BIGFLOW_IMAGE'"),
    ("labels", {"app": "a b"}, "labels['app'] is 'a b'"),
    ("labels", {"app": "żółw"}, "labels['app'] is"),
    ("labels", {"app": "x\n"}, r"labels['app'] is 'x\n'"),
    ("labels", {"bigflow-job": "x"}, "labels has 'bigflow-job'"),
    ("labels", {"dag_id": "x"}, "labels has 'dag_id'"),
    ("node_selector", {"pool": "a b"}, "node_selector['pool'] is"),
    ("annotations", {"a": "x" * (256 * 1024)}, "its annotations have 262145 bytes"),
    ("tolerations", ({"taint": "x"},), "tolerations[0] is"),
    ("tolerations", ({"key": "a", "operator": "In"},), "neither Equal nor Exists"),
    ("tolerations", ({"key": "a", "effect": "Never"},), "whose effect is not one of"),
    ("tolerations", ({"value": "a"},), "has no key"),
    ("tolerations", ({"key": "a", "value": "b c"},), "whose value is not valid"),
    ("tolerations", ({"key": "a b"},), "whose key is not valid"),
    ("tolerations", ({"key": "a", "operator": "Exists", "value": "b"},), "has a value"),
    ("tolerations", ({"key": "a", "tolerationSeconds": 5},), "not NoExecute"),
    (
        "tolerations",
        ({"key": "a", "effect": "NoExecute", "tolerationSeconds": "5"},),
        "not a whole number",
    ),
    ("operator_arguments", {"image": "x"}, "operator_arguments has 'image'"),
    ("operator_arguments", {"deferable": True}, "operator_arguments has 'deferable'"),
    ("operator_arguments", {"deferrable": "yes"}, "operator_arguments['deferrable'] is 'yes'"),
    ("operator_arguments", {"on_finish_action": "delete_active_pod"}, "on_finish_action"),
    ("operator_arguments", {"affinity": {"a": "\0"}}, "operator_arguments['affinity']['a'] is"),
    ("operator_arguments", {"affinity": []}, "operator_arguments['affinity'] is []"),
    ("operator_arguments", {"affinity": {"node_affinity": {}}}, "['affinity'] has 'node_affinity'"),
    (
        "operator_arguments",
        {"security_context": {"run_as_user": 1000}},
        "operator_arguments['security_context'] has 'run_as_user', which is not a key",
    ),
    ("operator_arguments", {"security_context": {"runAsUser": 2**63}}, "['runAsUser'] is"),
    ("operator_arguments", {"security_context": {"privileged": True}}, "has 'privileged'"),
    (
        "operator_arguments",
        {"container_security_context": {"capabilities": {"drop": "ALL"}}},
        "['capabilities']['drop'] is 'ALL'",
    ),
    ("operator_arguments", {"volumes": {"name": "data"}}, "operator_arguments['volumes'] is"),
    ("operator_arguments", {"volumes": [{"name": "data"}]}, "exactly one of configMap, csi"),
    (
        "operator_arguments",
        {"volumes": [{"name": "data", "emptyDir": {}, "secret": {"secretName": "x"}}]},
        "exactly one of configMap, csi",
    ),
    (
        "operator_arguments",
        {"volumes": [{"name": "data", "persistentVolumeClaim": {"claim_name": "x"}}]},
        "['volumes'][0]['persistentVolumeClaim'] has 'claim_name'",
    ),
    (
        "operator_arguments",
        {"volumes": [{"name": "data", "persistentVolumeClaim": {}}]},
        "['persistentVolumeClaim'] has no 'claimName'",
    ),
    (
        "operator_arguments",
        {"volumes": [{"name": "d", "configMap": {"name": "{{ x }}"}}]},
        "['configMap']['name'] is '{{ x }}'",
    ),
    (
        "operator_arguments",
        {"volumes": [{"name": "d", "emptyDir": {}}, {"name": "d", "emptyDir": {}}]},
        "operator_arguments['volumes'] has 'd' twice",
    ),
    (
        "operator_arguments",
        {"volume_mounts": [{"name": "data", "mountPath": "/data"}]},
        "has 'data', which is not one of its volumes",
    ),
    (
        "operator_arguments",
        {"volume_mounts": [{"name": "data", "mountPath": "/d", "subPath": "{{ ds }}"}]},
        "['volume_mounts'][0]['subPath'] is '{{ ds }}'",
    ),
    ("operator_arguments", {"env_from": [{"prefix": "X_"}]}, "exactly one of configMapRef"),
    ("operator_arguments", {"dns_config": {"searches": ["a b"]}}, "['searches'][0] is 'a b'"),
    ("tolerations", ({"key": "a", "effect": "NoExecute", "tolerationSeconds": 2**63},), "64 bits"),
    ("operator_arguments", {"skip_on_exit_code": [42, 256]}, "is [42, 256], which is not valid"),
    ("operator_arguments", {"skip_on_exit_code": []}, "['skip_on_exit_code'] is [], which is not"),
    ("operator_arguments", {"skip_on_exit_code": True}, "['skip_on_exit_code'] is True, which"),
    ("operator_arguments", {"x) or (": 1}, "operator_arguments has 'x) or ('"),
    ("operator_arguments", {"startup_timeout_seconds": True}, "startup_timeout_seconds"),
]


@pytest.mark.parametrize(("field", "value", "reason"), WRONG_ITEMS)
def test_items_of_a_job(project: DagProject, field: str, value: Any, reason: str) -> None:
    error = refusal(project, workflow("daily", job("load", **{field: value})))
    assert error.message.startswith("workflow 'daily', job 'load': ")
    assert reason in error.message


@pytest.mark.parametrize(
    "argument", ["is_delete_operator_pod", "reattach_on_restart", "durable", "email", "sla"]
)
def test_an_argument_that_some_airflow_warns_about(project: DagProject, argument: str) -> None:
    error = refusal(project, workflow("daily", job("load", operator_arguments={argument: True})))
    assert "did you mean" not in error.hint
    assert "known are" not in error.hint


def test_a_misspelt_argument_is_corrected(project: DagProject) -> None:
    arguments = {"startup_timeout": 5}
    error = refusal(project, workflow("daily", job("load", operator_arguments=arguments)))
    assert error.hint == "did you mean 'startup_timeout_seconds'?"


IDS = ["", "a b", "a.b", "team/flow", "../../escaped", "it's", "x\n", "-a", "a\n        import os"]


@pytest.mark.parametrize("workflow_id", IDS)
def test_ids_of_workflows(project: DagProject, workflow_id: str) -> None:
    error = refusal(project, workflow(workflow_id, module="pipelines.daily", variable="flow"))
    assert error.message.startswith("workflow pipelines.daily.flow: id is ")


@pytest.mark.parametrize("job_id", IDS)
def test_ids_of_jobs(project: DagProject, job_id: str) -> None:
    error = refusal(project, workflow("daily", job(job_id)))
    assert error.message.startswith("workflow 'daily', a job: id is ")


def test_an_id_that_is_too_long_for_a_task(project: DagProject) -> None:
    project.build(workflow("daily", job("x" * 250)))
    with pytest.raises(UserError, match=r"is 'x{56}[.]{3}, 251 characters long"):
        project.build(workflow("daily", job("x" * 251)))


def test_an_id_that_is_too_long_for_a_dag(project: DagProject) -> None:
    longest = 255 - len("__v1_2_0__2026_01_02_03_00_00_dag.py")
    project.build(workflow("x" * longest))
    with pytest.raises(UserError, match="is 1 characters too long"):
        project.build(workflow("x" * (longest + 1)))


def test_a_file_name_that_is_too_long_in_bytes(project: DagProject) -> None:
    error = refusal(project, workflow("ż" * 120))
    assert "characters too long" in error.message
    assert error.hint == "give the workflow a shorter id"


@pytest.mark.parametrize("other", ["Daily_report", "daily-report", "daily__report"])
def test_two_workflows_whose_pods_would_have_equal_names(project: DagProject, other: str) -> None:
    error = refusal(project, workflow("daily_report"), workflow(other))
    assert "'daily_report' (pipelines.daily_report)" in error.message
    assert f"{other!r} (pipelines.{other})" in error.message


def test_two_jobs_whose_pods_would_have_equal_names(project: DagProject) -> None:
    error = refusal(project, workflow("daily", job("a_b"), job("a-b")))
    assert "the jobs 'a_b' and 'a-b'" in error.message


def test_a_workflow_without_jobs(project: DagProject) -> None:
    assert refusal(project, workflow("daily", jobs=())).message == "workflow 'daily' has no jobs"


@pytest.mark.parametrize("value", ["61 * * * *", "@foo", "", "daily", "0 0 * *"])
def test_schedules(project: DagProject, value: str) -> None:
    error = refusal(project, workflow("daily", schedule=schedule("cron", value)))
    assert error.message.startswith(f"workflow 'daily': schedule_interval is {value!r}, ")


@pytest.mark.parametrize("value", [0, -5, 10**10, 0.5, 1.5])
def test_intervals(project: DagProject, value: float) -> None:
    error = refusal(project, workflow("daily", schedule=schedule("timedelta", value)))
    assert error.message.startswith(f"workflow 'daily': schedule_interval is {value}, ")


@pytest.mark.parametrize(
    ("values", "why", "hint"),
    [
        ({"owner": ""}, "not a line of text: it is empty", "write a value"),
        ({"owner": " a"}, "it starts or ends with a blank", "remove the blanks"),
        ({"tags": ("a\u202eb",)}, "it has the character U+202E", "remove that character"),
        ({"env_default": "a\u2028"}, "it has the character U+2028", "remove that character"),
        ({"env_variable": "get"}, "which has another meaning", "rename the"),
        ({"env_variable": "var"}, "which has another meaning", "rename the"),
        ({"env_variable": "x" * 251}, "251 characters long", "Airflow accepts at most 250"),
        ({"schedule": schedule("cron", "@midnight")}, "not a preset of Airflow", "write @daily"),
        ({"schedule": schedule("cron", "@annually")}, "not a preset", "write @yearly"),
        ({"schedule": schedule("cron", "@x")}, "not a preset", "@yearly, @once, @continuous"),
        ({"schedule": schedule("cron", "0 0 ? * ?")}, "'?' is not valid", "write * instead of ?"),
        ({"schedule": schedule("cron", "61 * * * *")}, "'61' is not valid", "write five fields of"),
        ({"schedule": schedule("timedelta", 10**10)}, "from 1 to 1000000000", "in that range"),
    ],
)
def test_hints_that_help(project: DagProject, values: dict[str, Any], why: str, hint: str) -> None:
    error = refusal(project, workflow("daily", **values))
    assert why in error.message
    assert hint in error.hint


@pytest.mark.parametrize("argument", ["termination_grace_period", "active_deadline_seconds"])
def test_the_range_of_seconds(project: DagProject, argument: str) -> None:
    error = refusal(project, workflow("daily", job("load", operator_arguments={argument: 0})))
    assert error.hint == "it must be a whole number of seconds, 1 to 1000000000"


def test_a_continuous_workflow_runs_once_at_a_time(project: DagProject) -> None:
    error = refusal(
        project,
        workflow(
            "daily", schedule=schedule("continuous"), max_active_runs=2, depends_on_past=False
        ),
    )
    assert "max_active_runs is 2, but its schedule is @continuous" in error.message


class TestRunsThatBlockEachOther:
    """A run whose jobs wait for a failed run holds one of the places of ``max_active_runs``."""

    def dag(self, project: DagProject, **values: Any) -> tuple[Any, bool]:
        """Return ``max_active_runs`` and ``depends_on_past`` of the DAG."""
        dag = project.source(workflow("daily", **values)).dag
        return dag["max_active_runs"], dag["default_args"]["depends_on_past"]

    def test_the_defaults_leave_places(self, project: DagProject) -> None:
        assert self.dag(project) == (100, True)
        assert self.dag(project, depends_on_past=False) == (1, False)

    @pytest.mark.parametrize(("runs", "which"), [(1, "the run after"), (3, "the 3 runs after")])
    def test_few_places_are_reported(self, project: DagProject, runs: int, which: str) -> None:
        with pytest.warns(BigflowWarning) as caught:
            assert self.dag(project, max_active_runs=runs) == (runs, True)
        (warning,) = caught
        assert f"max_active_runs={runs}, {which} a failed one can keep it" in str(warning.message)
        assert str(warning.message).startswith("workflow 'daily': ")

    def test_other_choices_are_not_reported(self, project: DagProject) -> None:
        assert self.dag(project, max_active_runs=1, depends_on_past=False) == (1, False)
        assert self.dag(project, max_active_runs=500) == (500, True)

    def test_a_continuous_workflow_does_not_depend_on_its_past(self, project: DagProject) -> None:
        continuous = {"schedule": schedule("continuous")}
        assert self.dag(project, **continuous, depends_on_past=False) == (1, False)
        with pytest.warns(BigflowWarning, match="no effect with @continuous"):
            assert self.dag(project, **continuous) == (1, False)


def test_a_request_above_its_limit(project: DagProject) -> None:
    error = refusal(project, workflow("d", job("x", memory_request="2Gi", memory_limit="2G")))
    assert "memory_request is '2Gi', more than its limit '2G'" in error.message
    project.build(workflow("d", job("x", cpu_request="1000m", cpu_limit="1")))


@pytest.mark.parametrize(
    ("setting", "own", "problem"),
    [
        (
            'memory-limit = "1Gi"',
            {"memory_request": "2Gi"},
            "memory_request is '2Gi', more than memory-limit = '1Gi'",
        ),
        (
            'memory-request = "2Gi"',
            {"memory_limit": "1Gi"},
            "memory_limit is '1Gi', less than memory-request = '2Gi'",
        ),
        (
            'cpu-limit = "1"',
            {"cpu_request": "1001m"},
            "cpu_request is '1001m', more than cpu-limit",
        ),
        (
            'cpu-limit = "1"',
            {"cpu_request": "one"},
            "cpu_request is 'one', not a Kubernetes quantity",
        ),
    ],
)
def test_sizes_that_contradict_the_projects(
    tmp_path: Path, setting: str, own: dict[str, str], problem: str
) -> None:
    project = DagProject.make(tmp_path / "project", setting)
    error = refusal(project, workflow("daily", job("load", **own)))
    assert error.message.startswith(f"workflow 'daily', job 'load': {problem}")
    if "quantity" not in problem:
        assert error.message.endswith(" in pyproject.toml, [tool.bigflow.dags]")
        assert error.hint.startswith("set the job's ")


def test_a_job_with_both_sizes(tmp_path: Path) -> None:
    project = DagProject.make(tmp_path / "project", 'memory-limit = "1Gi"')
    project.build(workflow("daily", job("load", memory_request="2Gi", memory_limit="2Gi")))


def test_a_secret_and_a_variable_of_the_project(tmp_path: Path) -> None:
    project = DagProject.make(tmp_path / "project", 'environment = {DB = "x"}')
    error = refusal(project, workflow("daily", job("load", secrets=("db",))))
    assert error.message == (
        "pyproject.toml: tool.bigflow.dags.environment has 'DB', which is a secret of"
        " workflow 'daily', job 'load'"
    )


def test_secrets_that_would_be_one_variable(project: DagProject) -> None:
    error = refusal(project, workflow("daily", job("load", secrets=("DB",)), secrets=("db",)))
    assert "secrets is 'DB', which gives the pod the variable DB, and so does 'db'" in error.message


def test_a_secret_and_a_variable_of_one_name(project: DagProject) -> None:
    error = refusal(project, workflow("daily", job("x", secrets=("db",), environment={"DB": "1"})))
    assert "the pod has another environment variable DB" in error.message


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('namespace = "My_Space"', "namespace is 'My_Space'"),
        ('kubernetes-conn-id = "{{ x }}"', "kubernetes-conn-id is"),
        ('image-pull-secrets = ["A"]', "image-pull-secrets is 'A'"),
        ("startup-timeout-seconds = 0", "startup-timeout-seconds is 0"),
        ('tags = [""]', "tags is ''"),
        ('pool = "my pool"', "pool is 'my pool'"),
        ('cpu-request = "2 cores"', "cpu-request is '2 cores'"),
        ('cpu-request = "2"\ncpu-limit = "1"', "cpu-request is '2', more than its limit '1'"),
        ('labels = {"dag_id" = "x"}', "labels has 'dag_id'"),
        ('environment = {"a b" = "x"}', "environment has the key 'a b'"),
    ],
)
def test_settings(tmp_path: Path, line: str, key: str) -> None:
    error = refusal(DagProject.make(tmp_path / "project", line), workflow("daily"))
    assert error.message.startswith(f"pyproject.toml: tool.bigflow.dags.{key}")
