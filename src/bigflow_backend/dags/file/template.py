"""From the model of a DAG to its file, through a Jinja2 template."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.dags.file.literals import Value, literal
from bigflow_backend.dags.file.verify import Placed, VerificationError, line_of_result, verify
from bigflow_backend.dags.rules.location import Place
from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    import jinja2

    from bigflow_backend.dags.file.template_errors import TemplateSource
    from bigflow_backend.dags.model import Dag

_QUOTES = ("'", '"')


@dataclass(frozen=True)
class Renderer:
    """A compiled template."""

    template: jinja2.Template
    values: list[Value]
    """What the marks of the present rendering stand for."""
    user_template: TemplateSource | None = None
    """Where a template of the user's own comes from."""

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
                f"{self.user_template.name}: {error} (workflow {dag.workflow_id})",
                hint="docs/dag.md says what a template may change",
            ) from error
        return text.rstrip("\n") + "\n"

    def _skeleton(self, dag: Dag) -> str:
        """What Jinja gives: source with marks for the values."""
        self.values.clear()
        if self.user_template is None:
            return self.template.render(dag=dag)
        from jinja2 import TemplateError

        from bigflow_backend.dags.file.template_errors import template_error

        try:
            return self.template.render(dag=dag)
        except (
            *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
            *(OSError, RecursionError, TemplateError),
        ) as error:
            raise template_error(self.user_template, error) from error

    def _fill(self, skeleton: str) -> tuple[str, list[Placed]]:
        """Puts the literals in for their marks, and notes where."""
        from bigflow_backend.dags.file.environment import MARK

        parts = MARK.split(skeleton)
        placed: list[Placed] = []
        line, column, indent = 1, 0, ""
        quoted: int | None = None
        for i in range(0, len(parts) - 1, 2):
            before = _measure(parts[i])
            if before.lines:
                line, column, indent = line + before.lines, before.width, before.indent
            else:
                column += before.width
            if before.ends_with_quote and parts[i + 2].startswith(_QUOTES):
                quoted = quoted or line
            value = self.values[int(parts[i + 1])]
            source = parts[i + 1] = literal(value, indent=indent)
            end_line, end_column = line, column + len(source)
            if "\n" in source:
                end_line, end_column = line + source.count("\n"), len(source.rpartition("\n")[2])
            placed.append(Placed(value, (line, column, end_line, end_column)))
            line, column = end_line, end_column
        text = "".join(parts)
        if quoted:
            raise VerificationError(f"{line_of_result(text, quoted)} has a value in quotes")
        return text, placed


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

    from bigflow_backend.dags.file.environment import OURS, make_environment
    from bigflow_backend.dags.file.template_errors import (
        TemplateSource,
        refuse_lost_text,
        template_error,
    )

    values: list[Value] = []
    if template is None:
        return Renderer(make_environment(values, None).get_template(OURS), values)
    path = root / template
    place = Place("pyproject.toml, [tool.bigflow.dags]")
    hint = "write the path of a Jinja2 template, relative to the project"
    if not template:
        raise place.fault("template", template, "which names no file", f"{hint}; or leave it out")
    if not Path(os.path.normpath(path)).is_relative_to(root):
        raise place.fault("template", template, "which is not in the project", hint)
    if not path.is_file():
        raise place.fault("template", template, "and there is no such file", hint)
    environment = make_environment(values, path.parent)
    source = TemplateSource(template, path, environment)
    try:
        compiled = environment.get_template(path.name)
        refuse_lost_text(source)
    except (jinja2.TemplateError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise template_error(source, error) from error
    return Renderer(compiled, values, source)
