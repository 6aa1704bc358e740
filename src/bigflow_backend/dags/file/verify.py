"""Verify the file that a project's own template gives.

The file must compile. Each literal is found again as one expression with its value, so it stands
neither in a string, nor in a comment, nor within a longer token. The tasks must be
KubernetesPodOperators, one for each job. A template is code of the project: it can change
everything else.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bigflow_backend.dags.file.literals import Call, Name, Value, same
from bigflow_backend.dags.rules.location import shown

Span = tuple[int, int, int, int]
"""Line and column of the first character, and of the one after the last, as ``ast`` counts them."""

_OPERATOR = "KubernetesPodOperator"
_OTHER_TASKS = ("Operator", "Sensor")


class VerificationError(Exception):
    """A file that is not valid; the message is one line."""


class Placed(NamedTuple):
    """A value, and the span of its literal in the file."""

    value: Value
    span: Span


def verify(text: str, placed: Sequence[Placed], task_ids: Sequence[str]) -> None:
    """Verify a file with the tasks ``task_ids``.

    :raises VerificationError: for the first error.
    """
    tree = _parse(text)
    _check_literals(text, tree, placed)
    _check_tasks(text, tree, task_ids)


def line_of_result(text: str, line: int) -> str:
    """Quote a line of the file for a message. A file that is not valid is not written."""
    lines = text.split("\n")
    return f"line {line} of the result, {shown(lines[min(line, len(lines)) - 1].strip())},"


def _parse(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Airflow would show a warning at each parse
        try:
            tree = ast.parse(text)
            compile(tree, "<dag>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, SyntaxWarning, DeprecationWarning) as error:
            line = getattr(error, "lineno", None)
            where = line_of_result(text, line) if line else "the result"
            raise VerificationError(f"{where} is not Python: {error.args[0]}") from error
    return tree


def _check_literals(text: str, tree: ast.Module, placed: Sequence[Placed]) -> None:
    missing = {span: value for value, span in placed}
    for node in ast.walk(tree):
        if not isinstance(node, ast.expr):
            continue
        span = (node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0)
        if span in missing and same(_value(node), missing[span]):
            del missing[span]
    if missing:
        where = line_of_result(text, min(missing)[0])
        raise VerificationError(f"{where} has a value in quotes, in a comment or within a word")


def _check_tasks(text: str, tree: ast.Module, task_ids: Sequence[str]) -> None:
    dags, found = 0, []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = _dotted_name(node.func).rpartition(".")[2]
        if function == "DAG":
            dags += 1
        elif function == _OPERATOR:
            found += [_value(k.value) for k in node.keywords if k.arg == "task_id"]
        elif function.endswith(_OTHER_TASKS):
            where = line_of_result(text, node.lineno)
            raise VerificationError(f"{where} has the task type {function}; write {_OPERATOR}")
    if dags != 1:
        raise VerificationError(f"the file must have one DAG: got {dags}")
    for task_id in task_ids:
        if found.count(task_id) != 1:
            count = found.count(task_id)
            raise VerificationError(f"the file must have one task {task_id!r}: got {count}")


class _Code:
    """An expression that is not a value; it equals nothing."""


def _value(node: ast.expr | None) -> Any:  # noqa: PLR0911
    """Return the value of an expression that consists of literals."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.List(elts=parts):
            return [_value(part) for part in parts]
        case ast.Dict(keys=keys, values=values) if all(isinstance(k, ast.Constant) for k in keys):
            return {_value(key): _value(v) for key, v in zip(keys, values, strict=True)}
        case ast.Name(id=name):
            return Name(name)
        case ast.Call(func=function, args=arguments, keywords=keywords):
            named: Mapping[str, Any] = {k.arg or "**": _value(k.value) for k in keywords}
            return Call(_dotted_name(function), [_value(part) for part in arguments], named)
    return _Code()


def _dotted_name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=owner, attr=name):
            return f"{_dotted_name(owner)}.{name}"
    return ast.unparse(node)
