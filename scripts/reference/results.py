"""A command -> the keys of its JSON, read from its source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from reference.texts import Function, Module, Source, called

_COMMANDS = "bigflow_backend.cli."
_DEEPEST = 4
_KINDS = {
    "text": {"str", "Path", "PurePosixPath", "datetime", "Literal", "Version"},
    "number": {"int", "float"},
    "true or false": {"bool"},
    "list": {"tuple", "list", "Sequence", "frozenset", "set", "Iterable"},
}


@dataclass(frozen=True)
class Field:
    """A key of an object."""

    name: str
    kind: str = ""
    """The kind of its value, if the source has it."""
    inner: tuple[str, ...] = ()
    """The keys of the object, or of the objects of the list, that it has."""
    text: str = ""
    """Its meaning, if the source has it."""


def results(source: Source, place: str) -> list[tuple[Field, ...]]:
    """Return the keys of each form of what the command ``module:function`` prints with ``--json``.

    :raises LookupError: if the source does not show them.
    """
    name, _, function_name = place.partition(":")
    module = source.modules[f"{_COMMANDS}{name}"]
    forms = list(dict.fromkeys(_printed(source, module, function_name, 0)))
    if not forms or () in forms:
        raise LookupError(f"cannot find what {place} prints with --json")
    return forms


def _printed(source: Source, module: Module, name: str, depth: int) -> Iterator[tuple[Field, ...]]:
    """Yield the fields of each ``print_result()`` in a function, and in those that it calls."""
    function = source.function(module, name)
    if function is None or depth > _DEEPEST:
        return
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    for call in calls:
        if called(call) == "print_result":
            yield tuple(dict.fromkeys(_fields(source, module, function, call.args[1], 0)))
    for call in calls:
        if isinstance(call.func, ast.Name) and called(call) != name:
            other, own = module.imports.get(called(call), (module.name, called(call)))
            if other.startswith(_COMMANDS):
                yield from _printed(source, source.modules[other], own, depth + 1)


def _fields(
    source: Source, module: Module, function: Function, node: ast.expr, depth: int
) -> Iterator[Field]:
    if depth > _DEEPEST:
        return
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant):
                inner = _fields(source, module, function, value, depth + 1)
                yield Field(str(key.value), inner=_names(inner))
            elif key is None:
                yield from _fields(source, module, function, value, depth + 1)
    elif isinstance(node, ast.IfExp):
        for part in (node.body, node.orelse):
            yield from _fields(source, module, function, part, depth + 1)
    elif isinstance(node, ast.ListComp):
        yield from _fields(source, module, function, node.elt, depth + 1)
    elif isinstance(node, ast.Name):
        for value in module.locals(function).get(node.id, ()):
            yield from _fields(source, module, function, value, depth + 1)
        yield from _of_type(source, module, _annotation(function, node.id))
    elif isinstance(node, ast.Call):
        yield from _of_call(source, module, function, node, depth)


def _of_call(
    source: Source, module: Module, function: Function, node: ast.Call, depth: int
) -> Iterator[Field]:
    if called(node) in {"asdict", "replace"}:
        yield from _fields(source, module, function, node.args[0], depth + 1)
        return
    given = _annotation(function, called(node))
    if isinstance(given, ast.Subscript) and isinstance(given.slice, ast.Tuple):
        yield from _of_type(source, module, given.slice.elts[-1])  # of a Callable[[...], Result]
        return
    other, name = module.imports.get(called(node), (module.name, called(node)))
    home = source.modules.get(other)
    target = source.function(home, name) if home is not None else None
    if home is None or target is None:
        return
    own = list(_of_type(source, home, target.returns))
    if own:
        yield from own
        return
    for returned in ast.walk(target):
        if isinstance(returned, ast.Return) and returned.value is not None:
            yield from _fields(source, home, target, returned.value, depth + 1)


def _annotation(function: Function, parameter: str) -> ast.expr | None:
    return next((a.annotation for a in function.args.args if a.arg == parameter), None)


def _of_type(
    source: Source, module: Module, annotation: ast.expr | None, depth: int = 0
) -> Iterator[Field]:
    """Yield the fields of a dataclass or a ``TypedDict``, with the texts below them."""
    names = {n.id for n in ast.walk(annotation) if isinstance(n, ast.Name)} if annotation else set()
    for name in sorted(names):
        other, own = module.imports.get(name, (module.name, name))
        home = source.modules.get(other)
        if home is None:
            continue
        for node in home.tree.body:
            if isinstance(node, ast.ClassDef) and node.name == own:
                yield from _of_class(source, home, node, depth)


def _of_class(source: Source, module: Module, node: ast.ClassDef, depth: int) -> Iterator[Field]:
    for line, text in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            has_text = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
            words = " ".join(str(text.value.value).split()) if has_text else ""  # type: ignore[union-attr]
            if not line.target.id.startswith("_"):
                inner = (
                    ()
                    if depth > 1
                    else _names(_of_type(source, module, line.annotation, depth + 1))
                )
                kind = _kind(ast.unparse(line.annotation))
                yield Field(line.target.id, kind, inner, words.replace("``", "`"))


def _names(fields: Iterator[Field]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(field.name for field in fields))


def _kind(annotation: str) -> str:
    """Return the kind of a value in JSON."""
    name = re.split(r"\W", annotation)[0]
    kind = next((kind for kind, names in _KINDS.items() if name in names), "object")
    return f"{kind} or null" if "None" in annotation else kind
