"""``project_setup.py`` -> what it states: ``PROJECT_NAME``, and the keywords of ``setup()``.

``PROJECT_NAME`` is read from the source. The keywords are known once the script has run: in a hook,
which runs it as setuptools runs a setup.py; elsewhere in a child process.
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigflow_backend.ground.errors import AlreadyReportedError, BigflowWarning, UserError
from bigflow_backend.ground.files import has_file, read_bounded
from bigflow_backend.ground.limits import CHILD_MESSAGES, PROJECT_FILE
from bigflow_backend.ground.report import reported
from bigflow_backend.project.legacy import project_keywords

_NAMES = ("project_setup.py", "setup.py")
"""The names of a setup script. The first that exists is the project's."""
_IMPORTS = frozenset({"bigflow", "bigflow_backend"})
_PLAIN = re.compile(
    r"from bigflow_backend import setup\n(?P<name>PROJECT_NAME = '[^'\n]*'\n)?"
    r"(if __name__ == '__main__':\n    )?setup\((?(name)name=PROJECT_NAME(, .*)?)\)"
)
"""The usual scripts, as ``ast.unparse`` writes them. The other keywords do not matter here."""
_CHILD = "import sys, bigflow_backend.project.setup_script as s; s.print_project_keywords()"

_calls: ContextVar[list[dict[str, Any]] | None] = ContextVar("setup_calls", default=None)


@dataclass(frozen=True)
class SetupScript:
    """The source of a setup script."""

    path: Path
    project_name: str | None
    """The string in ``PROJECT_NAME = "..."``."""
    imports_bigflow: bool
    """False for a setup.py of a project that does not use BigFlow."""
    is_legacy: bool
    """True if it imports ``bigflow``, as scripts of BigFlow 1.x do."""
    stated: Mapping[str, str] | None
    """The keywords of :func:`project_keywords`, if they can be read without running the script.
    Else None."""


def read_setup_script(root: Path) -> SetupScript | None:
    """Return the setup script of the project in ``root``, or None if it has no script.

    :raises UserError: if it cannot be read or is not valid Python.
    """
    path = setup_script_path(root)
    if path is None:
        return None
    source = read_bounded(path, PROJECT_FILE)
    try:
        tree = ast.parse(source, filename=str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        where = f"{path.name}, line {line}" if line else path.name
        reason = error.args[0] if error.args else "the code is nested too deeply"
        raise UserError(f"{where}: {reason}", hint="fix that line") from error
    project_name = literal_constants(tree).get("PROJECT_NAME")
    imported = {module.partition(".")[0] for module in _imported_modules(tree)}
    return SetupScript(
        path=path,
        project_name=project_name,
        imports_bigflow=not imported.isdisjoint(_IMPORTS),
        is_legacy="bigflow" in imported,
        stated=_stated(tree, project_name or ""),
    )


def setup_script_path(root: Path) -> Path | None:
    """Return the path of the setup script of the project in ``root``."""
    return next((path for name in _NAMES if has_file(path := root / name)), None)


def literal_constants(tree: ast.Module) -> dict[str, str]:
    """Return the module-level names that are bound once, to a string."""
    bound = Counter(
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        else:
            continue
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            names = [t.id for t in targets if isinstance(t, ast.Name) and bound[t.id] == 1]
            found.update(dict.fromkeys(names, node.value.value))
    return found


def keep_keywords(keywords: Mapping[str, Any]) -> bool:
    """Keep the keywords of a call of ``setup()`` if :func:`run_setup_script` waits for them.

    Return True if so. Then ``setup()`` has nothing else to do.
    """
    calls = _calls.get()
    if calls is None:
        return False
    calls.append(dict(keywords))
    return True


def run_setup_script(script: Path) -> dict[str, Any]:
    """Run ``script`` with a ``setup()`` that builds nothing, and return the keywords of the call.

    The script runs as ``__main__`` in its own directory, and can import modules from it.

    :raises UserError: if the script raises, or does not call ``setup()`` exactly once.
    """
    calls: list[dict[str, Any]] = []
    token = _calls.set(calls)
    try:
        with _as_main(script):
            import runpy

            runpy.run_path(os.fspath(script), run_name="__main__")
    except UserError:
        raise
    except SystemExit as error:
        if error.code not in {None, 0}:
            raise _exited(script, error) from error
    except Exception as error:  # the code of the user may raise anything
        raise UserError(
            f"{_place_in(script, error)}: {in_a_line(error)}", hint=_hint_for(script, error)
        ) from error
    finally:
        _calls.reset(token)
    if len(calls) != 1:
        raise UserError(
            f"{script.name} must call bigflow_backend.setup() once: got {len(calls)} calls",
            hint='end it with: if __name__ == "__main__": setup(name=PROJECT_NAME)',
        )
    return calls[0]


def keywords_from_child(script: Path) -> dict[str, Any]:
    """Return the :func:`project_keywords` that ``script`` passes to ``setup()``.

    A child process runs the script.

    :raises AlreadyReportedError: if the script fails.
    """
    import json

    from bigflow_backend.ground.processes import TooMuchOutputError, run_bounded

    command = [sys.executable, "-c", _CHILD, os.fspath(script)]
    try:
        done = run_bounded(command, cwd=None, limit=CHILD_MESSAGES)
    except TooMuchOutputError as error:
        raise UserError(
            f"{script.name} printed more than {CHILD_MESSAGES:,} bytes", hint="print less in it"
        ) from error
    if done.status:
        raise AlreadyReportedError
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def print_project_keywords() -> None:
    """Print the result of :func:`keywords_from_child` as JSON. The child process calls this."""
    import json

    with reported():
        warnings.simplefilter("ignore", BigflowWarning)  # the build prints them
        keywords = run_setup_script(Path(sys.argv[1]))
        print(json.dumps(project_keywords(keywords), default=str))


_VENDORED = str(Path("setuptools", "_vendor"))


@contextlib.contextmanager
def no_bytecode() -> Iterator[None]:
    """Import modules of the project in the block without writing ``__pycache__``."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def in_a_line(error: BaseException) -> str:
    """Return the type of an error and the first line of its message."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__


def place_below(root: Path, error: BaseException) -> str | None:
    """Return the file of the project and the line that raised the error, or None."""
    below = os.path.join(root, "")  # noqa: PTH118  (ends with a slash)
    places = [(f, n) for f, n in _frames(error) if f.startswith(below) and "site-packages" not in f]
    return f"{os.path.relpath(places[-1][0], root)}, line {places[-1][1]}" if places else None


def _stated(tree: ast.Module, name: str) -> dict[str, str] | None:
    """Return the keywords of a usual script. A child process would cost 30 ms."""
    body = tree.body[1:] if ast.get_docstring(tree) is not None else tree.body
    if not _PLAIN.fullmatch(ast.unparse(ast.Module(body=body, type_ignores=[]))):
        return None
    statement = body[-1].body[0] if isinstance(body[-1], ast.If) else body[-1]
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Name(), keywords=passed)):
            keywords = {keyword.arg: keyword.value for keyword in passed}
        case _:
            return None
    match project_keywords({str(key): value for key, value in keywords.items()}):
        case _ if None in keywords or not keywords:  # **keywords, or none
            return None if keywords else {}
        case {"name": _, "version": _, **others} if not others:
            version = keywords["version"]
            if isinstance(version, ast.Constant) and isinstance(version.value, str):
                return {"name": name, "version": version.value}
        case {"name": _, **others} if not others:
            return {"name": name}
    return None


def _imported_modules(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


@contextlib.contextmanager
def _as_main(script: Path) -> Iterator[None]:
    import logging

    # setuptools.build_meta leaves the project's directory off sys.path, so that a setup script
    # cannot import its neighbours: https://github.com/pypa/setuptools/issues/4764
    path, argv, directory = list(sys.path), list(sys.argv), os.getcwd()  # noqa: PTH109
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    sys.path.insert(0, os.fspath(script.parent))
    sys.argv = [os.fspath(script)]
    os.chdir(script.parent)
    try:
        with no_bytecode():
            yield
    finally:
        os.chdir(directory)
        # The setup() of setuptools makes the root logger print each file that it writes.
        root.setLevel(level)
        root.handlers[:] = handlers
        # The first import of setuptools adds the directory of the libraries that it needs.
        added = [entry for entry in sys.path if entry.endswith(_VENDORED) and entry not in path]
        sys.path[:], sys.argv = [*path, *added], argv


def _exited(script: Path, error: SystemExit) -> UserError:
    text = str(error.code)
    if text.startswith("usage: "):
        return UserError(
            f"{script.name} calls the setup() of setuptools",
            hint="write `from bigflow_backend import setup`; it takes the same keywords",
        )
    return UserError(
        f"{script.name} exited: {text.splitlines()[0] if text else repr(text)}",
        hint="let it call setup() and end",
    )


def _hint_for(script: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError) and (script.parent / "PKG-INFO").is_file():
        return "an sdist has the files that MANIFEST.in names: write `include FILE` into it"
    return f"fix {script.name}; `python {script.name} --version` prints the traceback"


def _place_in(script: Path, error: BaseException) -> str:
    """Return the name of ``script`` and, if known, the line that raised the error."""
    if isinstance(error, SyntaxError) and error.filename == os.fspath(script):
        return f"{script.name}, line {error.lineno}"
    lines = [n for file, n in _frames(error) if file == os.fspath(script)]
    return f"{script.name}, line {lines[-1]}" if lines else script.name


def _frames(error: BaseException) -> list[tuple[str, int | None]]:
    import traceback

    return [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)]
