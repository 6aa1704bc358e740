"""From the model of a DAG to its file, through a Jinja2 template.

Every expression of a template becomes a Python literal, so quoting can be neither forgotten nor
doubled. While Jinja renders, an expression leaves a mark. The literals replace the marks
afterwards, when the indentation of their lines is known.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from bigflow_backend.dags.file.literals import Value, literal
from bigflow_backend.dags.file.verify import Placed, VerificationError, line_of_result, verify
from bigflow_backend.dags.rules.location import SettingsLocation
from bigflow_backend.dags.rules.workflow import is_dotted_name
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import has_file
from bigflow_backend.ground.limits import PROJECT_FILE

try:
    import jinja2
    from jinja2.loaders import split_template_path
    from jinja2.runtime import BlockReference, Context
except ImportError as error:
    raise UserError(
        "building DAGs needs Jinja2, which is not installed",
        hint="pip install 'bigflow-backend[build]'",
    ) from error

from bigflow_backend.dags.file.template_errors import (
    OURS,
    TemplateSource,
    refuse_lost_text,
    template_error,
)

if TYPE_CHECKING:
    from bigflow_backend.dags.model import Dag

    Blocks: TypeAlias = Callable[[Context], Any]

_QUOTES = ("'", '"')
# The mark of the value with that number. Python source cannot hold a null character.
_MARK = re.compile("\0([0-9]+)\0")
_DIGITS = 9  # more than memory has values
# Errors of expressions in a template; others are defects of this package.
_TEMPLATE_ERRORS = (
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
    *(OSError, RecursionError, jinja2.TemplateError),
)


@dataclass(frozen=True)
class Renderer:
    """A compiled template."""

    template: jinja2.Template
    values: list[Value]
    """The values of the marks of the current rendering."""
    source: TemplateSource | None = None
    """The origin of a project's own template."""

    def render(self, dag: Dag) -> str:
        """Return the text of a DAG's file. The result of a project's template is verified.

        :raises UserError: if a project's template fails, or gives a file that is not valid.
        """
        self.values.clear()
        if self.source is None:
            return self.fill(self.template.render(dag=dag))[0].rstrip("\n") + "\n"
        try:
            skeleton = self.template.render(dag=dag)
        except _TEMPLATE_ERRORS as error:
            raise template_error(self.source, error) from error
        try:
            text, placed = self.fill(skeleton)
            verify(text, placed, [task.task_id for task in dag.tasks])
        except VerificationError as error:
            raise UserError(
                f"{self.source.name}: {error} (workflow {dag.workflow_id})",
                hint="docs/how-to/dag-template.md lists what the build checks",
            ) from error
        return text.rstrip("\n") + "\n"

    def fill(self, skeleton: str) -> tuple[str, list[Placed]]:
        """Replace the marks by literals; return the text, and where each literal stands.

        :raises VerificationError: if a mark stands in quotes.
        """
        parts = _MARK.split(skeleton)
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
            if len(parts[i + 1]) > _DIGITS or int(parts[i + 1]) >= len(self.values):
                raise VerificationError(f"line {line} of the result has a null character")
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
    """The extent of a piece of the file. Columns are bytes of UTF-8, as in ``ast``."""

    lines: int
    """The number of line breaks."""
    width: int
    """The columns after the last line break."""
    indent: str
    """The blanks at the start of the last line."""
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


# The text between the values is the same in every file.
_measure = functools.lru_cache(maxsize=1024)(_Measures.of)


def renderer(root: Path, template: str | None) -> Renderer:
    """Return the template of the project in ``root``, or ours if ``template`` is None.

    :raises UserError: if the template cannot be read or compiled.
    """
    values: list[Value] = []
    if template is None:
        return Renderer(_environment(values, None).get_template(OURS), values)
    path = root / template
    location = SettingsLocation()
    hint = "write the path of a Jinja2 template, relative to the project"
    if not template:
        raise location.error("template", template, "which is empty", f"{hint}; or remove the key")
    if not Path(os.path.normpath(path)).is_relative_to(root):
        raise location.error("template", template, "which is not in the project", hint)
    if not path.is_file():
        raise location.error("template", template, "which is not a file", hint)
    environment = _environment(values, path.parent)
    source = TemplateSource(template, path, environment)
    try:
        compiled = environment.get_template(path.name)
        refuse_lost_text(source)
    except (jinja2.TemplateError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise template_error(source, error) from error
    return Renderer(compiled, values, source)


class _ProjectLoader(jinja2.FileSystemLoader):
    """Load templates of the project, up to the limit of its files."""

    def get_source(
        self, environment: jinja2.Environment, template: str
    ) -> tuple[str, str, Callable[[], bool]]:
        for directory in self.searchpath:
            has_file(Path(directory, *split_template_path(template)), PROJECT_FILE)
        return super().get_source(environment, template)


class _Source(str):
    """Text that goes into the file as it is: a checked name, or the output of a block."""

    __slots__ = ()


class _Block(BlockReference):
    """``super``, whose call gives source. Jinja's own gives plain text."""

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


def _environment(values: list[Value], directory: Path | None) -> jinja2.Environment:
    """Return an environment that appends the value of each expression to ``values``.

    Our template is ``bigflow/dag.py.j2``; ``directory`` holds the others.
    """

    @jinja2.pass_context  # keeps Jinja from folding constants at compile time
    def finalize(_context: Context, value: Any) -> str:
        if isinstance(value, str):
            if isinstance(value, _Source):
                return value
            if "\0" in value and _MARK.search(value):
                raise ValueError("the result of a macro or {% set %} is a value, not code")
        elif isinstance(value, jinja2.Undefined):
            return str(value)  # this raises
        if directory is not None:
            literal(value)  # an error that is raised here has the line of the template
        values.append(value)
        return f"\0{len(values) - 1}\0"

    ours = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    loaders: list[jinja2.BaseLoader] = [jinja2.PrefixLoader({"bigflow": ours})]
    if directory is not None:
        loaders.append(_ProjectLoader(directory))
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
    """Return a Python name without quotes: the filter ``name``."""
    if not is_dotted_name(value):
        raise ValueError(f"{value!r} is not a name of Python")
    return _Source(value)
