"""Bytecode for an image, compiled here by an interpreter of the same kind as the image's.

A ``.pyc`` carries the hash of its source and is never checked against it (PEP 552): it stays valid
whatever becomes of the files' times.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Compiler", "Source", "find_compiler"]

# What the compiler writes also depends on the strings that its process has met, so each process
# starts the same and gets the same files: never more than these, and never what came before.
_FILES_PER_PROCESS = 200

# Runs in the image's kind of Python, without site and without us. The jobs come as JSON. A file
# that does not compile is one that nobody imports: pip and compileall let it pass, too.
_PROGRAM = """\
import json, py_compile, sys
for source, shown, target in json.load(sys.stdin):
    try:
        py_compile.compile(source, target, shown, doraise=True,
                           invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    except (py_compile.PyCompileError, ValueError, RecursionError):
        pass
"""
_QUESTION = "import sys, importlib.util as u; print(sys.version); print(u.MAGIC_NUMBER.hex())"


@dataclass(frozen=True)
class Source:
    """A module to compile."""

    path: Path
    """Its file on this machine."""
    shown: str
    """Its path in the image, which tracebacks show."""
    target: Path
    """The ``.pyc`` to write."""


@dataclass(frozen=True)
class Compiler:
    """An interpreter whose bytecode the image's understands."""

    python: str
    version: str
    """``sys.version``: what it writes may differ from build to build of the interpreter."""
    magic: str
    """Of its bytecode, in hexadecimal digits."""

    @property
    def tag(self) -> str:
        """What its bytecode has in its name (PEP 3147), such as ``cpython-312``."""
        return "cpython-" + "".join(self.version.split(".", 2)[:2])

    def compile(self, sources: Sequence[Source]) -> None:
        """Compiles the modules; those that do not compile have no ``.pyc`` afterwards."""
        ordered = sorted(sources, key=lambda s: s.shown)
        parts = [
            ordered[start : start + _FILES_PER_PROCESS]
            for start in range(0, len(ordered), _FILES_PER_PROCESS)
        ]
        if len(parts) == 1:
            self._run(parts[0])
            return
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(pool.map(self._run, parts))

    def _run(self, sources: Sequence[Source]) -> None:
        jobs = [(str(s.path), s.shown, str(s.target)) for s in sources]
        try:
            _run_python(self.python, _PROGRAM, json.dumps(jobs))
        except subprocess.CalledProcessError as error:
            said = error.stderr.strip().rpartition("\n")[2] or f"it ended with {error.returncode}"
            raise UserError(
                f"{self.python} failed to compile the image's modules: {said}",
                hint="see that it runs, and that there is room for temporary files",
            ) from error


def find_compiler(version: str) -> Compiler | None:
    """An interpreter for the bytecode of Python ``version``, such as 3.12.4.

    That is this one or the one on the PATH: best of the same version, else of the same minor one,
    which has the same bytecode. None when there is none; the image then comes without.
    """
    minor = ".".join(version.split(".")[:2])
    found = [c for c in (_this_one(), _on_path(minor)) if c and c.version.startswith(f"{minor}.")]
    exact = [c for c in found if c.version.split()[0] == version]
    return next(iter((*exact, *found)), None)


def _this_one() -> Compiler | None:
    if sys.implementation.name != "cpython":
        return None
    return Compiler(sys.executable, sys.version, importlib.util.MAGIC_NUMBER.hex())


def _on_path(minor: str) -> Compiler | None:
    python = shutil.which(f"python{minor}")
    if python is None or Path(python).resolve() == Path(sys.executable).resolve():
        return None
    try:
        *lines, magic = _run_python(python, _QUESTION, "").splitlines()
    except (OSError, subprocess.CalledProcessError):
        return None  # a shim of pyenv's, say, for a version that is not there
    version = "\n".join(lines)
    return None if "PyPy" in version else Compiler(python, version, magic)


def _run_python(python: str, program: str, text: str) -> str:
    # Sets of constants are in the order of their hashes before 3.11; no other setting of the
    # user's reaches it, nor does a module that lies about.
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            [python, "-S", "-s", "-B", "-c", program],
            input=text,
            capture_output=True,
            text=True,
            check=True,
            cwd=empty,
            env={"PYTHONHASHSEED": "0", "PATH": os.environ.get("PATH", os.defpath)},
        )
    return done.stdout.strip()
