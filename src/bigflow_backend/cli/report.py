"""Results as lines for people and as JSON for machines."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.foreign.text import printable
from bigflow_backend.ground.progress import size

if TYPE_CHECKING:
    from bigflow_backend.dags.build import DagFiles
    from bigflow_backend.image.image import PublishedImage
    from bigflow_backend.image.plan import ImagePlan
    from bigflow_backend.pipeline import Build


def print_result(values: argparse.Namespace, result: object, lines: Iterable[str]) -> None:
    """Print the result as JSON if ``--json`` was given, and otherwise the lines."""
    if values.json:
        print(json.dumps(_plain(result), indent=2))
    else:
        print("\n".join(printable(part) for line in lines for part in line.split("\n")))


def build_lines(build: Build, *, dry_run: bool = False) -> Iterator[str]:
    """Yield a line for each artifact: its kind, its path and its size."""
    if build.tests is not None:
        skipped = f", {build.tests.skipped} skipped" if build.tests.skipped else ""
        passed = build.tests.tests - build.tests.skipped
        yield f"tests  {passed} passed{skipped}" if build.tests.tests else "tests  none"
    if build.wheel is not None:
        yield f"wheel  {build.wheel.path}  {size(build.wheel.size)}"
    if build.image is not None:
        yield from _image_lines(build, build.image)
    if build.plan is not None:
        yield from _plan_lines(build.plan)
    if build.dags is not None:
        for file in build.dags.files:
            yield f"DAG    {file.path}"
        yield from _retired_lines(build.dags)
    if dry_run:
        yield "nothing was built: this is a dry run"


def _retired_lines(dags: DagFiles) -> Iterator[str]:
    for dag in dags.retired:
        yield f"       {dags.directory / dag.file}  retired, ends its runs"
    for dag in dags.left_out:
        yield f"       {dag.file} is not needed any more"
    if dags.deploy_before is not None:
        yield f"       deploy them before {dags.deploy_before:%Y-%m-%d %H:%M} UTC"


def _image_lines(build: Build, image: PublishedImage) -> Iterator[str]:
    yield f"image  {image.tag}"
    for name in image.tags[1:]:
        yield f"       {name}"
    if len(image.platforms) > 1:
        yield f"       for {', '.join(image.platforms)}"
    for path in (image.tar, image.layout):
        if path is not None:
            yield f"       {path}  {size(build.sizes[path])}"
    if image.pushed:
        yield f"       pushed{f' as {image.digest}' if image.digest else ''}"
    if image.in_engine:
        yield "       in the Docker Engine"
    elif image.tar is not None:
        yield f"       to run it here: docker load --input {image.tar}"
    elif image.layout is None and not image.pushed:
        yield "       only in the cache: add --export-image-tar, --load or --push"


def _plan_lines(plan: ImagePlan) -> Iterator[str]:
    for name in plan.tags:
        yield f"image     {name}"
    yield f"builder   {plan.builder}: {plan.reason}"
    yield f"base      {plan.base or 'named by no FROM'}"
    yield f"platform  {', '.join(plan.platforms) or 'the platform of the building machine'}"
    for path in plan.files:
        yield f"file      {path}"
    if plan.load:
        yield "engine    gets the image"
    if plan.push:
        yield "registry  gets the image"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)
