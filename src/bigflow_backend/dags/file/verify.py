"""The proof that a rendered file says what its model says, and that no value became code.

The file is parsed. Each literal that was put into it must be found again as one expression with the
value that went in, which it is not within a string, a comment or a longer token; and the DAG, its
operators and their order must be those of the model.
"""

from __future__ import annotations

import ast
import builtins
import symtable
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, NamedTuple

from bigflow_backend.dags.file.additions import find_change
from bigflow_backend.dags.file.literals import Call, Name, Value, same
from bigflow_backend.dags.rules.location import shown

if TYPE_CHECKING:
    from bigflow_backend.dags.model import Dag

Span = tuple[int, int, int, int]
"""Line and column of the first character and of that after the last, as ``ast`` counts them."""


class VerificationError(Exception):
    """A rendered file that is not what its model says; one line."""


class Placed(NamedTuple):
    """A value and where its literal stands in the file."""

    value: Value
    span: Span


def verify(text: str, placed: Sequence[Placed], dag: Dag, *, compiled: bool) -> None:
    """Checks a rendered file.

    With ``compiled`` it is compiled as well, and its names are looked up. Some errors come only
    then, such as a keyword given twice or an import left out; our own template gives no occasion
    for any.

    :raises VerificationError: for the first thing that is wrong.
    """
    tree = _parse(text, compiled=compiled)
    file = _read(text, tree, placed)
    _check_constants(file, dag)
    _check_dag(file, dag)
    _check_tasks(file, dag)
    _check_order(file, dag)
    if compiled:
        _check_names(text, tree)
        _check_additions(text, tree)


def line_of_result(text: str, line: int) -> str:
    """A line of a rendered file, which is written nowhere when it is wrong, for a message."""
    lines = text.split("\n")
    return f"line {line} of the result, {shown(lines[min(line, len(lines)) - 1].strip())},"


@dataclass
class _File:
    """What of a file the model speaks of."""

    literals: dict[int, Value] = field(default_factory=dict)
    """The values that were put in, by the ``id`` of their expressions: found and compared."""
    assigned: dict[str, list[ast.expr]] = field(default_factory=dict)
    calls: dict[str, list[ast.Call]] = field(default_factory=dict)
    order: set[tuple[Any, Any]] = field(default_factory=set)
    """The tasks of each ``tasks[...] >> tasks[...]``."""


def _parse(text: str, *, compiled: bool) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Airflow would show it at each parse
        try:
            tree = ast.parse(text)
            if compiled:
                compile(tree, "<dag>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, SyntaxWarning, DeprecationWarning) as error:
            line = getattr(error, "lineno", None)
            where = line_of_result(text, line) if line else "the result"
            raise VerificationError(f"{where} is not Python: {error.args[0]}") from error
    return tree


def _read(text: str, tree: ast.Module, placed: Sequence[Placed]) -> _File:
    file = _File()
    missing = {span: value for value, span in placed}
    nodes: list[Any] = [tree]
    while nodes:
        node = nodes.pop()
        kind = type(node)
        if issubclass(kind, ast.expr):
            span = (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
            if span in missing:
                value = file.literals[id(node)] = missing.pop(span)
                if not _says(node, value):
                    where = line_of_result(text, span[0])
                    raise VerificationError(f"{where} has another value")
                continue
            _note_expression(node, file)
        elif kind is ast.Assign:
            _note_assignment(node, file)
        # ast.iter_child_nodes() would take longer than all the rest of this function.
        if kind is ast.keyword:
            nodes.append(node.value)
            continue
        for name in _PARTS[kind]:
            part = getattr(node, name)
            if type(part) is list:
                nodes += part
            else:
                nodes.append(part)
    if missing:
        where = line_of_result(text, min(missing)[0])
        raise VerificationError(f"{where} has a value in quotes, in a comment or within a word")
    return file


class _Parts(dict[type, tuple[str, ...]]):
    """The fields of each kind of node that may hold expressions or statements; none of what a node
    holds that is no node, such as a name."""

    def __missing__(self, kind: type) -> tuple[str, ...]:
        names: tuple[str, ...] = ()
        if issubclass(kind, ast.AST) and kind not in {ast.Constant, ast.Name, ast.alias}:
            names = tuple(name for name in kind._fields if name not in _NO_PARTS)
        self[kind] = names
        return names


_NO_PARTS = frozenset({"arg", "attr", "ctx", "id", "op", "ops"})
_PARTS = _Parts()


def _says(node: ast.expr | None, value: Value) -> bool:
    """Whether an expression is a literal of that value, type for type as :func:`same` has it."""
    if isinstance(node, ast.Constant):
        return type(node.value) is type(value) and node.value == value
    if isinstance(node, ast.Dict) and isinstance(value, dict):
        return len(node.keys) == len(value) and all(
            _says(key_node, key) and _says(part, value[key])
            for key_node, part, key in zip(node.keys, node.values, value, strict=True)
        )
    if isinstance(node, ast.List) and isinstance(value, (list, tuple)):
        return len(node.elts) == len(value) and all(map(_says, node.elts, value))
    return same(_value(node, {}), value)


def _note_expression(node: ast.expr, file: _File) -> None:
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name):
            file.calls.setdefault(node.func.id, []).append(node)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.RShift):
        file.order.add((_task_id(node.left), _task_id(node.right)))


def _note_assignment(node: ast.Assign, file: _File) -> None:
    target, *others = node.targets
    if isinstance(target, ast.Name) and not others:
        file.assigned.setdefault(target.id, []).append(node.value)


def _check_constants(file: _File, dag: Dag) -> None:
    for name, value in (("RUNTIME", dag.runtime), ("CONFIG", dag.config)):
        if not same(_assigned(file, name), value):
            raise VerificationError(f"{name} is not what the workflow says")


def _assigned(file: _File, name: str) -> Any:
    found = file.assigned.get(name, [])
    if len(found) != 1:
        raise VerificationError(f"{name} is assigned {len(found)} times")
    return _value(found[0], file.literals)


def _check_dag(file: _File, dag: Dag) -> None:
    calls = file.calls.get("DAG", [])
    if len(calls) != 1:
        raise VerificationError(f"the file has {len(calls)} DAGs, not one")
    _check_arguments("the DAG", dag.arguments, _named(calls[0], file.literals))


def _check_tasks(file: _File, dag: Dag) -> None:
    common = _assigned(file, "common")
    if not isinstance(common, dict):
        raise VerificationError("common is no dict of values")
    _check_arguments("common", dag.common, common)
    by_id: dict[object, list[Mapping[str, Any]]] = {}
    for call in file.calls.get("KubernetesPodOperator", []):
        named = _named(call, file.literals)
        by_id.setdefault(named.get("task_id"), []).append(named)
    for task in dag.tasks:
        found = by_id.get(task.task_id, [])
        if len(found) != 1:
            raise VerificationError(f"the task {task.task_id!r} is there {len(found)} times")
        if found[0].get("**") != Name("common"):
            raise VerificationError(f"the task {task.task_id!r} lacks **common")
        _check_arguments(f"the task {task.task_id!r}", task.arguments, found[0])
        twice = common.keys() & found[0].keys()
        if twice:
            raise VerificationError(f"the task {task.task_id!r} has {min(twice)} twice")


def _check_arguments(owner: str, wanted: Mapping[str, Value], found: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        if name not in found:
            raise VerificationError(f"{owner} lacks {name}")
        if not same(found[name], value):
            raise VerificationError(f"{owner} has another {name} than the workflow says")


def _check_order(file: _File, dag: Dag) -> None:
    wanted = {(upstream, task.task_id) for task in dag.tasks for upstream in task.upstream}
    missing = wanted - file.order
    if missing:
        raise VerificationError("the file lacks the order {!r} >> {!r}".format(*min(missing)))
    if file.order != wanted:
        graph: dict[str, set[str]] = {}
        for upstream, task_id in file.order:
            if upstream is not None and task_id is not None:
                graph.setdefault(task_id, set()).add(upstream)
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            raise VerificationError(
                f"its tasks wait for each other: {' -> '.join(error.args[1])}"
            ) from None


def _check_names(text: str, tree: ast.Module) -> None:
    """Refuses a name that is bound nowhere, such as that of an import which a template left out."""
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    if any(alias.name == "*" for node in imports for alias in node.names):
        return  # what such an import binds cannot be known
    top = symtable.symtable(text, "<dag>", "exec")
    bound = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    bound |= vars(builtins).keys() | {"__file__", "__name__"}
    used = set()
    tables = [top]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        used |= {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
        bound |= {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_assigned()}
    if used - bound:
        raise VerificationError(f"the name {min(used - bound)!r} is bound nowhere in the result")


def _check_additions(text: str, tree: ast.Module) -> None:
    change = find_change(tree)
    if change is not None:
        where = line_of_result(text, change.lineno)
        raise VerificationError(f"{where} changes what the workflow says")


def _task_id(node: ast.expr) -> str | None:
    """``x`` of ``tasks["x"]``."""
    match node:
        case ast.Subscript(value=ast.Name(id="tasks"), slice=ast.Constant(value=str() as task_id)):
            return task_id
    return None


class _Code:
    """An expression that is no value; it equals nothing."""


def _value(node: ast.expr | None, literals: Mapping[int, Value]) -> Any:  # noqa: PLR0911
    """The value of an expression of literals, of which some are known."""
    if id(node) in literals:
        return literals[id(node)]
    match node:
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return [_value(part, literals) for part in parts]
        case ast.Dict(keys=keys, values=values) if all(map(_is_text, keys)):
            read = [_value(part, literals) for part in [*keys, *values]]
            return dict(zip(read[: len(keys)], read[len(keys) :], strict=True))
        case ast.Name(id=name):
            return Name(name)
        case ast.Call(func=function, args=arguments):
            positional = [_value(part, literals) for part in arguments]
            return Call(_dotted_name(function), positional, _named(node, literals))
    return _Code()


def _dotted_name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=owner, attr=name):
            return f"{_dotted_name(owner)}.{name}"
    return ast.unparse(node)


def _is_text(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _named(call: ast.Call, literals: Mapping[int, Value]) -> dict[str, Any]:
    """The named arguments of a call; ``**`` for unpacked ones."""
    return {keyword.arg or "**": _value(keyword.value, literals) for keyword in call.keywords}
