"""Runs ``project_setup.py`` as setuptools runs a setup.py, and keeps what it passes to setup()."""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import subprocess
import sys
import traceback
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from bigflow_backend.errors import AlreadyToldError, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["captured", "computed_version", "run_setup_script"]

_CHILD = "import sys, bigflow_backend.setup_script as s; s.print_version(sys.argv[1])"

_calls: ContextVar[list[dict[str, Any]] | None] = ContextVar("setup_calls", default=None)


def captured(keywords: Mapping[str, Any]) -> bool:
    """Called by ``setup()``: whether its keywords were wanted, and have been kept."""
    calls = _calls.get()
    if calls is None:
        return False
    calls.append(dict(keywords))
    return True


def run_setup_script(script: Path) -> dict[str, Any]:
    """The keywords with which ``script`` calls ``setup()``; nothing is built.

    The script runs as ``__main__`` in its own directory, from which it can import.

    :raises UserError: when the script raises, or does not call ``setup()`` exactly once.
    """
    calls: list[dict[str, Any]] = []
    token = _calls.set(calls)
    try:
        with _as_main(script):
            runpy.run_path(os.fspath(script), run_name="__main__")
    except UserError:
        raise
    except SystemExit as error:
        if error.code not in {None, 0}:
            raise UserError(
                f"{script.name} exited with {error.code!r}", hint="let it call setup() and end"
            ) from error
    except Exception as error:  # whatever a user's script raises is the user's to mend
        raise UserError(
            f"{_place(script, error)}: {type(error).__name__}: {error}",
            hint=f"mend {script.name}; `python {script.name} --version` shows the traceback",
        ) from error
    finally:
        _calls.reset(token)
    if len(calls) != 1:
        raise UserError(
            f"{script.name} called bigflow_backend.setup() {len(calls)} times, not once",
            hint='end it with: if __name__ == "__main__": setup(name=PROJECT_NAME)',
        )
    return calls[0]


def computed_version(script: Path) -> str | None:
    """The version that ``script`` passes to ``setup()``, where only running it tells; in a child.

    :raises AlreadyToldError: when the script fails.
    """
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, os.fspath(script)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AlreadyToldError
    version = json.loads(done.stdout.splitlines()[-1])["version"]
    return None if version is None else str(version)


@contextlib.contextmanager
def _as_main(script: Path) -> Iterator[None]:
    # setuptools.build_meta leaves the project's directory off sys.path, so that a setup script
    # cannot import its neighbours: https://github.com/pypa/setuptools/issues/4764
    path, argv, directory = list(sys.path), list(sys.argv), os.getcwd()  # noqa: PTH109
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # no __pycache__ there
    sys.path.insert(0, os.fspath(script.parent))
    sys.argv = [os.fspath(script)]
    os.chdir(script.parent)
    try:
        yield
    finally:
        os.chdir(directory)
        sys.path[:], sys.argv, sys.dont_write_bytecode = path, argv, bytecode


def _place(script: Path, error: Exception) -> str:
    if isinstance(error, SyntaxError) and error.filename == os.fspath(script):
        return f"{script.name}, line {error.lineno}"
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == os.fspath(script)
    ]
    return f"{script.name}, line {lines[-1]}" if lines else script.name


def print_version(script: str) -> None:
    """What the child of ``computed_version`` does."""
    from pathlib import Path

    from bigflow_backend.reporting import reported

    with reported():
        print(json.dumps({"version": run_setup_script(Path(script)).get("version")}, default=str))
