"""From the model of a DAG to its file, through a Jinja2 template.

In the template, every ``{{ expression }}`` becomes a Python literal, so that quoting can be neither
forgotten nor done twice. While Jinja renders, an expression leaves only a mark; the literals are
put in afterwards, which tells where each of them stands, and ``verification`` finds them there.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.dags.checks import is_dotted_name
from bigflow_backend.dags.literals import Value, literal
from bigflow_backend.dags.verification import Placed, VerificationError, verify
from bigflow_backend.errors import UserError

if TYPE_CHECKING:
    import jinja2

    from bigflow_backend.dags.model import Dag

__all__ = ["Renderer", "renderer"]

_OURS = "bigflow/dag.py.j2"
_MARK = re.compile("\0([0-9]+)\0")
"""No Python source holds a null character, and no value may."""


class _Source(str):
    """A name, checked, that stands in the file as it is."""

    __slots__ = ()


@dataclass(frozen=True)
class Renderer:
    """A compiled template."""

    template: jinja2.Template
    values: list[Value]
    """What the marks of the present rendering stand for."""
    user_template: str | None
    """The path of a template of the user's own, as the settings name it."""

    def render(self, dag: Dag) -> str:
        """The text of a DAG's file, verified against the model.

        :raises UserError: when a template of the user's own fails, or gives another DAG.
        """
        try:
            text, placed = self._fill(self._skeleton(dag))
            verify(text, placed, dag)
        except VerificationError as error:
            if self.user_template is None:
                raise  # ours: a defect of this package
            raise UserError(
                f"{self.user_template}: {error} (workflow {dag.workflow_id})",
                hint="docs/dag.md says what a template may change",
            ) from error
        return text

    def _skeleton(self, dag: Dag) -> str:
        from jinja2 import TemplateError

        self.values.clear()
        try:
            return self.template.render(dag=dag)
        except (
            TemplateError,
            ArithmeticError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:
            if self.user_template is None:
                raise
            raise _template_error(self.user_template, error) from error

    def _fill(self, skeleton: str) -> tuple[str, list[Placed]]:
        """Puts the literals in for their marks, and notes where."""
        parts: list[str] = []
        placed: list[Placed] = []
        line, column, indent = 1, 0, ""
        for i, part in enumerate(_MARK.split(skeleton)):
            if i % 2 == 0:
                parts.append(part)
                _, newline, begun = part.rpartition("\n")
                if newline:
                    indent = begun[: len(begun) - len(begun.lstrip(" "))]
                line, column = _advance(part, line, column)
                continue
            value = self.values[int(part)]
            source = literal(value, indent=indent)
            parts.append(source)
            end_line, end_column = _advance(source, line, column)
            placed.append(Placed(value, (line, column, end_line, end_column)))
            line, column = end_line, end_column
        return "".join(parts), placed


def _advance(text: str, line: int, column: int) -> tuple[int, int]:
    """Where a text ends that begins there; columns are bytes of UTF-8, as in ``ast``."""
    head, newline, tail = text.rpartition("\n")
    if not newline:
        return line, column + len(tail.encode())
    return line + 1 + head.count("\n"), len(tail.encode())


def renderer(root: Path, template: str | None) -> Renderer:
    """The template of the project in ``root``: its own, or ours.

    :raises UserError: when Jinja2 is missing, or the template cannot be read or compiled.
    """
    try:
        import jinja2
    except ImportError as error:
        raise UserError(
            "building DAGs needs Jinja2, which is not installed",
            hint="pip install 'bigflow-backend[build]'",
        ) from error

    values: list[Value] = []

    @jinja2.pass_context  # keeps Jinja from folding constants at compile time, marks and all
    def finalize(_context: Any, value: Any) -> str:
        if isinstance(value, (_Source, jinja2.Undefined)):
            return str(value)  # which raises for an undefined one
        if template is not None:
            literal(value)  # so that an error has the template's line
        values.append(value)
        return f"\0{len(values) - 1}\0"

    ours = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    loaders: list[jinja2.BaseLoader] = [jinja2.PrefixLoader({"bigflow": ours})]
    if template is not None:
        loaders.append(jinja2.FileSystemLoader((root / template).parent))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        autoescape=False,  # noqa: S701 - Python, not HTML
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["name"] = _name
    if template is None:
        return Renderer(environment.get_template(_OURS), values, None)
    try:
        compiled = environment.get_template(Path(template).name)
    except (jinja2.TemplateError, UnicodeDecodeError, OSError) as error:
        raise _template_error(template, error) from error
    return Renderer(compiled, values, template)


@functools.cache
def _name(value: object) -> _Source:
    """The filter ``name``: a name of Python that stands in the file without quotes."""
    if not is_dotted_name(value):
        raise ValueError(f"{value!r} is not a name of Python")
    return _Source(value)


def _template_error(template: str, error: Exception) -> UserError:
    from jinja2 import TemplateNotFound, TemplateSyntaxError

    if isinstance(error, TemplateNotFound):
        missing = template if error.name == Path(template).name else error.name
        return UserError(
            f"there is no template {missing!r}",
            hint=f"ours is {_OURS!r}; others lie beside the one that [tool.bigflow.dags] names",
        )
    line = error.lineno if isinstance(error, TemplateSyntaxError) else _line_of(error, template)
    where = f"{template}, line {line}" if line else template
    return UserError(f"{where}: {error}", hint="docs/dag.md says what a template sees")


def _line_of(error: Exception, template: str) -> int | None:
    """The line of the template that raised, from the traceback that Jinja rewrites."""
    line, traceback = None, error.__traceback__
    while traceback:
        if Path(traceback.tb_frame.f_code.co_filename).name == Path(template).name:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line
