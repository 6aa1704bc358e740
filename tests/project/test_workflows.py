"""Description of projects by the backend, with real projects and interpreters."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.project.project import Project, read_project
from bigflow_backend.project.workflows import (
    DeploymentDescription,
    JobDescription,
    Schedule,
    WorkflowDescription,
    describe_deployment,
    describe_workflows,
    read_description,
    workflow_arguments,
)
from support.runtime import SAMPLE, describe, write_files

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 1, 2, 10)  # noqa: DTZ001 - UTC, as --start-time is


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("bf_env", raising=False)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    shutil.copytree(SAMPLE, tmp_path / "project")
    return read_project(tmp_path / "project")


def test_workflows(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    archive, daily, failing, gdansk, oslo = describe_workflows(project, start_time=START)
    assert [w.id for w in (archive, daily, failing, gdansk, oslo)] == [
        *("archive", "daily", "failing", "load_gdansk", "load_oslo"),
    ]
    assert daily == WorkflowDescription(
        id="daily",
        module="runtime_sample.workflow",
        variable="daily",
        schedule=Schedule(kind="cron", value="@daily"),
        timezone="UTC",
        start_date="2026-01-01T00:00:00+00:00",
        start_from="default",
        params={},
        catchup=True,
        depends_on_past=True,
        max_active_runs=None,
        env_variable="env",
        env_default=None,
        secrets=("db_password",),
        on_failure_callback=None,
        tags=("weather",),
        owner="airflow",
        description=None,
        doc_md=None,
        jobs=daily.jobs,
    )
    assert [(job.id, job.depends_on) for job in daily.jobs] == [
        ("extract", ()),
        ("temperature", ("extract",)),
        ("rain", ("extract",)),
        ("report", ("temperature", "rain")),
    ]
    assert [job.retry_count for job in daily.jobs] == [5, 3, 3, 3]
    assert archive.schedule == Schedule(kind="none", value=None)
    assert failing.schedule == Schedule(kind="once", value=None)
    assert oslo.schedule == Schedule(kind="timedelta", value=5400)
    assert gdansk.start_date == "2026-01-02T11:00:00+01:00"
    out, err = capfd.readouterr()
    assert (out, err) == ("", "output of a module is not part of the description\n")


def test_a_start_time_with_a_zone_is_converted(project: Project) -> None:
    aware = START.replace(tzinfo=timezone(timedelta(hours=5)))
    gdansk = describe_workflows(project, start_time=aware)[3]
    assert gdansk.start_date == "2026-01-02T06:00:00+01:00"


def test_deployment(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    dev, prod = describe_deployment(project), describe_deployment(project, config="prod")
    assert dev.docker_repository == "registry.example.com/dev/runtime_sample"
    assert prod == DeploymentDescription(
        config="prod",
        properties={
            "docker_repository": "registry.example.com/prod/runtime_sample",
            "env": "prod",
            "registry": "registry.example.com",
            "replicas": 5,
        },
    )
    assert capfd.readouterr().out == ""


def test_this_process_does_not_import_the_project(project: Project) -> None:
    describe_workflows(project, start_time=START)
    describe_deployment(project)
    assert not {"runtime_sample", "deployment_config"} & sys.modules.keys()


def test_the_deployment_does_not_need_the_package(project: Project) -> None:
    (project.root / "runtime_sample/__init__.py").write_text("import not_installed_here")
    assert describe_deployment(project).config == "dev"


def test_the_project_is_the_working_directory_and_on_the_path(project: Project) -> None:
    write_files(project.root, {"names.py": "from pathlib import Path\nREPOSITORY = Path('name')"})
    (project.root / "name").write_text("r")
    project.deployment_config.write_text(
        "from bigflow import DeploymentConfig\nfrom names import REPOSITORY\n"
        "d = DeploymentConfig('dev', {'docker_repository': REPOSITORY.read_text()})\n"
    )
    assert describe_deployment(project).docker_repository == "r"


class TestErrors:
    def error(self, project: Project, **options: Any) -> tuple[str, str]:
        with pytest.raises(UserError) as caught:
            describe_workflows(project, start_time=START, **options)
        return caught.value.message, caught.value.hint

    def deployment_error(self, project: Project, **options: Any) -> tuple[str, str]:
        with pytest.raises(UserError) as caught:
            assert describe_deployment(project, **options).docker_repository
        return caught.value.message, caught.value.hint

    def test_no_workflow(self, project: Project) -> None:
        shutil.rmtree(project.root / "runtime_sample/loads")
        (project.root / "runtime_sample/workflow.py").unlink()
        message, hint = self.error(project)
        assert message == "the package 'runtime_sample' has no workflow"
        assert "bigflow.Workflow" in hint

    def test_a_module_that_raises(self, project: Project) -> None:
        (project.root / "runtime_sample/jobs.py").write_text("\n\nimport not_installed_here")
        message, hint = self.error(project)
        assert message == (
            "runtime_sample/jobs.py, line 3: ModuleNotFoundError: No module named "
            "'not_installed_here' (importing runtime_sample.jobs)"
        )
        assert hint == (
            "fix that line; or add the distribution that has the module not_installed_here to the"
            f" project's dependencies, and install them for {sys.executable}"
        )

    @pytest.mark.parametrize(
        ("line", "advice"),
        [
            (
                "import jobs",
                "write `from runtime_sample import jobs`: it is a module of the project",
            ),
            (
                "import jobss",
                "write `from runtime_sample import jobs`: it is a module of the project",
            ),
            ("import runtime_sample.jbos", "did you mean runtime_sample.jobs?"),
            ("import subproces", "did you mean subprocess?"),
            ("import pytset", "did you mean pytest?"),
        ],
    )
    def test_a_misspelt_import_never_leads_to_an_installation(
        self, project: Project, line: str, advice: str
    ) -> None:
        (project.root / "runtime_sample/more.py").write_text(line)
        assert self.error(project)[1] == advice

    @pytest.mark.parametrize(
        ("call", "advice"),
        [
            (
                "Workflow('w', [], schedule='@daily')",
                "'schedule'; did you mean 'schedule_interval'?",
            ),
            ("Workflow('w', [], dag_id='w')", "'dag_id'; did you mean 'workflow_id'?"),
            ("Workflow('w', [], retries=3)", "'retries' (importing"),
            ("J('a', retries=3)", "'retries'; did you mean 'retry_count'?"),
            ("J('a', schedule='@daily')", "'schedule' (importing"),
        ],
    )
    def test_keywords_of_airflow(self, project: Project, call: str, advice: str) -> None:
        (project.root / "runtime_sample/more.py").write_text(
            "from bigflow import Job, Workflow\n"
            f"class J(Job):\n    def execute(self, context): pass\n{call}\n"
        )
        assert advice in self.error(project)[0]

    def test_no_deployment_config(self, project: Project) -> None:
        project.deployment_config.unlink()
        message, hint = self.deployment_error(project)
        assert message == f"{project.root} has no deployment_config.py"
        line = hint.removeprefix("create it with this line: ")
        project.deployment_config.write_text(line)
        assert describe_deployment(project).docker_repository

    def test_a_deployment_config_that_raises(self, project: Project) -> None:
        project.deployment_config.write_text("import bigflow\n1 / 0\n")
        message, _ = self.deployment_error(project)
        assert message == (
            "deployment_config.py, line 2: ZeroDivisionError: division by zero "
            "(reading deployment_config.py)"
        )

    @pytest.mark.parametrize(
        "repository", ["", "'docker_repository': ''", "'docker_repository': 3"]
    )
    def test_no_docker_repository(self, project: Project, repository: str) -> None:
        project.deployment_config.write_text(
            f"import bigflow\nd = bigflow.DeploymentConfig('dev', {{{repository}}})"
        )
        message, hint = self.deployment_error(project)
        assert message == ("deployment_config.py: the configuration 'dev' has no docker_repository")
        assert "'docker_repository': '" in hint

    def test_an_unknown_configuration(self, project: Project) -> None:
        assert self.deployment_error(project, config="test") == (
            "unknown configuration 'test'",
            "give one of: dev, prod",
        )

    def test_an_unknown_interpreter(self, project: Project) -> None:
        message, hint = self.error(project, python="/nothing/python")
        assert message == "cannot run /nothing/python: No such file or directory"
        assert "--python" in hint

    def test_an_interpreter_without_this_distribution(
        self, project: Project, tmp_path: Path
    ) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "e"], check=True)
        python = str(tmp_path / "e/bin/python")
        message, hint = self.error(project, python=python)
        assert message == (
            f"{python} did not describe the project: bigflow-backend is not installed there"
        )
        assert hint.startswith("install this version of bigflow-backend and")

    @pytest.mark.parametrize(
        ("ends", "how", "what_to_do"),
        [
            ("os.kill(os.getpid(), 9)", "was killed by signal 9", "kills the process"),
            ("os.kill(os.getpid(), 2)", "was killed by signal 2", "kills the process"),
            ("os.abort()", "crashed with signal 6", "see the line above"),
        ],
    )
    def test_code_that_ends_the_process_is_reported(
        self,
        project: Project,
        capfd: pytest.CaptureFixture[str],
        ends: str,
        how: str,
        what_to_do: str,
    ) -> None:
        jobs = project.root / "runtime_sample/jobs.py"
        jobs.write_text(f"import os; print('so far')\n{ends}")
        message, hint = self.error(project)
        start = f"{sys.executable} did not describe the project: the process {how} while "
        assert message == f"{start}importing runtime_sample/jobs.py"
        assert what_to_do in hint
        shown = capfd.readouterr().err
        assert "so far\n" in shown
        assert ('jobs.py", line 2' in shown) == ("above" in hint)
        project.deployment_config.write_text(f"import os\n{ends}")
        assert self.deployment_error(project)[0] == f"{start}reading deployment_config.py"
        jobs.write_text(
            "import bigflow, os\n"
            f"w = bigflow.Workflow('w', [], start_time_factory=lambda s: {ends})"
        )
        for file in ("workflow.py", "loads/hourly.py"):
            (project.root / "runtime_sample" / file).unlink()
        assert self.error(project)[0] == f"{start}reading workflow 'w' (runtime_sample.jobs)"

    def test_os_exit_during_the_import_is_reported_with_its_line(self, project: Project) -> None:
        (project.root / "runtime_sample/jobs.py").write_text("import os\nos._exit(0)")
        assert self.error(project)[0] == (
            "runtime_sample/jobs.py, line 2: SystemExit: os._exit(0) called during the import"
            " (importing runtime_sample.jobs)"
        )

    def test_os_exit_after_the_import_is_reported(self, project: Project) -> None:
        (project.root / "runtime_sample/another.py").write_text(
            "import bigflow, os\n"
            "w = bigflow.Workflow('a', [], start_time_factory=lambda s: os._exit(7))"
        )
        message, hint = self.error(project)
        assert message == (
            f"{sys.executable} did not describe the project: the process ended with status 7 while"
            " reading workflow 'a' (runtime_sample.another)"
        )
        assert "call of os._exit()" in hint

    def test_an_image_without_a_known_status(self) -> None:
        answer = b'{"schema": 1, "doing": "importing p/a.py"}\n'
        with pytest.raises(UserError) as caught:
            read_description(answer, source="image r:1")
        assert caught.value.message == (
            "image r:1 did not describe the project: the process ended while importing p/a.py"
        )

    def test_output_of_a_module_gets_an_end_of_line(
        self, project: Project, capfd: pytest.CaptureFixture[str]
    ) -> None:
        (project.root / "runtime_sample/jobs.py").write_text("print({}, end='')\n1 / 0")
        self.error(project)
        assert capfd.readouterr().err == "{}\n"

    @pytest.mark.parametrize(
        ("answer", "reported"),
        [
            (b"", "it printed no description"),
            (b"usage: bigflow", "it printed no description"),
            (b"[]", "it printed no description"),
            (b"{}", "it printed no description"),
            (b'{"schema": 2}', "its schema is 2, this version reads 1"),
            (b'{"schema": 1, "deployment": null}', "the description lacks 'bigflow'"),
        ],
    )
    def test_output_of_another_form(self, answer: bytes, reported: str) -> None:
        with pytest.raises(UserError, match="image r:1 did not describe the project") as caught:
            read_description(answer, source="image r:1")
        assert reported in caught.value.message


@pytest.fixture
def answer() -> dict[str, Any]:
    arguments = workflow_arguments(["runtime_sample"], START)
    return describe(*arguments, "--deployment-config", "deployment_config.py", cwd=SAMPLE)


def change(document: Any, path: str, value: object) -> None:
    *parents, last = path.split("/")
    for key in parents:
        document = document[int(key) if key.isdigit() else key]
    document[last] = value


class TestForm:
    """The dataclasses and the JSON have the same fields, both ways."""

    def test_the_fields_are_those_of_the_json(self, answer: dict[str, Any]) -> None:
        for model, document in (
            (WorkflowDescription, answer["workflows"][0]),
            (JobDescription, answer["workflows"][0]["jobs"][0]),
            (Schedule, answer["workflows"][0]["schedule"]),
            (DeploymentDescription, answer["deployment"]),
        ):
            fields = {field.name for field in dataclasses.fields(model)}
            assert fields == document.keys()

    def test_reading_loses_nothing(self, answer: dict[str, Any]) -> None:
        read = read_description(json.dumps(answer).encode(), source="this test")
        back = json.loads(json.dumps(dataclasses.asdict(read)))
        assert {"schema": 1, **back} == answer

    def test_fields_of_a_newer_runtime_are_ignored(self, answer: dict[str, Any]) -> None:
        newer = json.loads(json.dumps(answer))
        newer["workflows"][0]["jobs"][0]["colour"] = "green"
        newer["colour"] = "green"
        plain = read_description(json.dumps(answer).encode(), source="this test")
        assert read_description(json.dumps(newer).encode(), source="this test") == plain

    @pytest.mark.parametrize(
        ("path", "value", "reported"),
        [
            ("workflows", 3, "the description has another form"),
            ("workflows/1/jobs/0/pool", 3, "job 'extract' of workflow 'daily': pool cannot be 3"),
            ("workflows/1/jobs/0/retry_count", -1, "retry_count cannot be -1"),
            ("workflows/1/jobs/0/environment", {"A": 1}, "environment['A'] cannot be 1"),
            ("workflows/1/jobs/0/depends_on", "a", "depends_on cannot be 'a'"),
            ("workflows/1/jobs/0/id", "", "id cannot be ''"),
            ("workflows/1/jobs/0/id", "x", "job 'temperature' does not come after 'extract'"),
            ("workflows/1/jobs/0/depends_on", ["temperature"], "job 'extract' does not come after"),
            ("workflows/1/jobs/1/id", "extract", "two jobs have the id 'extract'"),
            ("workflows/0/id", "daily", "two workflows have the same id"),
            ("workflows/1/jobs", None, "the description has another form"),
            ("workflows/1/schedule", [], "the description has another form"),
            ("workflows/1/schedule", {"kind": "weekly", "value": None}, "schedule cannot be"),
            ("workflows/1/schedule", {"kind": "cron", "value": None}, "schedule cannot be"),
            ("workflows/1/start_date", "2026-13-01", "start_date cannot be '2026-13-01'"),
            ("workflows/1/start_date", "2026-01-01T00:00:00", "start_date cannot be"),
            ("workflows/1/catchup", "yes", "workflow 'daily': catchup cannot be 'yes'"),
            ("workflows/1/module", None, "workflow 'daily': module cannot be None"),
            ("deployment/properties", 3, "deployment cannot be"),
            ("deployment/config", 3, "deployment cannot be"),
        ],
    )
    def test_a_value_of_another_type_is_named(
        self, answer: dict[str, Any], path: str, value: object, reported: str
    ) -> None:
        change(answer, path, value)
        with pytest.raises(UserError, match="image r:1 did not describe") as caught:
            read_description(json.dumps(answer).encode(), source="image r:1")
        assert reported in caught.value.message
