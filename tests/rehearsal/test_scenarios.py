"""Whole rehearsals: the states of the tasks, and the last lines of their logs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.images import layer_tar
from support.terminal import started

if TYPE_CHECKING:
    from collections.abc import Callable

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


@pytest.fixture
def copied(rehearsed_project: BuiltProject, tmp_path: Path) -> Path:
    """The root of a copy of the built project."""
    return Path(shutil.copytree(rehearsed_project.root, tmp_path / "project"))


def test_dags_of_cloud_composer(
    rehearse: Callable[..., Rehearsed], rehearsed_project: BuiltProject, copied: Path
) -> None:
    root = copied
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


def test_a_job_above_its_time(rehearse: Callable[..., Rehearsed]) -> None:
    done = rehearse("hangs")
    assert done.tries("hangs") == ["failed"]
    assert "AirflowTaskTimeout" in done.last_line, done.last_line


def test_a_job_that_gets_sigterm(rehearse: Callable[..., Rehearsed]) -> None:
    done = rehearse("terminates")
    assert done.tries("job") == ["failed"]
    assert done.last_line == "bigflow: job terminates.job failed: stopped by SIGTERM"


def test_a_log_of_50000_lines(
    rehearse: Callable[..., Rehearsed], rehearsed_project: BuiltProject
) -> None:
    done = rehearse("chatters")
    reason = "bigflow: job chatters.job failed: ValueError: 50000 lines are printed"
    assert done.last_line == reason
    log = rehearsed_project.root / ".rehearsal" / "chatters" / "job.1.log"
    lines = re.findall(r"\[base\] line ([0-9]+)\b", log.read_text("utf-8"))
    assert lines == [str(number) for number in range(50_000)]


def test_50_jobs(rehearse: Callable[..., Rehearsed]) -> None:
    done = rehearse("fifty")
    (workflow,) = done.result["workflows"]
    assert [task["state"] for task in workflow["tasks"]] == ["success"] * 50


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("workflow': 'by_hand'", "workflow': 'by hand'", "a valid label must be"),
        ("/scenarios:0.1.0", "/scenarios:none", "Failed to pull image"),
    ],
    ids=["a label that is not valid", "an unknown image"],
)
def test_a_dag_file_that_was_changed_by_hand(
    copied: Path, rehearse: Callable[..., Rehearsed], old: str, new: str, reason: str
) -> None:
    root = copied
    (file,) = (root / ".dags").glob("by_hand__*.py")
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")
    done = rehearse("by_hand", "--no-retries", root=root)
    assert done.tries("job") == ["failed"], done.progress
    assert reason in done.last_line, done.last_line


def test_a_terminal_has_a_line_for_each_task(rehearsed_project: BuiltProject) -> None:
    command = [sys.executable, "-m", "bigflow_backend", "rehearse", "fails", "--no-retries"]
    options = ["--runtime", "sandbox", "--python", str(rehearsed_project.python)]
    with started([*command, *options], rehearsed_project.root, {}, in_terminal=True) as running:
        assert running.finish() == 1
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", running.output).replace("\r", "\n").splitlines()
    assert any(line.endswith(" s") and "running  fails.breaks  " in line for line in lines)
    assert any(re.match(r"failed   fails\.breaks  [0-9.]+ s  bigflow: job", line) for line in lines)
    assert "upstream_failed  fails.after  a job before it failed" in lines


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
