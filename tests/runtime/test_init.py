"""`bigflow run` as process 1 of a container, and the verdict about a run."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bigflow import verdict
from support.runtime import clean_environment, write_files

UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
MODULE = """
import os, signal, subprocess, sys, time
import bigflow

class J(bigflow.Job):
    id = "j"
    def execute(self, context):
{body}

w = bigflow.Workflow("w", [J()])
"""


@pytest.fixture(scope="module", autouse=True)
def _namespaces() -> None:
    done = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no namespaces of processes: {done.stderr.strip()}")


def command(root: Path, *body: str) -> list[str]:
    """Return the command that runs a job with this body as a pod does."""
    lines = "\n".join(f"        {line}" for line in body)
    write_files(root, {"p.py": MODULE.format(body=lines)})
    arguments = ("--project-package", "p", "--module", "p", "--job", "w.j")
    return [*UNSHARE, sys.executable, "-m", "bigflow", "run", *arguments]


def run(root: Path, *body: str) -> tuple[int, str]:
    """Return the exit status of a job, and the last line of its output."""
    done = subprocess.run(
        command(root, *body),
        cwd=root,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("body", "status", "line"),
    [
        ("print(os.getpid() != 1)", 0, "True"),
        ("sys.exit(0)", 0, ""),
        ("sys.exit(3)", 3, "exit status 3"),
        ("sys.exit('no rows')", 1, "exit: no rows"),
        ("os._exit(7)", 7, "exit status 7"),
        ("raise ValueError('zły plik\\n: ąę')", 1, "ValueError: zły plik : ąę"),
        ("raise subprocess.CalledProcessError(2, 'x')", 1, "subprocess.CalledProcessError: "),
        ("raise MemoryError", 1, "MemoryError"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137, "killed by SIGKILL"),
        ("os.abort()", 134, "killed by SIGABRT"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", 139, "killed by SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGRTMIN + 2)", 164, "killed by signal 36"),
        ("os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)", 143, "stopped by SIGTERM"),
    ],
)
def test_the_end_of_a_job(tmp_path: Path, body: str, status: int, line: str) -> None:
    code, last = run(tmp_path, body)
    assert code == status
    assert last.startswith(f"bigflow: job w.j failed: {line}" if status else line)


def test_an_error_of_the_project_is_the_last_line_too(tmp_path: Path) -> None:
    arguments = command(tmp_path, "pass")
    arguments[-1] = "w.k"
    done = subprocess.run(
        arguments,
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "bigflow: error: workflow 'w' has no job 'k'",
        "  its jobs: j",
        "bigflow: job w.k failed: workflow 'w' has no job 'k' (its jobs: j)",
    ]


def test_the_verdict_comes_after_the_output_of_threads(tmp_path: Path) -> None:
    body = (
        "import threading",
        "threading.Thread(target=lambda: (time.sleep(0.2), print('late'))).start()",
        "raise ValueError('x')",
    )
    assert run(tmp_path, *body) == (1, "bigflow: job w.j failed: ValueError: x")


def test_orphans_are_reaped(tmp_path: Path) -> None:
    """The job's child leaves a child of its own, which ends later."""
    body = (
        "reader, writer = os.pipe()",
        "if os.fork() == 0:",
        "    if os.fork() == 0: os.write(writer, str(os.getpid()).encode())",
        "    os._exit(0)",
        "os.wait()",
        "orphan = os.read(reader, 9).decode()",
        "while os.path.exists(f'/proc/{orphan}'): time.sleep(0.01)",
        "print('reaped')",
    )
    assert run(tmp_path, *body) == (0, "reaped")


def test_signals_reach_the_job(tmp_path: Path) -> None:
    body = (
        "signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b'usr1\\n'))",
        "try:",
        "    os.write(1, b'ready\\n')  # a signal can interrupt this, and not print()",
        "    while True: time.sleep(0.1)",
        "finally: print('cleaned up')",
    )
    child = subprocess.Popen(
        command(tmp_path, *body),
        cwd=tmp_path,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    with child, child.stdout, child.stderr:
        while child.stdout.readline() != "ready\n":
            assert child.poll() is None
        (init,) = children_of(child.pid)
        subprocess.run(["kill", "-USR1", init], check=True)
        assert child.stdout.readline() == "usr1\n"
        subprocess.run(["kill", "-TERM", init], check=True)
        assert child.stdout.read() == "cleaned up\n"
        assert child.stderr.read() == "bigflow: job w.j failed: stopped by SIGTERM\n"
    assert child.returncode == 128 + signal.SIGTERM


def children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()


class TestVerdict:
    @pytest.fixture(autouse=True)
    def pod(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Replace the files of a pod."""
        message = tmp_path / "termination-log"
        message.write_text("older text, which is longer than the verdict about this run")
        monkeypatch.setattr(verdict, "_TERMINATION_LOG", str(message))
        groups = tuple(
            (str(tmp_path / events), str(tmp_path / limit))
            for events, limit in (("memory.events", "memory.max"), ("v1.events", "v1.limit"))
        )
        monkeypatch.setattr(verdict, "_OUT_OF_MEMORY", groups)
        return tmp_path

    def test_is_the_termination_message(
        self, pod: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        verdict.write_verdict("job w.j", "ValueError: żółw")
        line = "bigflow: job w.j failed: ValueError: żółw"
        assert (pod / "termination-log").read_text("utf-8") == line
        assert capsys.readouterr().err == f"{line}\n"

    @pytest.mark.parametrize(
        ("files", "why"),
        [
            ({"memory.events": "oom 1\noom_kill 1\n", "memory.max": "100663296\n"}, ", limit 96Mi"),
            ({"memory.events": "oom_kill 2\n", "memory.max": "max\n"}, ""),
            (
                {"v1.events": "oom_kill_disable 0\noom_kill 1\n", "v1.limit": "1048576"},
                ", limit 1Mi",
            ),
        ],
    )
    def test_names_a_lack_of_memory(
        self, pod: Path, capsys: pytest.CaptureFixture[str], files: dict[str, str], why: str
    ) -> None:
        write_files(pod, files)
        verdict.write_verdict("job w.j", "killed by SIGKILL")
        assert capsys.readouterr().err == (
            f"bigflow: job w.j failed: out of memory{why} (killed by SIGKILL)\n"
        )

    def test_no_process_was_killed(self, pod: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write_files(pod, {"memory.events": "oom 0\noom_kill 0\n", "memory.max": "1048576\n"})
        verdict.write_verdict("job w.j", "killed by SIGKILL")
        assert capsys.readouterr().err == "bigflow: job w.j failed: killed by SIGKILL\n"

    def test_a_long_message_is_cut(self) -> None:
        assert len(verdict.reason_of(ValueError("x" * 5000))) < 1100

    def test_an_error_whose_text_fails(self) -> None:
        class BrokenError(Exception):
            def __str__(self) -> str:
                raise TypeError

        assert verdict.reason_of(BrokenError()).endswith("BrokenError")
