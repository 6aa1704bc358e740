"""Child processes: their ends, their limits, and what they leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground import limits, processes
from bigflow_backend.ground.processes import TooMuchOutputError, TooSlowError, run, run_bounded

if TYPE_CHECKING:
    from pathlib import Path

_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the supervisor is for Linux")
# A daemon: it leaves the session, and its parent ends. Then it writes its number.
_DAEMON = """\
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open("number.new", "w") as file:
            file.write(str(os.getpid()))
        os.rename("number.new", "number")
        time.sleep(600)
    os._exit(0)
os.wait()
while not os.path.exists("number"):
    time.sleep(0.01)
"""


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def has_ended(process: int) -> bool:
    """Return True once the process is gone, or a zombie that nobody waits for."""
    for _ in range(500):
        try:
            with open(f"/proc/{process}/stat") as file:  # noqa: PTH123
                if ") Z" in file.read():
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("raise SystemExit(0)", 0),
        ("raise SystemExit(3)", 3),
        ("import os; os.kill(os.getpid(), 11)", -signal.SIGSEGV),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("import os; os.kill(os.getpid(), 15)", -signal.SIGTERM),
    ],
)
def test_the_exit_status_is_that_of_the_program(program: str, status: int) -> None:
    assert run(python(program)) == status


def test_a_program_that_is_missing() -> None:
    with pytest.raises(FileNotFoundError):
        run(["no-such-program"])


@_LINUX
def test_a_program_that_cannot_start(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/no/such/interpreter\n", "utf-8")
    program.chmod(0o755)
    done = run_bounded([program], cwd=None, limit=100, capture_stderr=True)
    assert done.status == 127
    assert done.stderr.decode() == f"{program}: No such file or directory\n"


@pytest.mark.parametrize("supervised", [True, False])
def test_signals_have_their_default_action(supervised: bool) -> None:
    names = "SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGPIPE"
    program = f"grep SigIgn /proc/self/status; kill -l {' '.join(names)}"
    done = run_bounded(["sh", "-c", program], cwd=None, limit=1000, supervised=supervised)
    ignored = int(done.stdout.splitlines()[0].split()[1], 16)
    assert [name for name in names if ignored >> (signal.Signals[name] - 1) & 1] == []


@_LINUX
@pytest.mark.parametrize("end", ["", "import os; os.kill(os.getpid(), 9)"])
def test_a_daemon_ends_with_the_program(tmp_path: Path, end: str) -> None:
    run(python(f"{_DAEMON}{end}"), cwd=tmp_path)
    assert has_ended(int((tmp_path / "number").read_text("ascii")))


@_LINUX
def test_a_daemon_ends_at_a_limit(tmp_path: Path) -> None:
    program = f"{_DAEMON}\nimport signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    with pytest.raises(TooMuchOutputError):
        run_bounded(python(f"{program}while True: print('x')"), cwd=tmp_path, limit=1000)
    assert has_ended(int((tmp_path / "number").read_text("ascii")))


@_LINUX
def test_a_daemon_ends_with_a_block_that_ends_early(tmp_path: Path) -> None:
    with processes.child(python(f"{_DAEMON}time.sleep(600)"), cwd=tmp_path):
        while not (tmp_path / "number").exists():
            time.sleep(0.01)
    assert has_ended(int((tmp_path / "number").read_text("ascii")))


@_LINUX
def test_everything_ends_if_this_process_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from bigflow_backend.ground.processes import run\n"
        f"run([sys.executable, '-c', {f'{_DAEMON}time.sleep(600)'!r}])\n"
    )
    with subprocess.Popen(python(program), cwd=tmp_path) as process:
        while not (tmp_path / "number").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert has_ended(int((tmp_path / "number").read_text("ascii")))


def test_a_program_that_prints_too_many_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "CHILD_MESSAGES", 5000)
    program = "import sys; sys.stderr.write('x' * 20_000_000 + 'end\\n')"
    done = run_bounded(python(program), cwd=None, limit=None, capture_stderr=True)
    assert (done.status, done.stdout) == (0, b"")
    assert len(done.stderr) == 5000
    assert done.stderr.endswith(b"xend\n")


def test_a_program_that_prints_too_much() -> None:
    with pytest.raises(TooMuchOutputError):
        run_bounded(python("while True: print('x' * 1000)"), cwd=None, limit=limits.MIB)


def test_a_program_at_a_limit_sees_no_broken_pipe(tmp_path: Path) -> None:
    program = """\
import os
try:
    while True:
        os.write(1, bytes(100_000))
except BrokenPipeError:
    open("broken", "w")
"""
    for _ in range(5):
        with pytest.raises(TooMuchOutputError):
            run_bounded(python(program), cwd=tmp_path, limit=limits.MIB)
    assert not (tmp_path / "broken").exists()


@pytest.mark.parametrize(
    "program", ["while True: pass", "import os; os.close(1); os.close(2)\nwhile True: pass"]
)
def test_a_program_that_does_not_end(program: str) -> None:
    with pytest.raises(TooSlowError):
        run_bounded(python(program), cwd=None, limit=100, seconds=0.2, capture_stderr=True)


def test_what_the_program_gets(tmp_path: Path) -> None:
    done = run_bounded(
        python("import os, sys; print(os.getcwd(), os.environ['X'], sys.stdin.read())"),
        cwd=tmp_path,
        limit=1000,
        environment={**os.environ, "X": "y"},
    )
    assert done.stdout.decode() == f"{tmp_path} y \n"
