"""What ``project_setup.py`` says in so many words: it is parsed, not run."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bigflow_backend.ground.errors import UserError

SETUP_SCRIPTS = ("project_setup.py", "setup.py")
"""The names of a setup script; the first one that is there counts."""


@dataclass(frozen=True)
class SetupScript:
    """A project's setup script."""

    path: Path
    project_name: str | None
    """``PROJECT_NAME = "..."``"""
    name: str | None
    """The ``name`` in the call of ``setup()``."""
    version: str | None
    """The ``version`` in the call of ``setup()``."""
    computes: bool = False
    """Whether one of the two is not said in so many words: only running the script tells it."""
    imports_bigflow: bool = True
    """Whether it imports from us or from BigFlow: any other setup.py is no project of ours."""


def read_setup_script(root: Path) -> SetupScript | None:
    """The setup script of the project in ``root``, or None without one.

    :raises UserError: for one that is unreadable or no Python.
    """
    path = next((p for n in SETUP_SCRIPTS if (p := root / n).is_file()), None)
    if path is None:
        return None
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror}", hint="check the file and its rights"
        ) from error
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        where = f"{path.name}, line {line}" if line else path.name
        reason = error.args[0] if error.args else "it is nested too deeply"
        raise UserError(f"{where}: {reason}", hint="mend that line") from error
    constants = literal_constants(tree)
    keywords = _setup_keywords(tree, constants)
    stated = keywords or {}
    imports_bigflow = any(_root(module) in _OURS for module in _imported_modules(tree))
    return SetupScript(
        path=path,
        project_name=constants.get("PROJECT_NAME"),
        name=stated.get("name"),
        version=stated.get("version"),
        # One that imports nothing of ours calls no setup() of ours: PROJECT_NAME is all it says.
        computes=imports_bigflow and (keywords is None or None in stated.values()),
        imports_bigflow=imports_bigflow,
    )


def literal_constants(tree: ast.Module) -> dict[str, str]:
    """The module-level names that are bound once, and to a string."""
    bound = Counter(
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            names = [t.id for t in targets if isinstance(t, ast.Name) and bound[t.id] == 1]
            found.update(dict.fromkeys(names, value.value))
    return found


_OURS = frozenset({"bigflow", "bigflow_backend"})
_SETUP_FUNCTIONS = ("setup", "default_project_setup", "project_setup", "auto_configuration")
"""Ours, and those of BigFlow's setup scripts, which take the name as their first argument."""
_NAMES = {"name": "name", "project_name": "name", "version": "version"}
"""The keywords that matter here; the second is ``auto_configuration``'s."""


def _setup_keywords(tree: ast.Module, constants: Mapping[str, str]) -> dict[str, str | None] | None:
    """``name`` and ``version`` in the call of ``setup()``: a string, or None for an expression.

    None where the call itself is not plain to see: it goes by another name, is made twice, or
    unpacks keywords.
    """
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and _called(n)]
    inner = {id(n) for call in calls for n in ast.walk(call) if n is not call}
    outermost = [call for call in calls if id(call) not in inner]
    if len(outermost) != 1:
        return None
    found: dict[str, str | None] = {}
    for argument in _arguments(outermost[0]):
        if argument.arg is None:
            return None
        if argument.arg in _NAMES:
            found[_NAMES[argument.arg]] = _string(argument.value, constants)
    return found


def _arguments(call: ast.Call) -> Iterator[ast.keyword]:
    """The keywords of a call, with those of ``**project_setup(...)`` in the place of it."""
    if call.args:
        yield ast.keyword("name", call.args[0])
    for keyword in call.keywords:
        inner = keyword.value
        if keyword.arg is None and isinstance(inner, ast.Call) and _called(inner):
            yield from _arguments(inner)
        else:
            yield keyword


def _called(call: ast.Call) -> bool:
    """Whether it looks like a call of a setup function."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in _SETUP_FUNCTIONS


def _string(value: ast.expr, constants: Mapping[str, str]) -> str | None:
    """The string that an expression stands for, where it is one or the name of one."""
    if isinstance(value, ast.Name):
        return constants.get(value.id)
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    return None


def _imported_modules(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def _root(module: str) -> str:
    return module.partition(".")[0]
