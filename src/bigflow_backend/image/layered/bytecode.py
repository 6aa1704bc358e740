"""Bytecode for an image, compiled here by the image's own Python or one of the same kind.

A ``.pyc`` carries the hash of its source and is never checked against it (PEP 552): it stays valid
whatever becomes of the files' times.
"""

from __future__ import annotations

import marshal
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bigflow_backend.ground.errors import UserError

# What the compiler writes also depends on the strings that its process has met, so each process
# starts the same and gets the same files: never more than these, and never what came before.
_FILES_PER_PROCESS = 200

# Runs in the image's kind of Python, without site and without us: it imports nothing but what is
# built in, since a process that held more would write other bytecode. A file that does not compile
# is one that nobody imports: pip and compileall let it pass, too.
# https://github.com/python/cpython/blob/main/Lib/py_compile.py
PROGRAM = """\
import _frozen_importlib_external, _imp, marshal, sys
magic = _frozen_importlib_external.MAGIC_NUMBER
raw_magic, unchecked = int.from_bytes(magic, "little"), (1).to_bytes(4, "little")
found = []
for shown, source in marshal.loads(sys.stdin.buffer.read()):
    try:
        code = compile(source, shown, "exec", dont_inherit=True, optimize=-1)
        found.append(magic + unchecked + _imp.source_hash(raw_magic, source) + marshal.dumps(code))
    except Exception:
        found.append(b"")
sys.stdout.buffer.write(marshal.dumps(found, 2))
"""
OPTIONS = ("-S", "-s", "-B")
"""Nothing of the machine or the user reaches the compiling process, and it leaves nothing."""
# Sets of constants are in the order of their hashes before 3.11.
ENVIRONMENT = {"PYTHONHASHSEED": "0"}
# marshal's version 2 is the same in every Python 3.
_MARSHAL = 2


@dataclass(frozen=True)
class Source:
    """A module to compile."""

    path: Path
    """Its file on this machine."""
    shown: str
    """Its path in the image, which tracebacks show."""
    target: Path
    """The ``.pyc`` to write."""


class Compiler(Protocol):
    """An interpreter whose bytecode the image's understands."""

    @property
    def version(self) -> str:
        """``sys.version``: what it writes may differ from build to build of the interpreter."""
        ...

    def compile(self, sources: Sequence[Source]) -> None:
        """Compiles the modules; those that do not compile have no ``.pyc`` afterwards."""
        ...


def cache_tag(compiler: Compiler) -> str:
    """What its bytecode has in its name (PEP 3147), such as ``cpython-312``."""
    return "cpython-" + "".join(compiler.version.split(".", 2)[:2])


def compile_with(run: Callable[[bytes], bytes], sources: Sequence[Source]) -> None:
    """Compiles by processes that have :data:`PROGRAM`: ``run`` gives one its input.

    :raises UserError: when one of them fails.
    """

    def compile_part(part: Sequence[Source]) -> None:
        jobs = [(source.shown, source.path.read_bytes()) for source in part]
        try:
            compiled = marshal.loads(run(marshal.dumps(jobs, _MARSHAL)))  # noqa: S302  (our own)
        except (subprocess.CalledProcessError, EOFError, ValueError, TypeError) as error:
            raise UserError(
                f"the image's modules cannot be compiled: {_last_words(error)}",
                hint="see that there is room for temporary files; `bigflow cache --clear` helps"
                " where the interpreter is damaged",
            ) from error
        for source, content in zip(part, compiled, strict=True):
            if content:
                source.target.parent.mkdir(parents=True, exist_ok=True)
                source.target.write_bytes(content)

    ordered = sorted(sources, key=lambda s: s.shown)
    parts = [
        ordered[start : start + _FILES_PER_PROCESS]
        for start in range(0, len(ordered), _FILES_PER_PROCESS)
    ]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(compile_part, parts))


def _last_words(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        said = (error.stderr or b"").decode("utf-8", "replace").strip().rpartition("\n")[2]
        return said or f"the interpreter ended with {error.returncode}"
    return str(error)


@dataclass(frozen=True)
class LocalCompiler:
    """An interpreter of this machine."""

    python: str
    version: str

    def compile(self, sources: Sequence[Source]) -> None:
        """See :class:`Compiler`."""
        compile_with(lambda jobs: _run_python(self.python, PROGRAM, jobs), sources)


def find_local_compiler(version: str) -> LocalCompiler | None:
    """An interpreter of this machine for the bytecode of Python ``version``, such as 3.12.4.

    That is this one or the one on the PATH: best of the same version, else of the same minor one,
    which has the same bytecode. None when there is none; the image then comes without.
    """
    minor = ".".join(version.split(".")[:2])
    own = _this_one()
    if own and own.version.split()[0] == version:
        return own  # without asking another, which takes longer than a build of no change
    found = [c for c in (own, _on_path(minor)) if c and c.version.startswith(f"{minor}.")]
    exact = [c for c in found if c.version.split()[0] == version]
    return next(iter((*exact, *found)), None)


def _this_one() -> LocalCompiler | None:
    if sys.implementation.name != "cpython":
        return None
    return LocalCompiler(sys.executable, sys.version)


def _on_path(minor: str) -> LocalCompiler | None:
    python = shutil.which(f"python{minor}")
    if python is None or Path(python).resolve() == Path(sys.executable).resolve():
        return None
    try:
        version = _run_python(python, "import sys; print(sys.version)", b"").decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return None  # a shim of pyenv's, say, for a version that is not there
    return None if "PyPy" in version else LocalCompiler(python, version)


def _run_python(python: str, program: str, jobs: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory, "program.py")
        script.write_text(program, "ascii")
        return subprocess.run(
            [python, *OPTIONS, script],
            input=jobs,
            capture_output=True,
            check=True,
            cwd=directory,
            env={**ENVIRONMENT, "PATH": os.environ.get("PATH", os.defpath)},
        ).stdout
