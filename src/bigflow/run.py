"""``bigflow run``: a job or a whole workflow in this process; what each pod does."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from importlib.util import find_spec

from bigflow.describe.discovery import load_workflow
from bigflow.job import JobContext, execute_job

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import NoReturn

__all__ = ["run"]


def run(
    package: str,
    workflow_id: str,
    job_id: str | None,
    *,
    runtime: str | None = None,
    module: str | None = None,
) -> Callable[[], None]:
    """Loads a workflow and returns what runs the job, or all jobs one after another.

    The first line of output names what is run, its runtime, and what is known of where it comes
    from; it stands there before any code of the project runs.

    :raises BigflowError: when there is no such workflow or job. What the returned function raises
        is the job's own.
    """
    signal.signal(signal.SIGTERM, _exit_on_sigterm)
    _write_lines_at_once()
    context = JobContext.make(runtime=runtime, workflow_id=workflow_id)
    what = f"job {workflow_id}.{job_id}" if job_id else f"workflow {workflow_id}"
    _say(", ".join([what, *_facts(context, package)]))
    workflow = load_workflow(package, workflow_id, module)
    context = context._replace(workflow=workflow)
    if job_id is not None:
        return partial(execute_job, workflow.find_job(job_id), context)

    def run_all() -> None:
        for job in workflow.definition.jobs:
            _say(f"job {workflow_id}.{job.id}")
            execute_job(job, context)

    return run_all


def _exit_on_sigterm(number: int, _frame: FrameType | None) -> NoReturn:
    """So that a deleted pod's job still runs its ``finally`` blocks.

    Without a handler the signal would do nothing at all in a container, where this process has
    the id 1: https://man7.org/linux/man-pages/man7/pid_namespaces.7.html
    """
    sys.exit(128 + number)


def _write_lines_at_once() -> None:
    """A pod's log has each line when it is written, and also the last ones of a killed process."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(line_buffering=True)


def _say(line: str) -> None:
    # On stdout: Google Cloud shows what a container writes to stderr as errors.
    print(f"bigflow: {line}", flush=True)


def _facts(context: JobContext, package: str) -> Iterator[str]:
    yield f"runtime {context.runtime_str}"
    if context.env:
        yield f"config {context.env}"
    yield f"{package} {_installed_version(package) or ''}".strip()
    for name in ("commit", "image"):
        value = os.environ.get(f"BIGFLOW_{name.upper()}")
        if value:
            yield f"{name} {value}"


def _installed_version(package: str) -> str | None:
    """The version of the distribution that ``package`` was installed from.

    By the name of the ``.dist-info`` directory (PEP 376, PEP 427): ``importlib.metadata`` would
    cost more than the rest of the start. A distribution of another name than its package is found
    by its RECORD, in the directory where the package lies.
    """
    spec = find_spec(package.partition(".")[0])
    if spec is None or not spec.origin:
        return None
    site = os.path.dirname(os.path.dirname(spec.origin))  # noqa: PTH120
    for directory in dict.fromkeys([site, *sys.path]):
        for entry in _dist_infos(directory):
            name, _, version = entry.removesuffix(".dist-info").rpartition("-")
            if name.lower() == package.lower():
                return version
    for entry in _dist_infos(site):
        if _records(os.path.join(site, entry, "RECORD"), package):  # noqa: PTH118
            return entry.removesuffix(".dist-info").rpartition("-")[2]
    return None


def _dist_infos(directory: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(directory) if name.endswith(".dist-info"))  # noqa: PTH208
    except OSError:  # a zip archive, or what is no longer there
        return []


def _records(record: str, package: str) -> bool:
    try:
        with open(record, encoding="utf-8") as lines:  # noqa: PTH123
            return any(line.startswith(f"{package}/__init__.py,") for line in lines)
    except OSError:
        return False
