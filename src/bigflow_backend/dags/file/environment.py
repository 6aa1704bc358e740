"""The Jinja environment of DAG templates: what an expression gives becomes a Python literal.

So quoting can be neither forgotten nor done twice. While Jinja renders, an expression leaves only a
mark; ``rendering`` puts the literals in for the marks afterwards, which tells it where each of them
stands.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import jinja2
from jinja2.runtime import BlockReference, Context

from bigflow_backend.dags.file.literals import literal
from bigflow_backend.dags.rules.workflow import is_dotted_name

if TYPE_CHECKING:
    from bigflow_backend.dags.file.literals import Value

    Blocks: TypeAlias = Callable[[Context], Any]

OURS = "bigflow/dag.py.j2"

MARK = re.compile("\0([0-9]+)\0")
"""Stands for the value of that number. No Python source holds a null character, no value may."""


class _Source(str):
    """Text that stands in the file as it is: a name that was checked, or what a block gave."""

    __slots__ = ()


class _Block(BlockReference):
    """``super``: calling it gives source, where Jinja's own gives mere text."""

    def __call__(self) -> str:
        return _Source(super().__call__())


class _Context(Context):
    def super(self, name: str, current: Blocks) -> BlockReference | jinja2.Undefined:
        block = super().super(name, current)
        if isinstance(block, jinja2.Undefined):
            return block
        blocks = self.blocks[name]
        return _Block(name, self, blocks, blocks.index(current) + 1)


class _Environment(jinja2.Environment):
    context_class = _Context


def make_environment(values: list[Value], directory: Path | None) -> jinja2.Environment:
    """An environment that appends the values of expressions to ``values``.

    Our template is ``bigflow/dag.py.j2``; all others lie in ``directory``.
    """

    @jinja2.pass_context  # keeps Jinja from folding constants at compile time, marks and all
    def finalize(_context: Context, value: Any) -> str:
        if isinstance(value, str):
            if isinstance(value, _Source):
                return value
            if "\0" in value and MARK.search(value):
                raise ValueError("what a macro or {% set %} gives is a value, not code")
        elif isinstance(value, jinja2.Undefined):
            return str(value)  # which raises
        if directory is not None:
            literal(value)  # here an error has the line of the user's template
        values.append(value)
        return f"\0{len(values) - 1}\0"

    ours = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    loaders: list[jinja2.BaseLoader] = [jinja2.PrefixLoader({"bigflow": ours})]
    if directory is not None:
        loaders.append(jinja2.FileSystemLoader(directory))
    environment = _Environment(
        loader=jinja2.ChoiceLoader(loaders),
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        autoescape=False,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["name"] = _name
    return environment


@functools.cache
def _name(value: object) -> _Source:
    """The filter ``name``: a name of Python, which stands in the file without quotes."""
    if not is_dotted_name(value):
        raise ValueError(f"{value!r} is not a name of Python")
    return _Source(value)
