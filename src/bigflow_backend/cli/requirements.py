"""``bigflow build-requirements``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.cli.build import interpreter
from bigflow_backend.cli.report import print_result
from bigflow_backend.ground.report import print_progress
from bigflow_backend.image.layered.dependencies.compile import compile_requirements
from bigflow_backend.project.requirements import read_requirements

if TYPE_CHECKING:
    from bigflow_backend.cli.commands import Call


def build_requirements(call: Call) -> int:
    """Compile requirements.in to requirements.txt."""
    project, given = call.project(), call.values.source
    source = project.resources / "requirements.in" if given is None else Path(given).absolute()
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
