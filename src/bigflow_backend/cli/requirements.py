"""``bigflow lock`` and ``bigflow build-requirements``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.cli.build import interpreter
from bigflow_backend.cli.report import print_result
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.progress import print_progress, step
from bigflow_backend.ground.report import print_warning
from bigflow_backend.image.dependencies.compile import compile_requirements
from bigflow_backend.project.requirements import read_requirements

if TYPE_CHECKING:
    from bigflow_backend.cli.commands import Call


def lock(call: Call) -> int:
    """Make or update the lock of the dependencies, and the digest of the base image."""
    from bigflow_backend.image.relock import lock_base, lock_dependencies
    from bigflow_backend.image.session import open_session

    project, values = call.project(), call.values
    names = values.names or []
    if names and not values.upgrade:
        raise UserError(
            f"bigflow lock: {names[0]} is given without --upgrade",
            hint=f"bigflow lock --upgrade {' '.join(names)}",
        )
    with step("locking the dependencies"):
        locked = lock_dependencies(
            project,
            python=interpreter(values.python),
            upgrade=values.upgrade and not names,
            packages=names,
            say=print_progress,
        )
    base = None
    if not names:
        try:
            with (
                step("looking up the base image"),
                open_session(project.settings.image, print_progress) as session,
            ):
                base = lock_base(project, session)
        except UserError as error:
            print_warning(f"the digest of the base image is not locked: {error.message}")
    result = {"lock": locked.path, "changes": locked.changes, "base": base}
    lines = [*locked.changes, f"{locked.path}: {'changed' if locked.changes else 'up to date'}"]
    print_result(values, result, [*lines, *([f"base image: {base}"] if base else [])])
    return 0


def build_requirements(call: Call) -> int:
    """Compile requirements.in to requirements.txt."""
    project, given = call.project(), call.values.source
    source = project.resources / "requirements.in" if given is None else Path(given).absolute()
    with step("compiling the requirements"):
        written = compile_requirements(
            project,
            source,
            python=interpreter(call.values.python),
            upgrade=call.values.upgrade,
            say=print_progress,
        )
    shown = written.relative_to(project.root).as_posix()
    number = len(read_requirements(written, anywhere=True).lines)
    result = {"requirements": shown, "distributions": number}
    print_result(call.values, result, [f"{shown}: {number} distributions"])
    return 0
