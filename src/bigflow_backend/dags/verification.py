"""The proof that a rendered file says what its model says, and that no value became code.

The file is parsed. Each literal that was put into it must be found again as one expression with the
value that went in, which it is not within a string, a comment or a longer token; and the DAG, its
operators and their order must be those of the model.
"""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bigflow_backend.dags.literals import Call, Name, Value, same

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bigflow_backend.dags.model import Dag

__all__ = ["Placed", "Span", "VerificationError", "verify"]

Span = tuple[int, int, int, int]
"""Line and column of the first character and of that after the last, as ``ast`` counts them."""


class VerificationError(Exception):
    """A rendered file that is not what its model says; one line."""


@dataclass(frozen=True)
class Placed:
    """A value and where its literal stands in the file."""

    value: Value
    span: Span


def verify(text: str, placed: Sequence[Placed], dag: Dag) -> None:
    """Checks a rendered file.

    :raises VerificationError: for the first thing that is wrong.
    """
    tree = _parse(text)
    nodes = list(ast.walk(tree))
    _check_literals(nodes, placed)
    constants: dict[str, Value] = {
        "RUNTIME": dag.runtime,
        "CONFIG": dag.config,
        "common": dict(dag.common),
    }
    for name, value in constants.items():
        _check_constant(nodes, name, value)
    _check_dag(nodes, dag)
    _check_tasks(nodes, dag)
    _check_order(nodes, dag)


def _parse(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Airflow would show it at each parse
        try:
            tree = ast.parse(text)
            # Some errors, such as a keyword given twice, come only with the code.
            compile(tree, "<dag>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, SyntaxWarning, DeprecationWarning) as error:
            line = getattr(error, "lineno", None)
            where = f"line {line} of the result" if line else "the result"
            raise VerificationError(f"{where} is not Python: {error.args[0]}") from error
    return tree


def _check_literals(nodes: Sequence[ast.AST], placed: Sequence[Placed]) -> None:
    by_span = {_span(node): node for node in nodes if isinstance(node, ast.expr)}
    for literal in placed:
        node = by_span.get(literal.span)
        if node is None:
            raise VerificationError(
                f"line {literal.span[0]} of the result: a value stands in quotes, in a comment or"
                " within a word"
            )
        if not same(_value(node), literal.value):
            raise VerificationError(f"line {literal.span[0]} of the result: a value has changed")


def _span(node: ast.expr) -> Span:
    # A tree that was parsed has these.
    return (
        node.lineno,
        node.col_offset,
        node.end_lineno or 0,
        node.end_col_offset or 0,
    )


def _check_constant(nodes: Sequence[ast.AST], name: str, value: Value) -> None:
    found = [
        node.value
        for node in nodes
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
    ]
    if len(found) != 1:
        raise VerificationError(f"{name} is assigned {len(found)} times")
    _check_arguments(name, {"value": value}, {"value": _value(found[0])})


def _check_dag(nodes: Sequence[ast.AST], dag: Dag) -> None:
    calls = _calls(nodes, "DAG")
    if len(calls) != 1:
        raise VerificationError(f"the file has {len(calls)} DAGs, not one")
    _check_arguments("the DAG", dag.arguments, calls[0])


def _check_tasks(nodes: Sequence[ast.AST], dag: Dag) -> None:
    calls = _calls(nodes, "KubernetesPodOperator")
    for task in dag.tasks:
        found = [call for call in calls if call.get("task_id") == task.task_id]
        if len(found) != 1:
            raise VerificationError(f"the task {task.task_id!r} is there {len(found)} times")
        if not isinstance(found[0].get("**"), Name):
            raise VerificationError(f"the task {task.task_id!r} lacks **common")
        _check_arguments(f"the task {task.task_id!r}", task.arguments, found[0])


def _check_arguments(owner: str, wanted: Mapping[str, Value], found: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        if name not in found:
            raise VerificationError(f"{owner} lacks {name}")
        if not same(found[name], value):
            raise VerificationError(f"{owner} has another {name} than the workflow says")


def _check_order(nodes: Sequence[ast.AST], dag: Dag) -> None:
    wanted = {(upstream, task.task_id) for task in dag.tasks for upstream in task.upstream}
    found = {
        (_task_id(node.left), _task_id(node.right))
        for node in nodes
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.RShift)
    }
    missing = wanted - found
    if missing:
        raise VerificationError("the file lacks the order {!r} >> {!r}".format(*min(missing)))


def _task_id(node: ast.expr) -> str | None:
    """``x`` of ``tasks["x"]``."""
    if (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id == "tasks"
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
    ):
        return node.slice.value
    return None


def _calls(nodes: Sequence[ast.AST], function: str) -> list[dict[str, Any]]:
    """The named arguments of each call of a function; ``**`` for unpacked ones."""
    return [
        _named(node)
        for node in nodes
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == function
    ]


class _Code:
    """An expression that is no value; it equals nothing."""


def _value(node: ast.expr | None) -> Any:  # noqa: PLR0911 - one for each form of a literal
    """The value of an expression of literals."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return [_value(part) for part in parts]
        case ast.Dict(keys=keys, values=values) if all(map(_is_text, keys)):
            return dict(zip(map(_value, keys), map(_value, values), strict=True))
        case ast.Name(id=name):
            return Name(name)
        case ast.Call(func=function, args=arguments):
            return Call(ast.unparse(function), [*map(_value, arguments)], _named(node))
    return _Code()


def _is_text(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _named(call: ast.Call) -> dict[str, Any]:
    return {keyword.arg or "**": _value(keyword.value) for keyword in call.keywords}
