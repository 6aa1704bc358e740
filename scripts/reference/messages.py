"""Source -> the messages of all errors that a user can see, each with its fix."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace

from reference.texts import (
    Function,
    Hole,
    Module,
    Scope,
    Source,
    Text,
    arguments,
    called,
    has_words,
)

ROOTS = {"ArgumentTypeError", "BigflowError", "DocumentError", "RegistryError", "UserError"}
"""The errors with a message for a user. Their subclasses count, too."""
_DEEPEST = 3
_OPEN = {
    *("doing", "event", "path", "scheme", "url", "place", "source", "repository", "registry"),
    *("version", "key", "step", "table", "text", "package", "reference", "folder"),
}
"""Parameters whose values do not make another message."""


@dataclass(frozen=True)
class Message:
    """A message as one place in the source makes it."""

    module: str
    kind: str
    """The class of the error."""
    texts: tuple[Text, ...]
    """The text, and those that it can have instead."""
    fixes: tuple[Text, ...]
    site: tuple[str, int]
    """The module and the line of the call of the error's class."""


def messages(source: Source) -> Iterator[Message]:
    """Yield every message, in the order of the modules and lines.

    A function that makes an error of its arguments gives one message for each call with words of
    its own.
    """
    kinds = error_classes(source)
    for module in source.modules.values():
        for node in module.parents:
            if not isinstance(node, ast.Call):
                continue
            kind = _kind(node, module, kinds)
            if kind:
                yield from _messages_of(source, module, node, kind)


def error_classes(source: Source) -> set[str]:
    """Return the names of the classes of such errors."""
    found, before = set(ROOTS), set[str]()
    classes = [
        (node.name, {getattr(base, "id", "") for base in node.bases})
        for module in source.modules.values()
        for node in module.parents
        if isinstance(node, ast.ClassDef)
    ]
    while found != before:
        before = set(found)
        found |= {name for name, bases in classes if bases & found}
    return found


def _kind(node: ast.Call, module: Module, kinds: set[str]) -> str:
    name = called(node)
    if name in kinds:
        return name
    if name == "__init__":  # super().__init__(...) of a subclass
        owner = module.class_of(node)
        if owner is not None and owner.name in kinds - ROOTS:
            return owner.name
    return ""


@dataclass(frozen=True)
class _Maker:
    """The call of an error's class, or of a function that makes an error of its arguments."""

    module: Module
    call: ast.Call
    message: ast.expr
    fix: ast.expr | None
    scope: Scope
    """The meaning of the names in ``message`` and ``fix``."""
    depth: int = 0

    def texts(self, source: Source) -> tuple[list[Text], list[Text]]:
        """Return the messages and the fixes."""
        return source.texts(self.message, self.scope), source.texts(self.fix, self.scope)

    def callers(self, source: Source) -> Iterator[_Maker]:
        """Yield the calls of the function around this one that give the message other words."""
        function = self.module.function_of(self.call)
        texts = self.texts(source)
        if function is None or self.depth >= _DEEPEST or not _has_parameter(texts):
            return
        for module, call in source.callers(self.module, function):
            scope = Scope(module, module.function_of(call))
            given = arguments(call, function, scope)
            named = {name: value for name, value in given.items() if name not in _OPEN}
            inner = _with_arguments(self.scope, named, function)
            found = replace(self, module=module, call=call, scope=inner, depth=self.depth + 1)
            if _said(found.texts(source)) - _said(texts):
                yield found


def _messages_of(source: Source, module: Module, node: ast.Call, kind: str) -> Iterator[Message]:
    if not node.args:
        return
    fix = next((word.value for word in node.keywords if word.arg == "hint"), None)
    makers = [_Maker(module, node, node.args[0], fix, Scope(module, module.function_of(node)))]
    while makers:
        maker = makers.pop(0)
        further = list(maker.callers(source))
        makers += further
        texts, fixes = maker.texts(source)
        # The text of another program has no words of its own. A single hole is another message.
        has_fix = any(map(has_words, fixes))
        texts = [text for text in texts if has_words(text) or (has_fix and len(text) > 1)]
        if texts and not further:
            site = (module.name, node.lineno)
            yield Message(maker.module.name, kind, tuple(texts), tuple(fixes), site)


def _has_parameter(texts: tuple[list[Text], list[Text]]) -> bool:
    return any(
        isinstance(part, Hole) and part.parameter and part.parameter not in _OPEN
        for group in texts
        for text in group
        for part in text
    )


def _with_arguments(
    scope: Scope, given: dict[str, tuple[ast.expr, Scope]], function: Function
) -> Scope:
    """Return the scope with the arguments of its outermost function."""
    if scope.function is function:
        return replace(scope, given=given)
    return replace(
        scope,
        given={
            name: (value, _with_arguments(inner, given, function))
            for name, (value, inner) in scope.given.items()
        },
    )


def _said(texts: tuple[list[Text], list[Text]]) -> set[str]:
    return {
        part
        for group in texts
        for text in group
        for part in text
        if isinstance(part, str) and any(c.isalnum() for c in part)
    }
