"""The frontend's side of PEP 517: ``bigflow build`` builds the wheel as ``pip wheel .`` does."""

from __future__ import annotations

import dataclasses
import functools
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import AlreadyReportedError, BigflowWarning, UserError
from bigflow_backend.project.pyproject import BACKENDS

if TYPE_CHECKING:
    from bigflow_backend.ground.files import Outputs
    from bigflow_backend.project.project import Project
    from bigflow_backend.wheel.wheel import Wheel

_BACKEND = "bigflow_backend"


def build_wheel(project: Project, outputs: Outputs) -> Wheel:
    """Builds the wheel into ``dist/`` of ``outputs``, through the hook, in a process of its own.

    :raises UserError: when the backend cannot be run; what it says itself is told already.
    """
    from pyproject_hooks import BackendUnavailable, BuildBackendHookCaller, BuildBackendWarning

    from bigflow_backend.wheel.wheel import Wheel

    outputs.dist.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
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
    for warning in caught:
        warnings.warn(str(warning.message), BigflowWarning, stacklevel=2)
    wheel = Wheel.read(outputs.dist / name, seconds=time.perf_counter() - start)
    return dataclasses.replace(wheel, path=Path("dist") / name)


def check_build_system(project: Project) -> None:
    """``pip wheel .`` must give the same wheel as ``bigflow build``.

    :raises UserError: when ``[build-system]`` asks for another backend, or for what is not here.
    """
    from build import check_dependency

    table = project.pyproject.get("build-system")
    if table is None:
        return
    if "requires" not in table:
        raise UserError(
            "pyproject.toml: [build-system] has no requires, so pip refuses the project",
            hint='write requires = ["bigflow-backend"] there',
        )
    backend = table.get("build-backend")
    if backend not in BACKENDS:
        raise UserError(
            f"pyproject.toml: [build-system] build-backend is {backend!r}",
            hint=f'write build-backend = "{_BACKEND}", so that pip builds the same wheel',
        )
    try:
        missing = [chain[-1] for r in table.get("requires", []) for chain in check_dependency(r)]
    except ValueError as error:  # InvalidRequirement
        raise UserError(
            f"pyproject.toml: [build-system] requires: {str(error).splitlines()[0]}",
            hint='write it as requires = ["bigflow-backend"]',
        ) from error
    if missing:
        raise UserError(
            f"pyproject.toml: [build-system] requires {', '.join(missing)}, not installed here",
            hint=f"{sys.executable} -m pip install " + " ".join(f"'{m}'" for m in missing),
        )


def _run_hook(
    version: str,
    cmd: Sequence[str],
    cwd: str | None = None,
    extra_environ: Mapping[str, str] | None = None,
) -> None:
    # The version is told once: wheel, image and DAGs must not differ when a file changes meanwhile.
    environment = {**os.environ, **(extra_environ or {}), "BIGFLOW_VERSION": version}
    # In a session of its own: a Ctrl-C is for us, who end it; it would tell it by a traceback.
    process = subprocess.Popen(
        cmd, cwd=cwd, env=environment, stdout=sys.stderr.fileno(), start_new_session=True
    )
    try:
        status = process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    if status:
        raise subprocess.CalledProcessError(status, list(cmd))
