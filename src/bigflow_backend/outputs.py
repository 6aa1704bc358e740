"""What a build makes goes into the project when all that was asked for is made.

A build that fails leaves ``dist/``, ``.image/`` and ``.dags/`` as they were.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.files import move_into_place, recover, temporary_directory

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project

_STAGING = ".bigflow-build-"


@contextlib.contextmanager
def staged_outputs(project: Project) -> Iterator[Project]:
    """The project with its outputs beside their places; when the block ends well, they move."""
    _remove_leftovers(project.root)
    for target in (project.images, project.dags):
        recover(target)
    staging = temporary_directory(project.root, f"{_STAGING}{os.getpid()}-")
    try:
        staged = dataclasses.replace(project, output=staging)
        yield staged
        for wheel in staged.dist.glob("*") if staged.dist.is_dir() else ():
            move_into_place(wheel, project.dist / wheel.name)
        for made, target in ((staged.images, project.images), (staged.dags, project.dags)):
            if made.is_dir():
                move_into_place(made, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _remove_leftovers(root: Path) -> None:
    """Removes what a build that was killed has left, and nothing of one that is still running."""
    for directory in root.glob(f"{_STAGING}*"):
        pid = directory.name.removeprefix(_STAGING).partition("-")[0]
        if pid.isdigit() and not _is_running(int(pid)):
            shutil.rmtree(directory, ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
