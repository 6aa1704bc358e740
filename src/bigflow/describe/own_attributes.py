"""An attribute of a user's job class that has the name of a job attribute, but another meaning.

Jobs of BigFlow 1.x have three attributes. A class of such a project can use another name, such as
``labels``, for its own purpose.
"""

from __future__ import annotations

import ast
import os
import sys

from bigflow.errors import BigflowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from bigflow.describe.fields import Attribute

_OF_BIGFLOW_1 = {"retry_count", "retry_pause_sec", "execution_timeout_sec"}


def error_of_own_attribute(job: object, line: Attribute, error: BigflowError) -> BigflowError:
    """Return the error for a value that does not fit, with the class and the line that sets it.

    :param error: the error of the value.
    """
    if line.name in _OF_BIGFLOW_1:
        return error
    name = type(job).__name__
    place = next(_places(job, line.name), "")
    return BigflowError(
        f"{error.message}, in class {name}{place and f' ({place})'}",
        hint=f"{error.hint}: {line.name} of a job now means: {line.text.replace('`', '')};"
        f" or rename the attribute in {name} if it means something else",
    )


def _places(job: object, attribute: str) -> Iterator[str]:
    """Yield ``file, line n`` of the assignments to the attribute, then of the class."""
    definitions = [found for part in type(job).__mro__ if (found := _definition(part))]
    sets = _sets_on_self if attribute in getattr(job, "__dict__", ()) else _sets_in_class
    for file, definition in definitions:
        nodes: Iterator[Any] = ast.walk(definition)
        for node in nodes:
            if sets(node, attribute):
                yield f"{file}, line {node.lineno}"
    for file, definition in definitions:
        yield f"{file}, line {definition.lineno}"


def _definition(cls: type) -> tuple[str, ast.ClassDef] | None:
    """Return the file and the definition of a class of the project."""
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    if file is None or cls.__module__.partition(".")[0] == "bigflow":
        return None
    try:
        with open(file, "rb") as source:
            tree = ast.parse(source.read())
    except (OSError, SyntaxError, ValueError):  # a module without its source
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == cls.__name__:
            relative = os.path.relpath(file)
            return file if relative.startswith("..") else relative, node
    return None


def _sets_on_self(node: Any, attribute: str) -> bool:
    """Return True for ``self.attribute = ...``."""
    return (
        isinstance(node, ast.Attribute)
        and node.attr == attribute
        and isinstance(node.ctx, ast.Store)
    )


def _sets_in_class(node: Any, attribute: str) -> bool:
    """Return True for ``attribute = ...`` and ``def attribute``."""
    if isinstance(node, ast.Name):
        return node.id == attribute and isinstance(node.ctx, ast.Store)
    return isinstance(node, ast.FunctionDef) and node.name == attribute
