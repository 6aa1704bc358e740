"""From the model of a DAG to its file, through a Jinja2 template."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.dags.literals import Value, literal
from bigflow_backend.dags.verification import Placed, VerificationError, verify
from bigflow_backend.errors import UserError

if TYPE_CHECKING:
    import jinja2

    from bigflow_backend.dags.model import Dag

__all__ = ["Renderer", "renderer"]

_QUOTES = ("'", '"')


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
            verify(text, placed, dag, compiled=self.user_template is not None)
        except VerificationError as error:
            if self.user_template is None:
                raise  # ours: a defect of this package
            raise UserError(
                f"{self.user_template}: {error} (workflow {dag.workflow_id})",
                hint="docs/dag.md says what a template may change",
            ) from error
        return text.rstrip("\n") + "\n"

    def _skeleton(self, dag: Dag) -> str:
        """What Jinja gives: source with marks for the values."""
        from jinja2 import TemplateError

        self.values.clear()
        if self.user_template is None:
            return self.template.render(dag=dag)
        try:
            return self.template.render(dag=dag)
        except (
            *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
            *(OSError, TemplateError),
        ) as error:
            raise _template_error(self.user_template, error) from error

    def _fill(self, skeleton: str) -> tuple[str, list[Placed]]:
        """Puts the literals in for their marks, and notes where."""
        from bigflow_backend.dags.environment import MARK

        parts = MARK.split(skeleton)
        placed: list[Placed] = []
        line, column, indent = 1, 0, ""
        for i in range(0, len(parts) - 1, 2):
            before = _measure(parts[i])
            line, column = before.end(line, column)
            if before.ends_with_quote and parts[i + 2].startswith(_QUOTES):
                raise VerificationError(f"line {line} of the result: a value stands in quotes")
            if before.lines:
                indent = before.indent
            value = self.values[int(parts[i + 1])]
            source = literal(value, indent=indent)
            start, parts[i + 1] = (line, column), source
            if "\n" in source:
                line, column = _Measures.of(source).end(line, column)
            else:
                column += len(source)
            placed.append(Placed(value, (*start, line, column)))
        return "".join(parts), placed


@dataclass(frozen=True)
class _Measures:
    """How far a piece of the file reaches; columns are bytes of UTF-8, as in ``ast``."""

    lines: int
    """The number of line breaks in it."""
    width: int
    """Of what comes after the last of them."""
    indent: str
    """The blanks that the last line begins with."""
    ends_with_quote: bool

    @classmethod
    def of(cls, text: str) -> _Measures:
        last = text.rpartition("\n")[2]
        return cls(
            lines=text.count("\n"),
            width=len(last.encode()),
            indent=last[: len(last) - len(last.lstrip(" "))],
            ends_with_quote=text.endswith(_QUOTES),
        )

    def end(self, line: int, column: int) -> tuple[int, int]:
        """Where the piece ends that begins there."""
        return (line + self.lines, self.width) if self.lines else (line, column + self.width)


# The text around the values is a template's, and the same from file to file.
_measure = functools.lru_cache(maxsize=1024)(_Measures.of)


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

    from bigflow_backend.dags.environment import OURS, make_environment

    values: list[Value] = []
    if template is None:
        return Renderer(make_environment(values, None).get_template(OURS), values, None)
    path = root / template
    try:
        compiled = make_environment(values, path.parent).get_template(path.name)
    except (jinja2.TemplateError, UnicodeDecodeError, OSError) as error:
        raise _template_error(template, error) from error
    return Renderer(compiled, values, template)


def _template_error(template: str, error: Exception) -> UserError:
    from jinja2 import TemplateNotFound, TemplateSyntaxError

    if isinstance(error, TemplateNotFound):
        missing = template if error.name == Path(template).name else error.name
        return UserError(
            f"there is no template {missing!r}",
            hint="name bigflow/dag.py.j2, or one beside that of [tool.bigflow.dags] template",
        )
    line = error.lineno if isinstance(error, TemplateSyntaxError) else _line_of(error, template)
    where = f"{template}, line {line}" if line else template
    return UserError(
        f"{where}: {str(error).splitlines()[0]}", hint="docs/dag.md says what a template sees"
    )


def _line_of(error: Exception, template: str) -> int | None:
    """The line of the template that raised, from the traceback that Jinja rewrites."""
    line, traceback = None, error.__traceback__
    while traceback:
        if Path(traceback.tb_frame.f_code.co_filename).name == Path(template).name:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line
