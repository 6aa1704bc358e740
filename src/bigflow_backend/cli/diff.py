"""``bigflow diff``: the differences of two images or versions."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.cli.build import interpreter
from bigflow_backend.cli.report import print_result
from bigflow_backend.compare.difference import compare
from bigflow_backend.compare.side import Reader
from bigflow_backend.ground.progress import print_progress, size, waiting
from bigflow_backend.image.platforms import main_platform
from bigflow_backend.image.session import open_session
from bigflow_backend.project.project import project_root
from bigflow_backend.project.settings import ImageSettings
from bigflow_backend.project.workflows import describe_deployment

if TYPE_CHECKING:
    from bigflow_backend.cli.commands import Call
    from bigflow_backend.compare.difference import Change, DagChange, Difference, Layers
    from bigflow_backend.compare.side import Side
    from bigflow_backend.project.project import Project

DIFFERENT = 3
"""The exit status of ``--exit-code`` if something differs. 1 and 2 are errors."""
_SHOWN = 20
"""Commits and lines that are printed; ``--json`` has all."""


@contextlib.contextmanager
def opened_reader(call: Call) -> Iterator[Reader]:
    """Yield a reader of versions, paths and images, for a command with ``--platform``."""
    values = call.values
    settings = ImageSettings()
    if project_root(Path.cwd()) is not None:
        settings = call.project().settings.image

    def repository(project: Project) -> str:
        python = interpreter(values.python)
        return describe_deployment(project, python=python, config=values.config).docker_repository

    deadline = time.monotonic() + settings.timeout
    with open_session(settings, print_progress) as session:
        yield Reader(
            session,
            architecture=(values.platform or main_platform(settings)).removeprefix("linux/"),
            deadline=deadline,
            project=call.project,
            repository=repository,
        )


def diff(call: Call) -> int:
    """Compare OLD and NEW."""
    values = call.values
    root = Path.cwd() if project_root(Path.cwd()) is None else call.project().root
    with opened_reader(call) as reader:
        with waiting(f"reading {values.old}"):
            old = reader.side(values.old)
        with waiting(f"reading {values.new}"):
            new = reader.side(values.new)
        with waiting("comparing the layers"):
            found = compare(old, new, reader, root=root)
    print_result(values, _as_data(found), _lines(found))
    return DIFFERENT if values.exit_code and not found.is_empty else 0


def _as_data(found: Difference) -> dict[str, Any]:
    return {
        "old": _side_as_data(found.old),
        "new": _side_as_data(found.new),
        "different": not found.is_empty,
        "base": found.base and {"old": found.base.old, "new": found.base.new},
        "layers": found.layers,
        "dependencies": found.dependencies,
        "dags": found.dags,
        "commits": found.commits,
        "not_compared": found.missing,
    }


def _side_as_data(side: Side) -> dict[str, Any]:
    image = side.image
    return {
        "given": side.given,
        "version": side.version,
        "commit": side.commit,
        "image": image
        and {"name": image.name, "digest": image.digest, "compressed_sizes": image.is_packed},
    }


def _lines(found: Difference) -> Iterator[str]:
    for title, side in (("old", found.old), ("new", found.new)):
        yield f"{title:13} {'  '.join(_facts(side))}"
    if found.layers is not None:
        yield from _layer_lines(found, found.layers)
    if found.base is not None:
        yield f"base image    {found.base.old} -> {found.base.new}"
    if found.dependencies is not None:
        yield f"dependencies  {_count(len(found.dependencies), 'difference')}"
        yield from (f"  {_as_text(change)}" for change in found.dependencies)
    if found.dags is not None:
        yield f"DAGs          {_count(len(found.dags), 'difference')}"
        for dag in found.dags:
            yield from _dag_lines(dag)
    if found.commits is not None:
        yield f"commits       {_count(len(found.commits), 'commit')}"
        for commit in found.commits[:_SHOWN]:
            mark = "+" if commit.is_new else "-"
            yield f"  {mark} {commit.hash[:12]}  {commit.date}  {commit.author}  {commit.subject}"
        yield from _rest(len(found.commits))
    for reason in found.missing:
        yield f"not compared: {reason}"


def _facts(side: Side) -> Iterator[str]:
    yield side.version or side.given
    if side.image is not None and (side.version or side.image.name != side.given):
        yield side.image.name
    if side.commit is not None:
        yield f"commit {side.commit[:12]}"


def _layer_lines(found: Difference, layers: Layers) -> Iterator[str]:
    counts = "; ".join(
        f"{len(part)} {word}, {size(sum(layer.size for layer in part))}"
        for part, word in (
            (layers.shared, "shared"),
            (layers.new, "new"),
            (layers.removed, "removed"),
        )
        if part
    )
    kinds = [
        "compressed" if s.image and s.image.is_packed else "unpacked"
        for s in (found.old, found.new)
    ]
    kind = kinds[0] if kinds[0] == kinds[1] else f"old {kinds[0]}, new {kinds[1]}"
    yield f"layers        {counts} ({kind})"
    for mark, part in (("+", layers.new), ("-", layers.removed)):
        for layer in part:
            yield f"  {mark} {size(layer.size):>9}  {layer.created_by or layer.digest}"


def _as_text(change: Change) -> str:
    if change.old is None:
        return f"+ {change.name} {change.new}"
    if change.new is None:
        return f"- {change.name} {change.old}"
    return f"~ {change.name} {change.old} -> {change.new}"


def _dag_lines(dag: DagChange) -> Iterator[str]:
    if dag.old_id is None or dag.new_id is None:
        yield f"  {'+' if dag.old_id is None else '-'} {dag.workflow}  {dag.new_id or dag.old_id}"
        tasks = ", ".join(dag.tasks_added or dag.tasks_removed)
        schedule = next((c.new or c.old for c in dag.changes if c.name == "schedule"), "")
        yield f"      schedule {schedule}; tasks {tasks}"
        return
    yield f"  ~ {dag.workflow}"
    if dag.old_id != dag.new_id:
        yield f"      ~ id {dag.old_id} -> {dag.new_id}"
    yield from (f"      {_as_text(change)}" for change in dag.changes)
    yield from (f"      + task {task}" for task in dag.tasks_added)
    yield from (f"      - task {task}" for task in dag.tasks_removed)
    if dag.lines:
        yield "      lines of the file, without versions, commits and images:"
        yield from (f"        {line}" for line in dag.lines[:_SHOWN])
        yield from (f"      {line}" for line in _rest(len(dag.lines)))


def _rest(count: int) -> Iterator[str]:
    if count > _SHOWN:
        yield f"  and {count - _SHOWN} more; --json has all"


def _count(number: int, thing: str) -> str:
    return f"{number or 'no'} {thing}{'' if number == 1 else 's'}"
