"""The sandbox: what a hostile program of a base image can see, change, use and leave."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.layered.python import bytecode
from bigflow_backend.image.layered.python import sandbox as sandboxes
from bigflow_backend.image.layered.python.base_python import BasePython, find_base_python
from bigflow_backend.image.layered.python.bytecode import (
    CompilerError,
    Source,
    Streams,
    ask_version,
    compiled,
)
from bigflow_backend.image.layered.python.sandbox import SandboxError, find_sandbox

if TYPE_CHECKING:
    from bigflow_backend.image.layered.python.interpreter import Interpreter
    from bigflow_backend.image.store.blobs import BlobStore

_ENCODINGS = "usr/lib/python3.11/encodings/__init__.py"
_ATTEMPTS = """\
import _imp, os, sys
def attempt(name, action, *arguments):
    try:
        print(f"{name}={action(*arguments)}")
    except BaseException as error:
        print(f"{name}={type(error).__name__}")
def connect(port):
    import _socket
    return _socket.socket().connect(("127.0.0.1", port))
attempt("root", lambda: sorted(os.listdir("/")))
attempt("user", lambda: (os.getuid(), os.getgid(), os.getgroups()))
attempt("become root", os.setuid, 0)
attempt("chroot", os.chroot, "/")
attempt("write", os.mkdir, "/new")
attempt("fork", os.fork)
attempt("kill", os.kill, {process}, 0)
attempt("signal all", os.kill, -1, 0)
attempt("parent", os.getppid)
attempt("connect", connect, {port})
attempt("environment", lambda: sorted(os.environ))
attempt("files", lambda: [n for n in range(3, 64) if not os.set_inheritable(n, False)])
attempt("memory", lambda: len(bytearray(4 << 30)))
"""


def _run(compiler: BasePython, program: str) -> tuple[int, str, str]:
    with compiler.prepared(program) as start, Streams.opened() as streams:
        process = start(streams)
        status = process.wait(60)
        streams.output.seek(0)
        streams.errors.seek(0)
        return status, streams.output.read().decode(), streams.errors.read().decode()


def _with_module(compiler: BasePython, store: BlobStore, content: bytes) -> BasePython:
    """Return the Python with another first module: its program does what the module says."""
    blob = store.add(content, "application/octet-stream").as_json()
    files = {**compiler.files.files, _ENCODINGS: blob}
    return dataclasses.replace(compiler, files=dataclasses.replace(compiler.files, files=files))


def test_a_hostile_program_is_alone(
    base_python: BasePython, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "s3cret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        program = _ATTEMPTS.replace("{process}", str(os.getpid())).replace("{port}", str(port))
        status, output, _errors = _run(base_python, program)
    assert status == 0
    found = dict(line.partition("=")[::2] for line in output.splitlines())
    assert set(found.pop("root")[1:-1].replace("'", "").split(", ")) <= {
        "bin", "lib", "lib64", "program.py", "usr",
    }  # fmt: skip
    assert found.pop("parent") == "1"  # bwrap's process in the namespace
    assert found == {
        "user": "(65534, 65534, [])",
        "become root": "OSError",  # the namespace has no such user
        "chroot": "PermissionError",
        "write": "OSError",  # read-only
        "fork": "PermissionError",
        "kill": "ProcessLookupError",
        "signal all": "ProcessLookupError",  # it is alone
        "connect": "PermissionError",
        "environment": "['LD_LIBRARY_PATH', 'PWD', 'PYTHONHASHSEED']",
        "files": "OSError",  # none is open
        "memory": "MemoryError",
    }


@pytest.mark.parametrize(
    ("limit", "value", "program"),
    [
        ("cpu", 1, "while True: pass"),
        ("fsize", 1 << 20, "import sys\nwhile True: sys.stdout.buffer.write(b'x' * 4096)"),
        ("fsize", 1 << 20, "import sys\nwhile True: sys.stderr.buffer.write(b'x' * 4096)"),
        ("as", 200 << 20, "text = b'x' * (300 << 20)"),
    ],
)
def test_limits(
    base_python: BasePython,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    value: int,
    program: str,
) -> None:
    monkeypatch.setitem(sandboxes._LIMITS, limit, value)
    status, output, errors = _run(base_python, program)
    assert status != 0
    assert max(len(output), len(errors)) <= 1 << 20


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (b"raise SystemError('it broke')", "cannot be compiled: "),
        (b"import sys; raise SystemExit(0)", "cannot be compiled: "),
        (b"import posix; posix.write(1, b'\\xff' * 100); posix._exit(0)", "is cut short"),
        (b"import posix; posix.write(1, bytes(100)); posix._exit(0)", "is too long"),
        (b"import posix; posix.kill(posix.getpid(), 11)", "cannot be compiled: "),
    ],
)
def test_a_python_of_the_base_that_lies(
    base_python: BasePython, store: BlobStore, tmp_path: Path, module: bytes, message: str
) -> None:
    source = Source(tmp_path / "m.py", "/app/m.py")
    source.path.write_text("pass\n")
    hostile = _with_module(base_python, store, module)
    compiling = compiled(hostile, {"m": source}, deadline=time.monotonic() + 60)
    with pytest.raises(UserError, match=message) as caught:
        compiling.__enter__()
    assert caught.value.message.isprintable()


def test_each_python_has_its_own_cache_keys(base_python: BasePython, store: BlobStore) -> None:
    """A hostile base may state the version of a good one."""
    hostile = _with_module(base_python, store, b"pass")
    assert hostile.version == base_python.version
    assert hostile.identity != base_python.identity


def test_a_python_that_does_not_start(
    base_python: BasePython, store: BlobStore, base_interpreter: Interpreter
) -> None:
    hostile = _with_module(base_python, store, b"raise SystemError")
    with pytest.raises(SandboxError, match="it does not start"):
        find_base_python(store, hostile.files, base_interpreter, deadline=math.inf)
    foreign = dataclasses.replace(base_interpreter, architecture="s390x")
    with pytest.raises(SandboxError, match="it is for s390x"):
        find_base_python(store, base_python.files, foreign, deadline=math.inf)


@pytest.mark.parametrize(
    "answer", ["3.11/../../x", "3.12.1 (main)", "3.11.\x1b[31m2", "3.11.2\n3", "3.11.2" * 1000, ""]
)
def test_a_version_that_is_not_one(
    base_python: BasePython, store: BlobStore, base_interpreter: Interpreter, answer: str
) -> None:
    """The version is a part of messages."""
    text = f"import posix; posix.write(1, {answer.encode()!r}); posix._exit(0)".encode()
    files = _with_module(base_python, store, text).files
    with pytest.raises(SandboxError, match="it does not print a version"):
        find_base_python(store, files, base_interpreter, deadline=math.inf)


_HANGING = """\
import pickle, sys, time
from pathlib import Path
from bigflow_backend.ground.signals import terminable
from bigflow_backend.image.layered.python.base_python import BasePython
from bigflow_backend.image.layered.python.bytecode import Source, compiled
from bigflow_backend.image.layered.python.sandbox import find_sandbox
from bigflow_backend.image.store.blobs import open_store

root, source, files = Path(sys.argv[1]), Path(sys.argv[2]), pickle.loads(sys.stdin.buffer.read())
with open_store(root) as store, terminable():
    python = BasePython(files, "3.11", store, find_sandbox())
    with compiled(python, {"m": Source(source, "/m.py")}, deadline=time.monotonic() + 1000):
        pass
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_end_it_at_once(
    base_python: BasePython, store: BlobStore, tmp_path: Path, number: signal.Signals
) -> None:
    """Also a Python of the base that does not end by itself."""
    module = b"while True: pass"
    hanging = _with_module(base_python, store, module)
    (tmp_path / "m.py").touch()
    with subprocess.Popen(
        [sys.executable, "-c", _HANGING, store.root, tmp_path / "m.py"],
        stdin=subprocess.PIPE,
        start_new_session=True,
    ) as build:
        assert build.stdin is not None
        build.stdin.write(pickle.dumps(hanging.files))
        build.stdin.close()
        while len(started := _descendants(build.pid)) < 3:  # bwrap, its init, and Python
            assert build.poll() is None
            time.sleep(0.01)
        build.send_signal(number)
        build.wait(120)
    end = time.monotonic() + 120
    while any(_is_alive(process) for process in started):
        assert time.monotonic() < end
        time.sleep(0.01)


def _descendants(process: int) -> set[int]:
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        found = {int(child) for child in children}
        return found.union(*map(_descendants, found))
    return set()


def _is_alive(process: int) -> bool:
    with contextlib.suppress(OSError):
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    return False


def test_commands_that_are_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="the command prlimit is not installed"):
        find_sandbox()
    (tmp_path / "prlimit").symlink_to("/usr/bin/prlimit")
    with pytest.raises(SandboxError, match="the command bwrap is not installed"):
        find_sandbox()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'bwrap: No permissions to create new namespace' >&2; exit 1", "No permissions"),
        ("exit 7", "exit status 7"),
        ("exec sleep 1000", "has not ended in time"),
    ],
)
def test_a_bubblewrap_that_does_not_work(
    base_python: BasePython, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    monkeypatch.setattr(bytecode, "_QUESTION_SECONDS", 0.2 if "sleep" in script else 20)
    monkeypatch.setattr(sandboxes, "_OPTIONS", ("-c", script))
    shell = sandboxes.Sandbox("/usr/bin/prlimit", "/bin/sh")
    with pytest.raises(CompilerError, match=message):
        ask_version(dataclasses.replace(base_python, sandbox=shell))


def test_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(SandboxError, match="there is no sandbox for linux on riscv64"):
        find_sandbox()
