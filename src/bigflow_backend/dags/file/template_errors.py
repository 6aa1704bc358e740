"""Errors of a project's own template, with its file and line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

import jinja2
from jinja2 import nodes

from bigflow_backend.ground.errors import UserError, did_you_mean

OURS = "bigflow/dag.py.j2"


@dataclass(frozen=True)
class TemplateSource:
    """The origin of a project's own template."""

    name: str
    """Its path, as the settings give it."""
    path: Path
    environment: jinja2.Environment


def refuse_lost_text(source: TemplateSource) -> None:
    """Refuse what Jinja would drop silently from a template that extends another.

    That is text outside of blocks, and blocks that the other template does not have.

    :raises UserError: for the first such piece.
    """
    environment = source.environment
    tree = environment.parse(source.path.read_text("utf-8"))
    parents = [node.template for node in tree.body if isinstance(node, nodes.Extends)]
    if not parents:
        return
    for line in _lines_of_text(tree.body):
        raise UserError(
            f"{source.name}, line {line}: text outside of a block would be lost",
            hint="move it into a block; docs/how-to/dag-template.md lists them",
        )
    if not (isinstance(parents[0], nodes.Const) and parents[0].value == OURS):
        return  # the blocks of other templates are not known here
    known = environment.get_template(OURS).blocks
    for block in tree.body:
        if isinstance(block, nodes.Block) and block.name not in known:
            raise UserError(
                f"{source.name}, line {block.lineno}: {OURS} has no block {block.name!r}",
                hint=did_you_mean(block.name, known),
            )


def _lines_of_text(body: list[nodes.Node]) -> Iterator[int]:
    """Yield the lines of text and expressions outside of blocks."""
    for node in body:
        for part in node.nodes if isinstance(node, nodes.Output) else ():
            if not isinstance(part, nodes.TemplateData):
                yield part.lineno
            elif part.data.strip():
                blank = part.data[: len(part.data) - len(part.data.lstrip())]
                yield part.lineno + blank.count("\n")


def template_error(source: TemplateSource, error: Exception) -> UserError:
    """Return the user error for an exception of Jinja, or of an expression in a template."""
    where = _location(source, error)
    if isinstance(error, jinja2.TemplateNotFound):
        return UserError(
            f"{where}: there is no template {error.name!r}",
            hint=f"write {OURS}, or a file in the directory of {source.name}",
        )
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, RecursionError):
        text = "a template, a block or a macro calls itself without end"
    return UserError(f"{where}: {text}", hint="docs/how-to/dag-template.md describes the values")


def _location(source: TemplateSource, error: Exception) -> str:
    """Return the file and the line of the innermost template of the project."""
    directory = source.path.parent
    file, line = str(source.path), None
    if isinstance(error, jinja2.TemplateSyntaxError):
        file, line = error.filename or file, error.lineno
    else:
        loaded = {template.filename for template in (source.environment.cache or {}).values()}
        own = {name for name in loaded if name and PurePath(name).is_relative_to(directory)}
        traceback = error.__traceback__
        while traceback:  # Jinja writes the lines of the templates into it
            if traceback.tb_frame.f_code.co_filename in own:
                file, line = traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
            traceback = traceback.tb_next
    name = PurePath(source.name).parent / PurePath(file).relative_to(directory)
    return f"{name.as_posix()}, line {line}" if line else name.as_posix()
