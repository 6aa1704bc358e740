"""``bigflow check`` loads DAG files in a real Airflow, which uv installs."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.dags.airflow.releases import airflow_release
from support.commands import bigflow
from support.projects import Project, write_project

if TYPE_CHECKING:
    from pathlib import Path

RIDES = "rides__v1_2_0__2026_01_02_00_00_00"
ALARMED = "alarmed__v1_2_0__2026_01_02_00_00_00"
FILES = {
    "pipelines/workflow.py": """\
from bigflow import Job, Workflow

class Step(Job):
    def execute(self, context):
        pass

rides = Workflow("rides", [Step("load"), Step("report")])
alarmed = Workflow("alarmed", [Step("load")], on_failure_callback="team_alerts.failed")
""",
    "deployment_config.py": "from bigflow import DeploymentConfig\n"
    "config = DeploymentConfig('dev', {'docker_repository': 'registry.example.com/rides'})\n",
}
OTHER_FILES = {
    ".dags/empty_dag.py": "import airflow\nassert airflow\n",
    ".dags/warning_dag.py": "import warnings\nfrom airflow.sdk import DAG\n"
    "warnings.warn('old', stacklevel=1)\ndag = DAG('x', schedule=None)\n",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = write_project(tmp_path_factory.mktemp("check") / "project", FILES)
    done = bigflow(project, "build-dags", "-t", "2026-01-02")
    assert done.returncode == 0, done.stderr
    (project.root / "plugins").mkdir()
    (project.root / "plugins" / "team_alerts.py").write_text("def failed(context): ...\n")
    return project


@pytest.mark.airflow
class TestInAirflow:
    def test_the_result_names_each_file(self, project: Project) -> None:
        before = project.files()
        project.write(OTHER_FILES)
        try:
            done = bigflow(project, "check")
        finally:
            project.write(dict.fromkeys(OTHER_FILES))
        head, *lines = done.stdout.splitlines()
        assert head.startswith("Airflow 3.3.")
        assert lines == [
            f"fails  {ALARMED}_dag.py: ModuleNotFoundError: No module named 'team_alerts'",
            "fails  empty_dag.py: the file must define one DAG: got 0",
            f"ok     {RIDES}: load, report",
            "ok     x: ",
            "warns  warning_dag.py: old",
            "4 files, 2 with errors",
        ]
        assert done.returncode == 1
        assert project.files() == before  # no bytecode beside the DAG files

    @pytest.mark.slow
    def test_pythonpath_may_lead_to_a_callback(self, project: Project) -> None:
        path = str(project.root / "plugins")
        done = bigflow(project, "check", "--json", PYTHONPATH=path, AIRFLOW_HOME="/nonexistent")
        answer = json.loads(done.stdout)
        assert done.returncode == 0
        assert answer["airflow"].startswith("3.3.")
        assert answer["provider"].startswith("10.")
        alarmed, rides = answer["files"]
        assert alarmed["dags"] == {ALARMED: ["load"]}
        assert rides == {
            "name": f"{RIDES}_dag.py",
            "errors": [],
            "warnings": [],
            "dags": {RIDES: ["load", "report"]},
        }

    def test_the_manifest_of_a_pod(self, project: Project) -> None:
        check_pod(project, "3.3")

    @pytest.mark.slow
    @pytest.mark.parametrize("release", ["2.7", "2.11", "3.4"])
    def test_the_manifest_of_a_pod_in_other_releases(self, project: Project, release: str) -> None:
        check_pod(project, release)

    @pytest.mark.parametrize(
        ("job", "hint"),
        [
            ("rides.loads", "  did you mean rides.load?"),
            ("other", "  its jobs: alarmed.load, rides.load, rides.report"),
        ],
    )
    def test_a_job_that_does_not_exist(self, project: Project, job: str, hint: str) -> None:
        assert bigflow(project, "pod", job).error == [
            f"bigflow: error: {project.root}/.dags has no job {job!r}",
            hint,
        ]

    @pytest.mark.slow
    def test_a_deferrable_job_in_a_release_that_cannot_run_it(self, project: Project) -> None:
        file = project.root / ".dags" / f"{RIDES}_dag.py"
        text = file.read_text()
        file.write_text(text.replace("    common = {\n", "    common = {\n'deferrable': True,\n"))
        try:
            done = bigflow(project, "check", "--airflow=3.0")
            newer = bigflow(project, "check", "--airflow=3.1")
        finally:
            file.write_text(text)
        (line,) = (line for line in done.stdout.splitlines() if line.startswith(f"fails  {RIDES}"))
        assert "job 'load' is deferrable: with Airflow 3.0.6 and provider 10.8.0" in line
        assert f"ok     {RIDES}: load, report" in newer.stdout

    @pytest.mark.slow
    @pytest.mark.parametrize("release", ["2.7", "2.11", "3.0", "3.4"])
    def test_other_releases(self, project: Project, release: str) -> None:
        path = str(project.root / "plugins")
        done = bigflow(project, "check", "--airflow", release, PYTHONPATH=path)
        assert done.returncode == 0, done.stderr + done.stdout
        assert done.stdout.startswith(f"Airflow {release}.")

    @pytest.mark.parametrize("release", ["3.99", "2.7.99"])
    def test_a_release_that_does_not_exist(self, project: Project, release: str) -> None:
        message, hint = bigflow(project, "check", "--airflow", release).error
        assert message.startswith(f"bigflow: error: Airflow {release} does not exist for Python 3.")
        assert hint == "  use an existing release, such as 3.3 or 2.10.5"


def check_pod(project: Project, release: str) -> None:
    done = bigflow(project, "pod", "rides.report", f"--airflow={release}", "--config=prod")
    assert done.returncode == 0, done.stderr
    assert f"Airflow {release}." in done.stderr
    pod = json.loads(done.stdout)
    labels, (container,) = pod["metadata"]["labels"], pod["spec"]["containers"]
    assert (labels["dag_id"], labels["task_id"], labels["try_number"]) == (RIDES, "report", "1")
    command = [*container["command"], *container["args"]]
    assert command[command.index("--config") + 1] == "prod"
    assert not any("{{" in word for word in command)
    assert container["image"] == "registry.example.com/rides:1.2.0"
    assert pod["spec"]["activeDeadlineSeconds"] == 10800 + 600 + 300


@pytest.mark.parametrize("release", ["2.6", "9.9", "3", "3.3.2.1", "3.4b2", "latest", "3.x", ""])
def test_not_a_release(project: Project, release: str) -> None:
    assert bigflow(project, "check", f"--airflow={release}").error == [
        f"bigflow: error: --airflow must be a release from 2.7 on: got {release!r}",
        "  write a release such as 3.3 or 2.10.5",
    ]


def test_no_files(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project")
    assert bigflow(project, "check").error == [
        f"bigflow: error: {project.root}/.dags has no DAG files",
        "  write them: bigflow build-dags",
    ]


def test_an_index_that_cannot_be_reached(project: Project, tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9/simple"
    indexes = {"UV_DEFAULT_INDEX": nowhere, "UV_INDEX_URL": nowhere, "UV_HTTP_RETRIES": "0"}
    message, hint = bigflow(project, "check", **indexes, UV_CACHE_DIR=str(tmp_path)).error
    assert message.startswith("bigflow: error: cannot install Airflow 3.3: ")
    assert "Connection refused" in message
    assert hint == "  check that the package index answers; UV_OFFLINE=1 uses uv's cache alone"


def test_offline_with_an_empty_cache(project: Project, tmp_path: Path) -> None:
    done = bigflow(project, "check", UV_OFFLINE="1", UV_CACHE_DIR=str(tmp_path))
    assert done.error[0].startswith("bigflow: error: cannot install Airflow 3.3: ")


def test_a_cache_that_cannot_be_written(project: Project, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = bigflow(project, "check", UV_CACHE_DIR=str(tmp_path / "file"))
    assert done.error[0].startswith("bigflow: error: cannot install Airflow 3.3: ")


@pytest.mark.parametrize(
    ("cause", "hint"),
    [
        ("No space left on device (os error 28)", "free space on that disk, or set UV_CACHE_DIR"),
        ("Permission denied (os error 13)", "set UV_CACHE_DIR to a directory that you can"),
        ("Connection refused (os error 111)", "check that the package index answers"),
    ],
)
def test_the_hint_fits_the_reason(cause: str, hint: str) -> None:
    output = f"error: Failed to fetch\n  Caused by: client error\n  Caused by: {cause}\n"
    error = airflow_release("3.3").error(output)
    assert error.message == f"cannot install Airflow 3.3: Failed to fetch: {cause}"
    assert error.hint.startswith(hint)


def test_no_uv(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise FileNotFoundError

    monkeypatch.setattr("uv.find_uv_bin", missing)
    assert bigflow(project, "check", PATH="").error == [
        "bigflow: error: installing Airflow needs uv, which is not installed",
        "  pip install 'bigflow-backend[build]'",
    ]


@pytest.mark.parametrize(
    ("release", "newest"),
    [("2.7", "2023-11-20"), ("2.10.5", "2025-02-25"), ("3.4.0b2", None), ("3.9", None)],
)
def test_old_releases_get_the_libraries_of_their_time(release: str, newest: str | None) -> None:
    command = airflow_release(release).command("-")
    assert (newest in command) == (newest is not None)
    assert ("--exclude-newer" in command) == (newest is not None)
    assert f"apache-airflow=={release}{'' if release.count('.') > 1 else '.*'}" in command


def test_uv_run_knows_the_options() -> None:
    uv, run, *options, _, _ = airflow_release("2.7").command("-")
    done = subprocess.run([uv, run, "--help"], capture_output=True, text=True, check=True)
    for option in options:
        if option.startswith("--"):
            assert option in done.stdout
