"""Whole rehearsals: the states of the tasks, and the last lines of their logs."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.images import layer_tar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from docker import DockerClient

    from rehearsal.conftest import Rehearsed
    from support.built_project import BuiltProject

pytestmark = [pytest.mark.airflow, pytest.mark.slow]


def test_a_success(rehearse: Callable[..., Rehearsed], rehearsed_project: BuiltProject) -> None:
    done = rehearse("has_secret")
    assert (done.status, done.state("job")) == (0, "success"), done.progress
    assert done.result["runtime"] == "sandbox"
    root = rehearsed_project.root
    log = (root / ".rehearsal" / "has_secret" / "job.1.log").read_text("utf-8")
    assert '"variables": {"DB_PASSWORD": "' in log
    assert (root / ".rehearsal" / ".gitignore").read_text("ascii") == "*\n"


def test_a_failure_is_retried_and_stops_later_jobs(rehearse: Callable[..., Rehearsed]) -> None:
    done = rehearse("fails")
    assert done.status == 1, done.progress
    assert (done.state("breaks"), done.state("after")) == ("failed", "upstream_failed")
    assert done.tries("breaks") == ["up_for_retry", "failed"]
    assert done.last_line == "bigflow: job fails.breaks failed: RuntimeError: this job always fails"


def test_dags_of_cloud_composer(
    rehearse: Callable[..., Rehearsed], rehearsed_project: BuiltProject, tmp_path: Path
) -> None:
    root = tmp_path / "project"
    shutil.copytree(rehearsed_project.root, root)
    subprocess.run(
        [rehearsed_project.python, "-m", "bigflow", "build-dags"],
        cwd=root,
        env={**os.environ, "BIGFLOW_DAGS_TARGET": "composer", "BIGFLOW_VERSION": "0.1.0"},
        check=True,
    )
    done = rehearse("has_secret", root=root)
    assert (done.status, done.state("job")) == (0, "success"), done.progress


def test_an_engine_that_has_another_image_of_the_name(
    rehearse: Callable[..., Rehearsed], rehearsed_project: BuiltProject, engine: DockerClient
) -> None:
    engine.api.import_image_from_data(layer_tar({"empty": ""}), rehearsed_project.image)
    done = rehearse("has_secret", runtime="docker")
    assert (done.status, done.state("job")) == (0, "success"), done.progress
    assert done.result["runtime"] == "docker"


def test_a_temporary_directory_that_only_root_can_enter(
    rehearse: Callable[..., Rehearsed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    done = rehearse("has_secret")
    assert done.status == 1
    problem, fix = done.progress.splitlines()[-2:]
    assert "the user nobody, who runs the pods, cannot enter /" in problem
    assert fix == "  set TMPDIR to a directory that every user can enter, such as /tmp"


def test_no_retries(rehearse: Callable[..., Rehearsed]) -> None:
    assert rehearse("fails", "--no-retries").tries("breaks") == ["failed"]


def test_a_job_above_its_memory_limit(rehearse: Callable[..., Rehearsed]) -> None:
    done = rehearse("grows", "--no-retries")
    reason = "out of memory, limit 96Mi (killed by SIGKILL) (OOMKilled)"
    assert done.last_line == f"bigflow: job grows.job failed: {reason}", done.progress


def test_a_deferrable_job(rehearse: Callable[..., Rehearsed]) -> None:
    done = rehearse("defers")
    assert (done.status, done.state("job")) == (0, "success"), done.progress


@pytest.mark.parametrize(
    ("workflow", "problem", "line"),
    [
        ("lacks_secret", "the key 'not_there' of the secret 'not-there'", 'not_there = "..."'),
        ("lacks_variable", "the Airflow Variable 'not_set'", 'not_set = "..."'),
    ],
)
def test_a_missing_input_is_an_error_before_anything_runs(
    rehearse: Callable[..., Rehearsed], workflow: str, problem: str, line: str
) -> None:
    done = rehearse(workflow)
    error, fix = done.progress.splitlines()[-2:]
    assert done.status == 1
    assert problem in error
    assert fix.startswith("  write into rehearsal.toml, below [")
    assert fix.endswith(line)
    assert "running" not in done.progress


def test_until_a_job_of_another_airflow(rehearse: Callable[..., Rehearsed]) -> None:
    done = rehearse("fails", "--until", "breaks", "--no-retries", "--airflow", "2.11.2")
    assert [task["job"] for task in done.result["workflows"][0]["tasks"]] == ["breaks"]
    assert done.tries("breaks") == ["failed"]
    assert "RuntimeError: this job always fails" in done.last_line


@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        (("fail",), "  did you mean 'fails'?"),
        (("fails", "--until", "brakes"), "  did you mean 'breaks'?"),
    ],
)
def test_an_unknown_name(
    rehearse: Callable[..., Rehearsed], arguments: tuple[str, ...], fix: str
) -> None:
    done = rehearse(*arguments)
    assert (done.status, done.progress.splitlines()[-1]) == (1, fix)
