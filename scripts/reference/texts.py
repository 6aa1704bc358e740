"""Source -> the texts that an expression can have, read from the syntax tree and never run.

A part that only a run knows is a :class:`Hole`: its name in plain words.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice, product
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef

_MOST = 6
"""The most texts of one expression: each choice in it doubles them."""
_DEEPEST = 4
"""The most calls inside each other that are followed."""
_ADDING = {"shown", "repr", "quoted_name"}
_TRANSPARENT = {
    *("str", "ascii", "quoted", "one_line", "printable", "redacted", "without_credentials"),
    *("cache_name", "sorted", "tuple", "list", "set", "min", "max", "next", "iter", "urlsplit"),
    *("system_reason", "in_a_line", "map", "reversed", "safe", "Path"),
}
"""Functions that return a text much like their argument."""
_SAME_TEXT = {
    *("strip", "rstrip", "lstrip", "removeprefix", "removesuffix", "replace", "decode"),
    *("group", "lower", "upper", "format", "as_posix", "resolve", "absolute", "isoformat"),
    *("splitlines", "relative_to", "partition", "rpartition", "split", "get", "rsplit", "title"),
}
"""Methods that return a text much like their object."""
_WORDS = {
    "infos name": "imageinfo",
    "plan tag": "tag",
    "scratch": "directory",
    "libc version": "version",
    "moment": "time",
    "diff id": "digest",
    "e": "reason",
    "error": "reason",
    "error message": "reason",
    "exc": "reason",
    "strerror": "reason of the system",
    "len": "number",
    "sys executable": "Python",
    "executable": "Python",
    "top": "repository",
    "url": "URL",
    "where": "file and line",
    "found": "what it has",
    "what": "what is wrong",
    "why": "what is wrong",
    "wanted": "name",
    "lineno": "line",
    "shown": "value",
    "dag id": "DAG id",
    "conn id": "connection",
    "qualname": "class",
    "prog": "command",
    "not imported": "",
    "init": "file",
    "given": "what you gave",
    "useless": "option",
    "default env name": "name",
    "oldest": "version",
    "relpath": "file",
    "location text": "workflow or job",
    "of": "workflow",
    "commands": "what to do instead",
    "elsewhere": "what to do instead",
    "layout": "what to do instead",
    "advice": "what to do instead",
    "libraries": "library",
    "kinds": "kind of value",
    "without buildx": "docker",
    "closed": "directory",
    "asked": "number of",
    "gettempdir": "directory",
    "quote": "path",
    "decided": "directory",
    "prefix": "prefix",
}
"""The plain words of a name, where its own words are not."""
_GENERAL = {
    *("name", "id", "text", "path", "root", "tag", "version", "reference", "place", "state"),
    *("message", "hint", "value", "file", "key"),
}
"""Attributes that say little without their object: the name of a wheel is `wheel name`."""


@dataclass(frozen=True)
class Hole:
    """A part of a text that only a run knows."""

    words: str
    parameter: str = ""
    """The parameter of the function that gives it, if it is one."""


Text = tuple[str | Hole, ...]


@dataclass
class Module:
    """A module of the source."""

    name: str
    path: Path
    tree: ast.Module
    _locals: dict[Function, dict[str, list[ast.expr]]] = field(default_factory=dict)

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """All nodes but the module, with the nodes that they are in."""
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    @cached_property
    def values(self) -> dict[str, list[ast.expr]]:
        """The names that the module assigns, with their values."""
        return _assigned(self.tree.body)

    @cached_property
    def imports(self) -> dict[str, tuple[str, str]]:
        """The imported names -> module, name in it."""
        return {
            alias.asname or alias.name: (node.module or "", alias.name)
            for node in self.parents
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }

    def locals(self, function: Function) -> dict[str, list[ast.expr]]:
        """Return the names that a function assigns, with their values."""
        if function not in self._locals:
            self._locals[function] = _assigned(function.body)
        return self._locals[function]

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield the nodes that ``node`` is in, from the inside."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def function_of(self, node: ast.AST) -> Function | None:
        return next((n for n in self.around(node) if isinstance(n, Function)), None)

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        return next((n for n in self.around(node) if isinstance(n, ast.ClassDef)), None)


def _assigned(body: Iterable[ast.AST]) -> dict[str, list[ast.expr]]:
    found: dict[str, list[ast.expr]] = {}
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    _assign(target, node.value, found)
            elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)):
                _assign(node.target, node.value or ast.Constant(None), found)
            elif isinstance(node, (ast.AugAssign, ast.For, ast.comprehension)):
                _assign(node.target, ast.Constant(None), found)
    return found


def _assign(target: ast.expr, value: ast.expr, found: dict[str, list[ast.expr]]) -> None:
    if isinstance(target, ast.Name):
        found.setdefault(target.id, []).append(value)
    elif isinstance(target, ast.Tuple):
        known = isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts)
        values = value.elts if known else [ast.Constant(None)] * len(target.elts)  # type: ignore[attr-defined]
        for part, one in zip(target.elts, values, strict=True):
            _assign(part, one, found)


@dataclass(frozen=True)
class Scope:
    """The meaning of the names in an expression."""

    module: Module
    function: Function | None = None
    given: Mapping[str, tuple[ast.expr, Scope]] = field(default_factory=dict)
    """The arguments of the function, with the scope of its caller."""
    depth: int = 0
    seen: frozenset[str] = frozenset()
    """The variables whose values are being read: a value may have the variable itself."""


class Source:
    """All modules, and the texts of their expressions."""

    def __init__(self, root: Path) -> None:
        self.modules = {}
        for path in sorted(root.rglob("*.py")):
            name = ".".join(path.relative_to(root).with_suffix("").parts)
            name = name.removesuffix(".__init__")
            self.modules[name] = Module(name, path, ast.parse(path.read_text("utf-8")))
        self._named: dict[str, list[tuple[Module, Function]]] = {}
        self._calls_of: dict[str, list[tuple[Module, ast.Call]]] = {}
        for module in self.modules.values():
            for node in module.parents:
                if isinstance(node, Function):
                    self._named.setdefault(node.name, []).append((module, node))
                elif isinstance(node, ast.Call):
                    self._calls_of.setdefault(called(node), []).append((module, node))

    def function(self, module: Module, name: str) -> Function | None:
        """Return the function of a module with this name, outside of classes."""
        for home, function in self._named.get(name, ()):
            if home is module and module.class_of(function) is None:
                return function
        return None

    def texts(self, node: ast.expr | None, scope: Scope) -> list[Text]:
        """Return the texts that an expression can have, without those that are the same."""
        if node is None:
            return [()]
        texts = (_joined(text) for text in self._texts(node, scope))
        return list(dict.fromkeys(texts))[:_MOST]

    def _texts(self, node: ast.expr, scope: Scope) -> list[Text]:
        if isinstance(node, ast.Constant):
            return [("",)] if node.value is None else [(str(node.value),)]
        if isinstance(node, ast.JoinedStr):
            return self._product(node.values, scope)
        if isinstance(node, ast.FormattedValue):
            return self._formatted(node, scope)
        if isinstance(node, ast.BinOp):
            return self._operation(node, scope)
        if isinstance(node, ast.IfExp):
            return [*self.texts(node.body, scope), *self.texts(node.orelse, scope)]
        if isinstance(node, ast.BoolOp):
            texts = [text for value in node.values for text in self.texts(value, scope)]
            return [text for text in texts if text] or [()]
        if isinstance(node, ast.Name):
            return self._name(node, scope)
        if isinstance(node, ast.Call):
            return self._call(node, scope)
        return [(Hole(_words(node)),)]

    def _operation(self, node: ast.BinOp, scope: Scope) -> list[Text]:
        if (number := _number(node)) is not None:
            return [(f"{number:,}",)]
        if isinstance(node.op, ast.Add):
            sides = [side for side in (node.left, node.right) if _number(side) is None]
            return self._product(sides, scope)
        return [(Hole(_words(node.left)),)]

    def _product(self, parts: Iterable[ast.expr], scope: Scope) -> list[Text]:
        choices = product(*(self.texts(part, scope) for part in parts))
        first = islice(choices, _MOST)
        return [tuple(piece for part in choice for piece in part) for choice in first]

    def _formatted(self, node: ast.FormattedValue, scope: Scope) -> list[Text]:
        texts = self.texts(node.value, scope)
        value = node.value
        if node.format_spec is not None and isinstance(value, ast.Name) and value.id.isupper():
            texts = [text if has_words(text) else (Hole("limit"),) for text in texts]
        return [("'", *text, "'") for text in texts] if node.conversion == ord("r") else texts

    def _name(self, node: ast.Name, scope: Scope) -> list[Text]:
        if node.id in scope.given:
            argument, caller = scope.given[node.id]
            return self.texts(argument, caller)
        if scope.function is not None:
            if values := scope.module.locals(scope.function).get(node.id):
                own = [v for v in values if _number(v) is None and node.id not in scope.seen]
                inner = replace(scope, seen=scope.seen | {node.id})
                texts = [text for value in own for text in self._if_text(value, inner)]
                return texts or [(Hole(_words(node)),)]
            if node.id in parameters(scope.function):
                return [(Hole(_words(node), node.id),)]
        return self._constant(node.id, scope.module) or [(Hole(_words(node)),)]

    def _constant(self, name: str, module: Module) -> list[Text]:
        if name in module.values:
            scope = Scope(module)
            return [text for value in module.values[name] for text in self._if_text(value, scope)]
        if name in module.imports:
            other, name = module.imports[name]
            if other in self.modules:
                return self._constant(name, self.modules[other])
        return []

    def _if_text(self, value: ast.expr, scope: Scope) -> list[Text]:
        """Return the texts of a value that has words of its own, else nothing."""
        if isinstance(value, ast.Constant) and not isinstance(value.value, (str, int)):
            return []
        if scope.depth >= _DEEPEST:
            return []
        deeper = replace(scope, depth=scope.depth + 1)
        return [text for text in self.texts(value, deeper) if has_words(text)]

    def _call(self, node: ast.Call, scope: Scope) -> list[Text]:
        name = called(node)
        first = node.args[0] if node.args else None
        if name == "place_of":
            return self._place(node, scope)
        if name == "did_you_mean":
            return [("did you mean '", Hole("a known name"), "'?")]
        if name == "place" and first is not None:  # of a ``Location``
            return [(Hole("workflow or job"), ": ", *text) for text in self.texts(first, scope)]
        if name in _ADDING and first is not None:
            return [("'", *text, "'") for text in self.texts(first, scope)]
        if name == "len":
            return [(Hole("number"),)]
        if name in _TRANSPARENT and isinstance(node.func, ast.Name) and node.args:
            return [(Hole(_words(node.args[-1])),)]
        if isinstance(node.func, ast.Attribute):
            if name == "join" and first is not None:
                return [(Hole(_words(first)),)]
            if name in _SAME_TEXT:
                return self.texts(node.func.value, scope)
        return self._followed(node, scope) or [(Hole(_words(node)),)]

    def _place(self, node: ast.Call, scope: Scope) -> list[Text]:
        """Return the place of a setting as `place_of` prints it for a key of pyproject.toml."""
        option = next((word.value for word in node.keywords if word.arg == "option"), None)
        options = self.texts(option, scope) if option is not None else [()]
        return [
            ("pyproject.toml: tool.bigflow.", *key, *((", or ", *given, ",") if given else ()))
            for key in self.texts(node.args[0], scope)
            for given in options
        ]

    def _followed(self, node: ast.Call, scope: Scope) -> list[Text]:
        """Return the texts that the called function returns, if all of them have words."""
        target = self.target(node, scope.module)
        if target is None or scope.depth > _DEEPEST:
            return []
        module, function = target
        results = [
            n.value
            for n in ast.walk(function)
            if isinstance(n, ast.Return)
            and n.value is not None
            and module.function_of(n) is function
        ]
        inner = Scope(module, function, arguments(node, function, scope), scope.depth + 1)
        texts = [text for result in results for text in self.texts(result, inner)]
        plain = [text for text in texts if has_words(text)]
        return plain if len(plain) == len(texts) else []

    def target(self, node: ast.Call, module: Module) -> tuple[Module, Function] | None:
        """Return the function that a call calls, if the source has exactly one that it can be."""
        found = [c for c in self._named.get(called(node), ()) if self._calls(node, module, *c)]
        return found[0] if len(found) == 1 else None

    def callers(self, module: Module, function: Function) -> Iterator[tuple[Module, ast.Call]]:
        """Yield the calls of a function; ``__init__`` is called by the name of its class."""
        owner = module.class_of(function)
        name = owner.name if owner and function.name == "__init__" else function.name
        for caller, node in self._calls_of.get(name, ()):
            if self._calls(node, caller, module, function, name):
                yield caller, node

    def _calls(
        self, node: ast.Call, caller: Module, module: Module, function: Function, name: str = ""
    ) -> bool:
        owner = module.class_of(function)
        knows = caller is module or any(
            other == module.name for other, _ in caller.imports.values()
        )
        if isinstance(node.func, ast.Attribute):
            fits = len(node.args) + len(node.keywords) <= len(parameters(function))
            return knows and owner is not None and fits
        imported = caller.imports.get(node.func.id if isinstance(node.func, ast.Name) else "")
        is_ours = imported == (module.name, name or function.name)
        is_local = caller is module and not imported
        return is_ours or (is_local and (owner is None or function.name == "__init__"))


def called(node: ast.Call) -> str:
    """Return the last name of what a call calls."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def parameters(function: Function) -> list[str]:
    """Return the names of the parameters, without ``self``."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [one.arg for one in every if one.arg not in {"self", "cls"}]


def arguments(
    node: ast.Call, function: Function, scope: Scope
) -> dict[str, tuple[ast.expr, Scope]]:
    """Return the parameters of a function with the expressions that a call gives them."""
    given = dict(zip(parameters(function), node.args, strict=False))
    given |= {word.arg: word.value for word in node.keywords if word.arg is not None}
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args]
    for one, default in zip(reversed(named), reversed(arguments.defaults), strict=False):
        given.setdefault(one.arg, default)
    for one, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if value is not None:
            given.setdefault(one.arg, value)
    return {name: (value, scope) for name, value in given.items()}


def has_words(text: Text) -> bool:
    """Return whether a text has a word of its own beside its holes."""
    return any(isinstance(part, str) and any(c.isalnum() for c in part) for part in text)


def _number(node: ast.expr) -> int | None:
    """Return the value of an expression of whole numbers."""
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int else None
    if isinstance(node, ast.BinOp):
        left, right = _number(node.left), _number(node.right)
        if left is not None and right is not None:
            for kind, result in (
                (ast.Mult, left * right),
                (ast.Add, left + right),
                (ast.Sub, left - right),
            ):
                if isinstance(node.op, kind):
                    return result
            if isinstance(node.op, ast.Pow):
                return int(left**right)
    return None


def _joined(text: Text) -> Text:
    """Return the text with neighbouring strings in one."""
    parts: list[str | Hole] = []
    for part in text:
        if isinstance(part, str) and parts and isinstance(parts[-1], str):
            parts[-1] += part
        elif part != "" and part != Hole(""):
            parts.append(part)
    return tuple(parts)


def _words(node: ast.expr) -> str:
    """Return the plain words of what an expression stands for."""
    raw = _raw_words(node)
    words = " ".join((raw.lower() if raw.isupper() else raw).replace("_", " ").split())
    if words in _WORDS:
        return _WORDS[words]
    before, _, last = words.rpartition(" ")
    if last == "hint":
        return "fix for that reason"
    if last in {"text", "value", "message", "kind"}:
        return before or "value"
    return _WORDS.get(last, words or "value")


def _raw_words(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = _raw_words(node.value)
        specific = node.attr not in _GENERAL or base in {"self", "cls", ""}
        return node.attr if specific else f"{base} {node.attr}"
    if isinstance(node, ast.Subscript):
        index = node.slice
        named = isinstance(index, ast.Constant) and isinstance(index.value, str)
        return str(index.value) if named else _raw_words(node.value)  # type: ignore[attr-defined]
    if isinstance(node, (ast.GeneratorExp, ast.ListComp, ast.SetComp)):
        return _raw_words(node.generators[0].iter)
    if isinstance(node, ast.Call):
        name = called(node)
        if name in _SAME_TEXT and isinstance(node.func, ast.Attribute):
            return _raw_words(node.func.value)
        if name in _TRANSPARENT | _ADDING and node.args:
            return _raw_words(node.args[-1])
        return name
    if isinstance(node, ast.BoolOp):
        return _raw_words(node.values[0])
    if isinstance(node, (ast.Starred, ast.FormattedValue)):
        return _raw_words(node.value)
    return "value"
