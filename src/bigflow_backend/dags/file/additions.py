"""What a template of the user's own may add to a DAG, told from what changes it.

The arguments of the DAG and of its operators are compared with the model. A statement that sets
them afterwards would make that comparison worth nothing: ``dag.catchup = False``.
"""

from __future__ import annotations

import ast

_OURS = frozenset({"dag", "tasks", "common"})
"""The names in our template under which the DAG and its operators can be had."""

_SETTERS = frozenset({"setattr", "delattr", "vars", "__setattr__", "__delattr__", "__dict__"})
_OF_DICTS = frozenset({"update", "pop", "popitem", "clear", "setdefault"})
_CHANGING = _SETTERS | _OF_DICTS | {"__setitem__", "__delitem__"}


def find_change(tree: ast.Module) -> ast.stmt | None:
    """The first statement that changes the DAG or its operators, as far as the file shows it: one
    that binds, or takes away, an attribute or an item of theirs.

    The documentation of the DAG and a further task may be stated, each once.
    """
    names = _names_of_ours(tree)
    added: set[str] = set()
    statements = (node for node in ast.walk(tree) if isinstance(node, ast.stmt))
    for statement in sorted(statements, key=lambda statement: statement.lineno):
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target = ast.unparse(statement.targets[0])
            if target not in added and _is_addition(statement.targets[0]):
                added.add(target)
                continue
        if _changes(statement, names):
            return statement
    return None


def _names_of_ours(tree: ast.Module) -> frozenset[str]:
    """Our names and those bound to what comes from them: ``for task in tasks.values()``."""
    names = set(_OURS)
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=value):
                pass
            case ast.For(target=target, iter=value) | ast.NamedExpr(target=target, value=value):
                targets = [target]
            case _:
                continue
        if _root(value) in names:
            parts = [part for target in targets for part in ast.walk(target)]
            names |= {
                part.id
                for part in parts
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
            }
    return frozenset(names)


def _is_addition(target: ast.expr) -> bool:
    match target:
        case ast.Attribute(value=ast.Name(id="dag"), attr="doc_md"):
            return True
        case ast.Subscript(value=ast.Name(id="tasks")):
            return True
    return False


def _changes(statement: ast.stmt, names: frozenset[str]) -> bool:
    """Whether a statement itself does, and not one within it."""
    nodes: list[ast.AST] = [statement]
    while nodes:
        node = nodes.pop()
        nodes += [part for part in ast.iter_child_nodes(node) if not isinstance(part, ast.stmt)]
        match node:
            case ast.Attribute(ctx=context) | ast.Subscript(ctx=context):
                if not isinstance(context, ast.Load) and _root(node) in names:
                    return True
                if isinstance(node, ast.Attribute) and node.attr == "__dict__":
                    return _root(node) in names
            case ast.Call(func=ast.Name(id=function), args=[first, *_]) if function in _CHANGING:
                return _root(first) in names
            case ast.Call(func=ast.Attribute(value=owner, attr=function), args=arguments):
                if function in _CHANGING and _root(owner) in names:
                    return True
                if function in _SETTERS and arguments and _root(arguments[0]) in names:
                    return True
    return False


def _root(node: ast.expr) -> str | None:
    """The name that an expression begins with: ``tasks`` of ``tasks["a"].retries``."""
    while True:
        match node:
            case ast.Attribute(value=owner) | ast.Subscript(value=owner) | ast.Call(func=owner):
                node = owner
            case ast.Name(id=name):
                return name
            case _:
                return None
