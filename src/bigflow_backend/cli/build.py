"""The build commands."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow.errors import BigflowError
from bigflow.job import parse_runtime
from bigflow_backend import pipeline
from bigflow_backend.cli.options import TAKEOVER_MINUTES, image_settings
from bigflow_backend.cli.report import build_lines, print_result
from bigflow_backend.ground.directories import temporary_files_together
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.progress import print_progress, seconds_since
from bigflow_backend.ground.report import print_warning
from bigflow_backend.pipeline import Build, BuildOptions

if TYPE_CHECKING:
    from bigflow_backend.cli.commands import Call
    from bigflow_backend.dags.takeover import Deployed
    from bigflow_backend.project.project import Project


def build_project(call: Call) -> int:
    if call.values.changed_since is not None:
        return _list_changed(call)
    return _build(pipeline.build_project, call)


def build_package(call: Call) -> int:
    return _build(pipeline.build_package, call)


def build_image(call: Call) -> int:
    if call.values.verify:
        from bigflow_backend.cli.verify import verify

        return verify(call)
    if call.values.wheel is not None:
        return _rebuild(call, Path(call.values.wheel).absolute())
    return _build(pipeline.build_image, call)


def _rebuild(call: Call, wheel: Path) -> int:
    """Build the image of a wheel that was built before."""
    from bigflow_backend.image.imageinfo import ImageFiles, commit_of_wheel
    from bigflow_backend.image.standard import CannotServeError, NoBaseError
    from bigflow_backend.wheel.isolated import described_wheel
    from bigflow_backend.wheel.released import check_name, released

    project = call.project()
    version = check_name(project, wheel)
    info = project.root / ImageFiles(version).info
    commit = commit_of_wheel(info, described_wheel(wheel, wheel).sha256)
    if commit is None:
        print_progress(
            f"the commit of {wheel.name} is not known: no imageinfo of this wheel is here"
        )
    project = released(project, wheel, commit)
    if call.values.builder == "engine":
        raise UserError(
            "--wheel needs the layered builder: got --builder engine",
            hint="an engine builds the Dockerfile and the files of the work tree; remove --builder",
        )
    call.values.builder = "layered"
    try:
        return _build(pipeline.build_image, call, project, wheel)
    except NoBaseError:
        raise
    except CannotServeError as error:
        raise UserError(
            f"{error.message}, and --wheel needs the layered builder",
            hint="check out the commit of the release, and build its image there without --wheel",
        ) from error


def build_dags(call: Call) -> int:
    return _build(pipeline.build_dags, call)


def _list_changed(call: Call) -> int:
    """Print the projects that must be built, one path a line. A script can loop over them."""
    from bigflow_backend.project.changed import changed_projects

    for name, value in vars(call.values).items():
        if value and name not in {"changed_since", "json", "verbose"}:
            given = f"--{name.replace('_', '-')}"
            raise UserError(
                f"--changed-since lists projects and builds nothing: got {given}",
                hint=f"remove {given}, and build each project that is listed",
            )
    found = changed_projects(Path.cwd(), call.values.changed_since)
    for project in found.projects:
        print_progress(f"{project.path}: {_files(project.changed)} changed")
    for path in found.unchanged:
        print_progress(f"{path}: unchanged")
    if call.values.json or found.projects:
        print_result(call.values, found, [project.path for project in found.projects])
    return 0


def _files(names: Sequence[str]) -> str:
    more = f" and {len(names) - 1} more" if names[1:] else ""
    return f"{names[0]}{more}"


def _build(
    step: Callable[[Project, BuildOptions], Build],
    call: Call,
    project: Project | None = None,
    wheel: Path | None = None,
) -> int:
    project = project or call.project()
    for note in (*project.notes, *project.version.notes):
        print_warning(note)
    begin = time.monotonic()
    options = build_options(project, call.values, wheel)
    with temporary_files_together():
        build = step(project, options)
    image, dags = build.image is not None, build.dags is not None
    if (image or dags) and not options.dry_run:
        from bigflow_backend.compare.history import remember

        with contextlib.suppress(UserError, OSError):  # a build succeeds without the history
            remember(project.root, project.version.text, image=image, dags=dags)
    print_result(call.values, build, build_lines(build, dry_run=options.dry_run))
    print_progress(f"done in {seconds_since(begin)}{'' if options.dry_run else _next(build)}")
    return 0


def _next(build: Build) -> str:
    """Return the next command of a user who has just built this."""
    if build.dags is None:
        return "; next: bigflow build" if build.image is None else "; next: bigflow build-dags"
    if build.image is not None and build.image.pushed:
        return "; next: bigflow deploy"
    return "; next: bigflow check loads the DAG files in an Airflow"


def build_options(
    project: Project, values: argparse.Namespace, wheel: Path | None = None
) -> BuildOptions:
    """Return the options of a build on the command line.

    :raises UserError: for a value that is not valid.
    """
    given = vars(values)
    workflows = tuple(given.get("workflow") or ())
    return BuildOptions(
        image=image_settings(project.settings.image, project.root, values),
        config=given.get("config"),
        start_time=start_time(given.get("start_time")),
        # BigFlow's word for all workflows is ALL.
        workflows=() if "ALL" in map(str.upper, workflows) else workflows,
        deployed=_deployed(project, given),
        dry_run=bool(given.get("dry_run")),
        in_image=bool(given.get("in_image")),
        released_wheel=wheel,
        python=interpreter(values.python),
        say=print_progress,
    )


def _deployed(project: Project, given: Mapping[str, Any]) -> Deployed | None:
    path, takeover = given.get("deployed"), given.get("takeover")
    if path is None:
        useless = [name for name in ("takeover", "airflow_url") if given.get(name) is not None]
        if useless:
            raise UserError(
                f"--{useless[0].replace('_', '-')} needs the deployed DAGs",
                hint="add --deployed with the path of their manifest.json",
            )
        return None
    from bigflow_backend.cli.deployed import read_deployed
    from bigflow_backend.dags.takeover import Deployed

    manifest, url = read_deployed(path, lambda: project), given.get("airflow_url")
    drained = frozenset[str]()
    if url is not None:
        from bigflow_backend.cli.dags import drained_dags

        drained = drained_dags(manifest, url)
    return Deployed(
        manifest=manifest,
        takeover=_takeover(takeover),
        keep_days=project.settings.dags.keep_retired_days,
        drained=drained,
    )


def _takeover(text: str | None) -> datetime:
    now = datetime.now(timezone.utc).replace(microsecond=0)
    if text is None:
        return now + timedelta(minutes=TAKEOVER_MINUTES)
    moment = now if text.upper() == "NOW" else _moment(text, "--takeover")
    if moment < now:
        print_warning(
            "--takeover is in the past: data intervals that the deployed DAGs have run since then"
            " run again"
        )
    return moment


def interpreter(text: str | None) -> str:
    """Return the path of the interpreter that ``--python`` names.

    :raises UserError: if it is not a program.
    """
    if text is None:
        return sys.executable
    found = shutil.which(text)
    if found is None:
        raise UserError(
            f"--python must be an interpreter: got {text!r}",
            hint="write its path, such as --python .venv/bin/python",
        )
    return str(Path(found).absolute())


def start_time(text: str | None) -> datetime:
    """Return the start time in UTC. Only here does a build read the clock.

    :raises UserError: if the text is not a date and time.
    """
    if text is None or text.upper() == "NOW":
        return datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0)
    return _moment(text, "--start-time")


def _moment(text: str, name: str) -> datetime:
    try:
        return parse_runtime(text).replace(tzinfo=timezone.utc)
    except BigflowError as error:
        raise UserError(
            f"{name} must be a date and time: got {text!r}",
            hint=f"write it in UTC, such as {name} '2026-01-31 06:00:00', or as ISO 8601",
        ) from error
