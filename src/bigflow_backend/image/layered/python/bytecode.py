"""Bytecode for an image, compiled here by the base's Python or a Python of this machine.

A ``.pyc`` contains the hash of its source, and Python never compares the two (PEP 552): the file
stays valid whatever becomes of the files' times.
"""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from bigflow_backend.ground.directories import temporary_file
from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.ground.files import Slice
from bigflow_backend.ground.foreign.text import one_line
from bigflow_backend.ground.limits import MODULE
from bigflow_backend.ground.uv import find_uv
from bigflow_backend.image.layered.python.sandbox import limits

# The compiler's output depends on the strings that its process has met before. So each process
# starts empty and gets a fixed share of the files.
_FILES_PER_PROCESS = 200
_QUESTION_SECONDS = 20
_LAST_BYTES = 4096
_PIECE = 1 << 20
_LAST_LETTERS = 200

# Runs without site and imports only built-in modules: a process with more in memory writes other
# bytecode. A file that does not compile gets no bytecode, as with pip and compileall. One that
# needs too much memory gets a zero byte instead.
# https://github.com/python/cpython/blob/main/Lib/py_compile.py
_COMPILING = """\
import _frozen_importlib_external, _imp, marshal, sys
jobs, results = sys.stdin.buffer, sys.stdout.buffer
magic = _frozen_importlib_external.MAGIC_NUMBER
raw_magic, unchecked = int.from_bytes(magic, "little"), (1).to_bytes(4, "little")
def read():
    size = jobs.read(8)
    return jobs.read(int.from_bytes(size, "little")) if size else None
while (shown := read()) is not None:
    source = read()
    try:
        code = compile(source, shown.decode(), "exec", dont_inherit=True, optimize=-1)
        made = magic + unchecked + _imp.source_hash(raw_magic, source) + marshal.dumps(code)
    except MemoryError:
        made = b"\\0"
    except Exception:
        made = b""
    results.write(len(made).to_bytes(8, "little") + made)
results.flush()
"""
_NO_MEMORY = b"\0"
_VERSION = "import sys; print(sys.version)"
OPTIONS = ("-S", "-s", "-B")
"""Options that keep the machine's and the user's modules out of the process."""
# Before Python 3.11, sets of constants are in the order of their hashes.
ENVIRONMENT = {"PYTHONHASHSEED": "0"}


@dataclass(frozen=True)
class Source:
    """A module to compile."""

    path: Path
    """Its file on this machine."""
    shown: str
    """Its path in the image, which tracebacks show."""


_Part = Mapping[str, Source]
"""The modules of one process, by their keys."""


@dataclass(frozen=True)
class Streams:
    """Files for the standard streams of a process, which never has to wait for their reader."""

    input: IO[bytes]
    output: IO[bytes]
    errors: IO[bytes]

    @staticmethod
    @contextlib.contextmanager
    def opened() -> Iterator[Streams]:
        with temporary_file() as one, temporary_file() as two, temporary_file() as three:
            yield Streams(one, two, three)


Start = Callable[[Streams], "subprocess.Popen[bytes]"]
"""Starts a Python program with these streams."""


class Compiler(Protocol):
    """A Python whose bytecode the image's Python can load."""

    @property
    def identity(self) -> str:
        """A part of cache keys: the bytecode depends on it and on the sources."""
        ...

    @property
    def description(self) -> str:
        """A noun for messages."""
        ...

    def prepared(self, program: str) -> contextlib.AbstractContextManager[Start]:
        """Return what starts the Python program ``program``."""
        ...


class CompilerError(Exception):
    """The reason why a compiler failed, in one line."""


def cache_tag(minor: str) -> str:
    """Return the tag in the names of a Python's ``.pyc`` files (PEP 3147): 3.12 -> cpython-312."""
    return f"cpython-{minor.replace('.', '')}"


@contextlib.contextmanager
def compiled(
    compiler: Compiler, *groups: Mapping[str, Source], deadline: float
) -> Iterator[list[dict[str, Slice]]]:
    """Yield the bytecode of each group, by the keys of its sources, without what does not compile.

    The bytecode of a group does not depend on the other groups. ``deadline`` is a time of
    :func:`time.monotonic`. One file has all of it: a new file for each module takes longer than
    to compile it.

    :raises UserError: if the compiler fails, or has not ended at the deadline.
    """
    with temporary_file() as kept:
        found: list[dict[str, Slice]] = [{} for _ in groups]
        waiting = deque(
            (part, made)
            for sources, made in zip(groups, found, strict=True)
            for part in _parts(sources)
        )
        try:
            with compiler.prepared(_COMPILING) as start, contextlib.ExitStack() as stack:
                running: deque[tuple[contextlib.ExitStack, _Run, _Part, dict[str, Slice]]] = deque()
                while waiting or running:
                    if waiting and len(running) < (os.cpu_count() or 1):
                        part, made = waiting.popleft()
                        own = stack.enter_context(contextlib.ExitStack())
                        run = own.enter_context(_run(start, _frames(part), deadline))
                        running.append((own, run, part, made))
                    else:
                        own, run, part, made = running.popleft()
                        made.update(_keep(run, part, kept))
                        own.close()
        except CompilerError as error:
            raise UserError(
                f"the image's modules cannot be compiled: {error}",
                hint="check the free space for temporary files; for a damaged interpreter in the "
                "cache, run `bigflow cache --clear`",
            ) from error
        kept.flush()
        yield found


def _frames(part: _Part) -> Iterator[bytes]:
    for source in part.values():
        yield source.shown.encode("utf-8", "surrogateescape")
        yield source.path.read_bytes()


def _warn_of_size(source: Source) -> None:
    warnings.warn(
        f"{one_line(source.shown)} has no bytecode, because it takes too much memory to compile; "
        "the image runs it, but starts more slowly",
        BigflowWarning,
        stacklevel=2,
    )


def _parts(sources: Mapping[str, Source]) -> Iterator[_Part]:
    """Yield the share of each process."""
    ordered = []
    for key, source in sorted(sources.items(), key=lambda item: item[1].shown):
        if source.path.stat().st_size > MODULE:
            _warn_of_size(source)
        else:
            ordered.append((key, source))
    for start in range(0, len(ordered), _FILES_PER_PROCESS):
        yield dict(ordered[start : start + _FILES_PER_PROCESS])


def ask_version(compiler: Compiler, *, deadline: float = math.inf) -> str:
    """Return ``sys.version`` of the compiler.

    :raises CompilerError: if it does not run.
    """
    deadline = min(deadline, time.monotonic() + _QUESTION_SECONDS)
    with compiler.prepared(_VERSION) as start, _run(start, (), deadline) as run:
        run.wait()
        run.streams.output.seek(0)
        return run.streams.output.read(_LAST_BYTES).decode("utf-8", "replace").strip()


def last_line(file: IO[bytes]) -> str:
    """Return the end of the last line of a process's output, without control characters."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_BYTES))
    lines = file.read().decode("utf-8", "replace").strip().splitlines()
    line = one_line(lines[-1]) if lines else ""
    return "".join(character for character in line if character.isprintable())[-_LAST_LETTERS:]


@dataclass(frozen=True)
class _Run:
    process: subprocess.Popen[bytes]
    streams: Streams
    deadline: float

    def wait(self) -> None:
        status = self.process.wait()
        if status and time.monotonic() >= self.deadline:
            raise CompilerError("it has not ended in time; raise timeout in [tool.bigflow.image]")
        if status:
            reason = last_line(self.streams.errors) or "no output"
            raise CompilerError(f"{reason} (exit status {status})")


@contextlib.contextmanager
def _run(start: Start, frames: Iterator[bytes] | tuple[()], deadline: float) -> Iterator[_Run]:
    """Yield a running program with these frames as its input; end it with the block."""
    with Streams.opened() as streams:
        for frame in frames:
            streams.input.write(len(frame).to_bytes(8, "little") + frame)
        streams.input.seek(0)
        process = start(streams)
        timer = threading.Timer(max(0.0, deadline - time.monotonic()), process.kill)
        timer.daemon = True
        timer.start()
        try:
            yield _Run(process, streams, deadline)
        finally:
            timer.cancel()
            process.kill()
            process.wait()


def _keep(run: _Run, part: _Part, kept: IO[bytes]) -> Iterator[tuple[str, Slice]]:
    """Append what the process has compiled to ``kept``; yield the place of each.

    The output may come from a program of the base image. It is split by its sizes, and never
    unmarshalled: a wrong code object crashes the interpreter that loads it.
    """
    run.wait()
    output = run.streams.output
    left = output.seek(0, os.SEEK_END)
    output.seek(0)
    for key, source in part.items():
        size = int.from_bytes(output.read(8), "little")
        left -= 8 + size
        if left < 0:
            raise CompilerError("its output is cut short")
        if size == len(_NO_MEMORY):
            output.read(size)
            _warn_of_size(source)
        elif size:
            yield key, Slice(kept, kept.seek(0, os.SEEK_END), size)
            while size:
                piece = output.read(min(size, _PIECE))
                kept.write(piece)
                size -= len(piece)
    if left:
        raise CompilerError("its output is too long")


@dataclass(frozen=True)
class LocalCompiler:
    """A Python of this machine."""

    python: str
    version: str = ""
    """``sys.version``"""

    @property
    def identity(self) -> str:
        return self.version

    @property
    def description(self) -> str:
        return f"Python {self.version.split()[0]} of this machine"

    @contextlib.contextmanager
    def prepared(self, program: str) -> Iterator[Start]:
        """See :class:`Compiler`."""
        with tempfile.TemporaryDirectory() as directory:
            script = Path(directory, "program.py")
            script.write_text(program, "ascii")
            yield lambda streams: subprocess.Popen(
                [*limits(), self.python, *OPTIONS, script],
                stdin=streams.input,
                stdout=streams.output,
                stderr=streams.errors,
                cwd=directory,
                env={**ENVIRONMENT, "PATH": os.environ.get("PATH", os.defpath)},
            )


def find_local_compiler(version: str) -> LocalCompiler | None:
    """Return a Python of this machine that writes the bytecode of Python ``version``, else None.

    Each release of a minor version loads the bytecode of the others. The same release comes first,
    then the running Python, then another Python that uv finds.
    """
    minor = ".".join(version.split(".")[:2])
    own = None
    if sys.implementation.name == "cpython" and sys.version.startswith(f"{minor}."):
        own = LocalCompiler(sys.executable, sys.version)
        if sys.version.split()[0] == version:
            return own
    return _find_by_uv(version) or own or _find_by_uv(minor)


def _find_by_uv(version: str) -> LocalCompiler | None:
    """Return a CPython that is on the ``PATH``, or that uv has installed.

    https://docs.astral.sh/uv/reference/cli/#uv-python-find
    """
    command = [
        find_uv("building an image without an engine"), "python", "find", "--no-project",
        "--no-python-downloads", "--system", f"cpython@{version}",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd="/", timeout=_QUESTION_SECONDS
        )
    except subprocess.TimeoutExpired:
        return None  # uv runs each Python on the PATH, and one of them hangs
    if not (python := done.stdout.strip()):
        return None
    try:
        return LocalCompiler(python, ask_version(LocalCompiler(python)))
    except CompilerError:
        return None
