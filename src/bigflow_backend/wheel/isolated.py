"""Project -> :class:`Wheel`, through the PEP 517 hook in a process of its own.

So ``bigflow build`` and ``pip wheel .`` give the same wheel.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import AlreadyReportedError, BigflowWarning, UserError
from bigflow_backend.ground.processes import run_with_output
from bigflow_backend.project.pyproject import BACKENDS
from bigflow_backend.project.requirements import is_bigflow

if TYPE_CHECKING:
    from bigflow_backend.ground.files import Outputs
    from bigflow_backend.project.project import Project

_BACKEND = "bigflow_backend"
_PIECE = 1 << 20


@dataclass(frozen=True)
class Wheel:
    """A finished wheel."""

    path: Path
    """Relative to the project: ``dist/NAME-VERSION-TAGS.whl``."""
    name: str
    """The name of the distribution, as in the name of the file."""
    version: str
    sha256: str
    size: int
    """In bytes."""


def build_wheel(project: Project, outputs: Outputs) -> Wheel:
    """Build the wheel in ``dist/`` of ``outputs``.

    :raises UserError: if the backend cannot be imported, or code of the project has written there.
    :raises AlreadyReportedError: if the hook fails; its process prints the error.
    """
    from pyproject_hooks import BackendUnavailable, BuildBackendHookCaller, BuildBackendWarning

    outputs.root.mkdir(parents=True, exist_ok=True)
    try:
        outputs.dist.mkdir()
    except FileExistsError as error:
        raise _foreign_files(outputs) from error
    caller = BuildBackendHookCaller(
        str(project.root),
        _BACKEND,
        runner=functools.partial(_run_hook, project.version.text),
        python_executable=sys.executable,
    )
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", BuildBackendWarning)
            name = caller.build_wheel(str(outputs.dist))
    except subprocess.CalledProcessError as error:
        raise AlreadyReportedError from error
    except BackendUnavailable as error:
        raise UserError(
            f"{sys.executable} cannot import {_BACKEND}",
            hint="pip install 'bigflow-backend[build]'",
        ) from error
    if [path.name for path in outputs.dist.iterdir()] != [name]:
        raise _foreign_files(outputs)
    for warning in caught:
        if str(warning.message) not in project.notes:  # the command has printed those
            warnings.warn(str(warning.message), BigflowWarning, stacklevel=2)
    return described_wheel(outputs.dist / name, Path("dist") / name)


def _foreign_files(outputs: Outputs) -> UserError:
    """Return the error for files in the staging directory that are not of this build."""
    return UserError(
        f"code of the project has written into {outputs.dist}, where the build writes its wheel",
        hint="find the test or the setup script that does that",
    )


def described_wheel(file: Path, path: Path) -> Wheel:
    """Return the description of ``file``, whose place in the project is ``path``."""
    name, version, *_ = file.name.split("-")
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while piece := content.read(_PIECE):
            digest.update(piece)
    return Wheel(path, name, version, digest.hexdigest(), file.stat().st_size)


def copied_wheel(file: Path, outputs: Outputs) -> Wheel:
    """Copy a wheel that was built before into ``dist/`` of ``outputs``."""
    outputs.dist.mkdir(parents=True)
    shutil.copyfile(file, outputs.dist / file.name)
    return described_wheel(outputs.dist / file.name, Path("dist") / file.name)


def check_build_system(project: Project) -> None:
    """Check that ``pip wheel .`` gives the same wheel as ``bigflow build``.

    :raises UserError: if ``[build-system]`` names another backend, or requires distributions that
        are not installed.
    """
    from build import check_dependency

    table = project.pyproject.get("build-system")
    if table is None:
        return
    if "requires" not in table:
        raise UserError(
            "pyproject.toml: [build-system] has no requires, so pip refuses the project",
            hint='write requires = ["bigflow-backend"] into it',
        )
    backend = table.get("build-backend")
    if backend not in BACKENDS:
        raise UserError(
            f"pyproject.toml: [build-system] build-backend must be {_BACKEND!r}: got {backend!r}",
            hint=f'write build-backend = "{_BACKEND}"',
        )
    try:
        # A requirement whose own requirements are missing is incomplete; pip completes it.
        missing = [r for r in table["requires"] if not is_bigflow(r) and any(check_dependency(r))]
    except ValueError as error:  # InvalidRequirement
        raise UserError(
            f"pyproject.toml: [build-system] requires: {str(error).splitlines()[0]}",
            hint='write requires = ["bigflow-backend"]',
        ) from error
    if missing:
        raise UserError(
            f"pyproject.toml: [build-system] requires {', '.join(missing)}, which {sys.executable} "
            "does not have in full",
            hint=f"{sys.executable} -m pip install " + " ".join(f"'{m}'" for m in missing),
        )


def _run_hook(
    version: str,
    cmd: Sequence[str],
    cwd: str | None = None,
    extra_environ: Mapping[str, str] | None = None,
) -> None:
    # The wheel, the image and the DAGs have one version, even if a file changes during the build.
    environment = {**os.environ, **(extra_environ or {}), "BIGFLOW_VERSION": version}
    status = run_with_output(cmd, cwd=cwd, env=environment)
    if status:
        raise subprocess.CalledProcessError(status, list(cmd))
