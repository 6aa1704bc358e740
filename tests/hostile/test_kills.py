"""After any end of a build, wheel, image and DAGs belong together, and nothing is left.

Set BIGFLOW_KILLS=160 for a longer series of random ends; by default it is short.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from hostile.kills import COMMIT, KilledProject, killed_after, make_killed_project, signalled
from hostile.runner import attempt

if TYPE_CHECKING:
    from pathlib import Path

    from hostile.runner import Scratch

pytestmark = pytest.mark.slow

_KILLS = int(os.environ.get("BIGFLOW_KILLS", "12"))
_MOVES = 8
"""The renames of a build that replaces .image and .dags: the one that decides, five moves, and the
end. The hook of the wheel is a process of its own."""
_UNCHANGED = "; this build changed no outputs"
_FINISHED = "; the build is finished, and its outputs are in place"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> KilledProject:
    return make_killed_project(tmp_path_factory.mktemp("killed"))


def test_killed_after_each_rename(project: KilledProject) -> None:
    for number in range(1, 20):
        before = project.state()
        status, errors = killed_after(project, signal.SIGKILL, number)
        if status == 0:
            break
        assert status == -signal.SIGKILL, errors
        # What is there is of one version; what is not there has not moved yet.
        assert len(project.versions()) == 1
        expected = {f"1.0.{project.builds}" if number > 0 else before}
        assert {project.repair()} <= expected | {before}
    assert number >= _MOVES - 1
    project.build()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_after_each_rename(project: KilledProject, number: signal.Signals) -> None:
    for renames in range(1, 20):
        status, errors = killed_after(project, number, renames)
        if status == 0:
            break
        assert status == 128 + number, errors
        assert "Traceback" not in errors
        assert errors.splitlines()[-1].endswith(_FINISHED)
        assert project.state() == f"1.0.{project.builds}"
        assert project.leftovers() == []
        assert project.processes() == []
    assert renames >= _MOVES - 1


@pytest.mark.parametrize(
    ("number", "share"), [(signal.SIGKILL, 1.0), (signal.SIGINT, 0.35), (signal.SIGTERM, 0.2)],
    ids=lambda value: getattr(value, "name", ""),
)  # fmt: skip
def test_signals_at_random_times(
    project: KilledProject, number: signal.Signals, share: float
) -> None:
    random_times = random.Random(int(number))
    longest = _seconds_of_a_build(project)
    ends = {"old": 0, "new": 0}
    for turn in range(max(3, round(_KILLS * share))):
        before = project.state()
        command = ["project_setup.py", "build_project", *project.arguments] if turn % 4 == 3 else []
        seconds = random_times.uniform(0.15, 1.1) * longest
        status, errors = signalled(project, number, seconds, command)
        new = f"1.0.{project.builds}"
        if number == signal.SIGKILL:
            assert status in {-number, 0}, errors
        else:
            _check_end(number, status, errors)
        project.no_process()
        assert len(project.versions()) <= 1 or not (project.root / COMMIT).exists()
        after = project.repair()
        assert after in {before, new}
        if status > 0:
            assert (after == new) == errors.strip().endswith(_FINISHED), errors
        ends["new" if after == new else "old"] += 1
        if turn % 10 == 9:
            project.build()
    project.build()
    assert project.damaged() == []
    print(number.name, ends, f"{longest:.1f} s")


def _check_end(number: signal.Signals, status: int, errors: str) -> None:
    # Python itself has started for a moment when no handler is there yet.
    early = status == -number and (not errors or "bigflow_backend" not in errors)
    assert early or status in {0, 128 + number}, errors
    assert early or "Traceback" not in errors, errors


def _seconds_of_a_build(project: KilledProject) -> float:
    started = time.monotonic()
    project.build()
    return time.monotonic() - started


def test_several_builds_at_once(project: KilledProject) -> None:
    random_numbers = random.Random(3)
    for _ in range(max(2, round(_KILLS * 0.16))):
        builds = [project.start() for _ in range(random_numbers.randint(2, 4))]
        ends = [(*build.communicate(timeout=300), build.returncode) for build in builds]
        assert [status for *_, status in ends] == [0] * len(ends), ends
        assert not any("Traceback" in errors for _, errors, _ in ends), ends
        project.state()
    project.build()


def test_builds_in_two_namespaces_of_processes(project: KilledProject) -> None:
    """As two containers with one checkout: process ids of one mean nothing in the other."""
    prefix = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("unshare is not permitted")
    outside, inside = project.start(), project.start(prefix=prefix)
    dags = ["-m", "bigflow", "build-dags"]
    late = project.start(dags, prefix=prefix)
    for build in (outside, inside, late):
        _, errors = build.communicate(timeout=300)
        assert build.returncode == 0, errors
    project.build()


def test_a_wheel_that_cannot_be_replaced(project: KilledProject) -> None:
    """The error comes before the image is made and pushed."""
    if shutil.which("chattr") is None or os.geteuid():
        pytest.skip("root alone can set attributes, with chattr")
    project.builds -= 1
    wheel = _newest(project.root / "dist")
    before = project.state()
    if subprocess.run(["chattr", "+i", wheel], check=False).returncode:
        pytest.skip("the file system has no attributes")
    try:
        process = project.start()
        _, errors = process.communicate()
    finally:
        subprocess.run(["chattr", "-i", wheel], check=True)
    assert process.returncode == 1
    assert f"cannot replace {wheel}: Operation not permitted" in errors
    assert "building the image" not in errors
    assert project.state() == before
    assert project.leftovers() == []


def _newest(directory: Path) -> Path:
    return max(directory.iterdir(), key=lambda path: path.stat().st_mtime_ns)


# Python imports this module when it starts: a directory has no locks, as on some network disks.
_NO_LOCKS = """\
import errno, fcntl, os
flock = fcntl.flock
def refuse(file, kind):
    number = file if isinstance(file, int) else file.fileno()
    if os.readlink(f"/proc/self/fd/{number}").startswith(os.environ["NO_LOCKS"]):
        raise OSError(int(os.environ["CODE"]), os.strerror(int(os.environ["CODE"])))
    flock(file, kind)
fcntl.flock = refuse
"""
_WITHOUT_LOCKS = {
    "TMPDIR": ("tmp", "set TMPDIR to a directory on a local disk"),
    "the cache": ("cache", "set BIGFLOW_CACHE to a directory on a local disk"),
    "the project": ("project", "move the project to a local disk"),
}


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP], ids=errno.errorcode.get)
@pytest.mark.parametrize("name", _WITHOUT_LOCKS)
def test_a_file_system_without_locks(scratch: Scratch, name: str, code: int) -> None:
    """One error, and no directory is left: a loop had made 200,000."""
    place, fix = _WITHOUT_LOCKS[name]
    (scratch.input / "sitecustomize.py").write_text(_NO_LOCKS, "utf-8")
    outcome = attempt(
        scratch,
        "build",
        *scratch.image_arguments(),
        PYTHONPATH=str(scratch.input),
        NO_LOCKS=str(scratch.root / place),
        CODE=str(code),
    )
    problem, hint = outcome.error
    assert problem.startswith(f"bigflow: error: cannot lock files in {scratch.root / place}")
    assert hint == f"  {fix}: its file system has no locks"


def test_directories_of_the_user(scratch: Scratch) -> None:
    """A build leaves alone what only looks like its own."""
    names = ("bigflow-image-demo", "bigflow-0123456789ab", "bigflow-mine", "bigflow-uv")
    for name in names:
        (scratch.input / name).mkdir()
        (scratch.input / name / "bigflow.lock").write_text("mine", "utf-8")
    before = sorted(scratch.input.rglob("*"))
    attempt(scratch, "build-package", TMPDIR=str(scratch.input), succeeds=True)
    assert sorted(scratch.input.rglob("*")) == before


_SIGNALS = """\
import os, signal, sys, time
if {where}:
    # The parent is the supervisor, whose parent is the command.
    status = open(f'/proc/{{os.getppid()}}/stat').read()
    os.kill(int(status.rpartition(')')[2].split()[1]), signal.{number})
    time.sleep(60)
"""
_PHASES = {
    "the deployment": ("deployment_config.py", "True"),
    "the workflows": ("pipelines/workflow.py", "True"),
    "the tests": ("test/test_pipelines.py", "True"),
    "the wheel": ("project_setup.py", "'_in_process' in str(sys.orig_argv)"),
}
"""Phase -> the file that runs in it, in a child process, and the condition for it."""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("command", ["-m bigflow build", "project_setup.py build_project"])
@pytest.mark.parametrize("phase", _PHASES)
def test_a_signal_in_each_phase(
    project: KilledProject, phase: str, command: str, number: str
) -> None:
    name, where = _PHASES[phase]
    path = project.root / name
    text, before = path.read_text("utf-8"), project.state()
    path.write_text(_SIGNALS.format(where=where, number=number) + text, "utf-8")
    try:
        process = project.start([*command.split(), *project.arguments])
        _, errors = process.communicate(timeout=120)
    finally:
        path.write_text(text, "utf-8")
    assert process.returncode == 128 + signal.Signals[number]
    assert "Traceback" not in errors, errors
    assert errors.splitlines()[-1].endswith(_UNCHANGED)
    assert project.processes() == []
    assert project.state() == before
    assert project.leftovers() == []
