"""Runs ``project_setup.py`` as setuptools runs a setup.py, and keeps what it passes to setup()."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import runpy
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigflow_backend.ground.errors import AlreadyReportedError, UserError

_CHILD = "import sys, bigflow_backend.project.setup_script as s; s.print_keywords(sys.argv[1])"

_reads: ContextVar[list[str] | None] = ContextVar("files_read", default=None)
_calls: ContextVar[list[dict[str, Any]] | None] = ContextVar("setup_calls", default=None)


def captured(keywords: Mapping[str, Any]) -> bool:
    """Called by ``setup()``: whether its keywords were wanted, and have been kept."""
    calls = _calls.get()
    if calls is None:
        return False
    calls.append(dict(keywords))
    return True


@dataclass(frozen=True)
class SetupCall:
    """What running a setup script told."""

    keywords: dict[str, Any]
    """Those of its call of ``setup()``."""
    files: frozenset[str]
    """The files below its directory that it imported or read, by their absolute paths."""


def run_setup_script(script: Path) -> SetupCall:
    """Runs ``script`` up to its end, with a ``setup()`` that builds nothing.

    The script runs as ``__main__`` in its own directory, from which it can import.

    :raises UserError: when the script raises, or does not call ``setup()`` exactly once.
    """
    calls: list[dict[str, Any]] = []
    read: list[str] = []
    token = _calls.set(calls)
    try:
        with _as_main(script), _reads_recorded(read):
            runpy.run_path(os.fspath(script), run_name="__main__")
    except UserError:
        raise
    except SystemExit as error:
        if error.code not in {None, 0}:
            raise _exited(script, error) from error
    except Exception as error:  # whatever a user's script raises is the user's to mend
        raise UserError(
            f"{_place_in(script, error)}: {in_a_line(error)}",
            hint=f"mend {script.name}; `python {script.name} --version` shows the traceback",
        ) from error
    finally:
        _calls.reset(token)
    if len(calls) != 1:
        raise UserError(
            f"{script.name} called bigflow_backend.setup() {len(calls)} times, not once",
            hint='end it with: if __name__ == "__main__": setup(name=PROJECT_NAME)',
        )
    below = os.path.join(os.path.realpath(script.parent), "")  # noqa: PTH118  (ends with a slash)
    used = {os.path.realpath(name) for name in (*read, *_files_of_modules())}
    return SetupCall(calls[0], frozenset(name for name in used if name.startswith(below)))


def computed_keywords(script: Path) -> dict[str, str]:
    """The name and the version that ``script`` passes to ``setup()``; it is run in a child.

    :raises AlreadyReportedError: when the script fails.
    """
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, os.fspath(script)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AlreadyReportedError
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def _exited(script: Path, error: SystemExit) -> UserError:
    said = str(error.code)
    if said.startswith("usage: "):
        return UserError(
            f"{script.name} calls the setup() of setuptools",
            hint="from bigflow_backend import setup: it takes the same keywords",
        )
    return UserError(
        f"{script.name} exited: {said.splitlines()[0] if said else repr(said)}",
        hint="let it call setup() and end",
    )


@contextlib.contextmanager
def _as_main(script: Path) -> Iterator[None]:
    # setuptools.build_meta leaves the project's directory off sys.path, so that a setup script
    # cannot import its neighbours: https://github.com/pypa/setuptools/issues/4764
    path, argv, directory = list(sys.path), list(sys.argv), os.getcwd()  # noqa: PTH109
    sys.path.insert(0, os.fspath(script.parent))
    sys.argv = [os.fspath(script)]
    os.chdir(script.parent)
    try:
        with no_bytecode():
            yield
    finally:
        os.chdir(directory)
        sys.path[:], sys.argv = path, argv


@contextlib.contextmanager
def _reads_recorded(read: list[str]) -> Iterator[None]:
    """Adds to ``read`` the files that the block opens for reading."""
    _install_audit_hook()
    token = _reads.set(read)
    try:
        yield
    finally:
        _reads.reset(token)


@functools.cache
def _install_audit_hook() -> None:
    # There is no taking it away again: https://docs.python.org/3/library/sys.html#sys.addaudithook
    sys.addaudithook(_record_read)


def _record_read(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open":
        return
    found = _reads.get()
    path, mode, _ = arguments
    if found is not None and isinstance(path, str) and (mode is None or "r" in mode):
        found.append(os.path.abspath(path))  # noqa: PTH100  (the directory may change afterwards)


def _files_of_modules() -> Iterator[str]:
    # A module that was imported before, or from its bytecode, is not opened.
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            yield file


@contextlib.contextmanager
def no_bytecode() -> Iterator[None]:
    """What is imported in the block, from the project, leaves no ``__pycache__`` there."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def in_a_line(error: BaseException) -> str:
    """What an error of a user's script says, without the rest of its lines."""
    said = str(error).strip()
    return f"{type(error).__name__}: {said.splitlines()[0]}" if said else type(error).__name__


def _place_in(script: Path, error: BaseException) -> str:
    """Where in ``script`` an error arose: its name and, where one can be told, the line."""
    if isinstance(error, SyntaxError) and error.filename == os.fspath(script):
        return f"{script.name}, line {error.lineno}"
    lines = [n for file, n in _frames(error) if file == os.fspath(script)]
    return f"{script.name}, line {lines[-1]}" if lines else script.name


def place_below(root: Path, error: BaseException) -> str | None:
    """The file in the directory ``root`` where an error arose, and the line; None outside of it."""
    below = os.path.join(root, "")  # noqa: PTH118  (ends with a slash)
    places = [(f, n) for f, n in _frames(error) if f.startswith(below) and "site-packages" not in f]
    return f"{os.path.relpath(places[-1][0], root)}, line {places[-1][1]}" if places else None


def _frames(error: BaseException) -> list[tuple[str, int | None]]:
    return [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)]


def print_keywords(script: str) -> None:
    """What the child of ``computed_keywords`` does."""
    from pathlib import Path

    from bigflow_backend.ground.report import reported

    with reported():
        keywords = run_setup_script(Path(script)).keywords
        found = {k: str(keywords[k]) for k in ("name", "version") if keywords.get(k) is not None}
        print(json.dumps(found))
