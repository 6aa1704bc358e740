"""``bigflow start-project`` and ``bigflow init``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.cli.report import print_result
from bigflow_backend.project.pyproject import read_pyproject
from bigflow_backend.scaffold.existing import existing_project
from bigflow_backend.scaffold.model import NewProject, checked, default_repository, package_name
from bigflow_backend.scaffold.start import Started, complete_project
from bigflow_backend.scaffold.start import start_project as write_project
from bigflow_backend.scaffold.wheels import missing_variables, relative_links

if TYPE_CHECKING:
    from bigflow_backend.cli.commands import Call


def start_project(call: Call) -> int:
    """Write a new project into a new directory."""
    values = call.values
    target = Path(values.name)
    name = target.name or values.name
    project = NewProject(
        name=name,
        package=values.package or package_name(name),
        layout=values.layout,
        docker_repository=values.docker_repository or default_repository(name),
        ci=values.ci,
        find_links=values.find_links and relative_links(values.find_links, target),
        # The first run after a deployment processes the day before.
        start_date=f"{datetime.now(timezone.utc) - timedelta(days=1):%Y-%m-%d}",
    )
    started = write_project(target, checked(project), git=not values.no_git)
    print_result(values, started, _lines(started, target, values.find_links))
    return 0


def init(call: Call) -> int:
    """Write what the project in the current directory lacks."""
    values, root = call.values, Path.cwd()
    project = existing_project(
        root,
        read_pyproject(root),
        package=values.package,
        docker_repository=values.docker_repository,
        ci=values.ci,
    )
    if values.find_links is not None:
        links = relative_links(values.find_links, root)
        project = dataclasses.replace(project, find_links=links)
    started = complete_project(root, checked(project))
    print_result(values, started, _lines(started, None, values.find_links))
    return 0


def _lines(started: Started, target: Path | None, find_links: str | None) -> Iterator[str]:
    for name in started.written:
        yield f"new      {name if target is None else (target / name).as_posix()}"
    for name in started.changed:
        yield f"changed  {name}"
    if not started.written and not started.changed:
        yield "the project lacks nothing"
    yield ""
    yield "next:"
    if not find_links and (line := missing_variables()):
        yield f"  {line}"
    if target is not None:
        yield f"  cd {target}"
    if not started.in_git:
        yield "  git init"
    yield '  git add --all && git commit -m "Start the project"'
    yield "  bigflow build"
